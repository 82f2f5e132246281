//! Rows that take the place of those with the same key.
//!
//! `INSERT ... ON CONFLICT DO UPDATE` costs the server clearly more a row than
//! COPY, and most streams bring new keys. So a batch whose keys differ from each
//! other is copied first; where the table has one of the keys, the whole transaction
//! is undone, the batch is written again by the statement, and so are the next ones,
//! without another attempt. The effect is the same: a row with a new key is inserted
//! either way, in one transaction with the positions. Triggers see an `INSERT` then.
//!
//! Rejected: asking which keys are there (a look into the index for each row, and
//! another writer may add the key in between); a staging table (each row twice).

use tidegate_postgres::tokio_postgres::Error;
use tidegate_postgres::tokio_postgres::error::SqlState;
use tidegate_postgres::tokio_postgres::types::ToSql;

use super::arrays::arrays;
use super::connect::Session;
use super::copy::CopyRows;

/// Batches that go without another attempt after the first failure, and at most.
const PENALTY: u32 = 16;
const PENALTY_MAX: u32 = 1024;

/// Whether the keys of the next batch are expected to be new. Pure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct NewKeys {
    /// Batches that are not copied.
    skip: u32,
    /// How many that were after the last failure; 0 after a success.
    penalty: u32,
}

impl NewKeys {
    /// Asked once a batch.
    pub(super) fn expected(&mut self) -> bool {
        let expected = self.skip == 0;
        self.skip = self.skip.saturating_sub(1);
        expected
    }

    /// A batch was copied.
    pub(super) fn were_new(&mut self) {
        self.penalty = 0;
    }

    /// The table had one of the keys: the next attempt waits twice as long. An attempt that
    /// was on its way already says nothing new.
    pub(super) fn were_not(&mut self) {
        if self.skip > 0 {
            return;
        }
        self.penalty = (self.penalty * 2).clamp(PENALTY, PENALTY_MAX);
        self.skip = self.penalty;
    }
}

/// Whether this is what a COPY of a key that is there says.
pub(super) fn is_repeated_key(error: &Error) -> bool {
    error.code() == Some(&SqlState::UNIQUE_VIOLATION)
}

/// The last row of each key, in one statement.
pub(super) async fn execute(session: &Session, rows: &CopyRows) -> Result<(), Error> {
    if rows.len() == 0 {
        return Ok(());
    }
    let mut is_replaced = vec![false; rows.len()];
    for row in rows.same_key_before().into_iter().flatten() {
        is_replaced[row] = true;
    }
    let last: Vec<usize> = (0..rows.len()).filter(|row| !is_replaced[*row]).collect();
    let columns = arrays(&session.columns, last.iter().map(|row| rows.row(*row)));
    let values: Vec<&(dyn ToSql + Sync)> =
        columns.iter().map(|array| array as &(dyn ToSql + Sync)).collect();
    session.statements.insert_rows.execute(session.client(), &values).await.map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attempts(keys: &mut NewKeys, batches: usize, are_new: bool) -> usize {
        let mut attempts = 0;
        for _ in 0..batches {
            if keys.expected() {
                attempts += 1;
                if are_new { keys.were_new() } else { keys.were_not() }
            }
        }
        attempts
    }

    #[test]
    fn keys_that_repeat_cost_few_attempts_and_new_ones_are_noticed() {
        let mut keys = NewKeys::default();
        assert_eq!(attempts(&mut keys, 100, true), 100);
        // After 1, 17, 33, 65, ... batches, and then each 1,025th.
        assert_eq!(attempts(&mut keys, 20_000, false), 25);
        assert!(attempts(&mut keys, 2_000, true) > 900);
        assert_eq!(attempts(&mut keys, 17, false), 1, "the penalty began anew");
    }
}
