//! A batch with rows that the database refuses: they are found inside one
//! transaction, behind a savepoint, and become dead letters in it.
//!
//! A range that is refused is split where the server says the row is (`COPY
//! trades, line 7778`), else in its middle. What the server says only saves
//! work: a row is a dead letter when it is refused alone. One bad row in n costs
//! at most 2 log2 n attempts, four when the server names it.

use std::ops::Range;

use tidegate_postgres::describe;
use tidegate_postgres::tokio_postgres::Error;

use super::PostgresRow;
use super::classify::{is_rows_fault, sink_error};
use super::connect::Session;
use super::copy::{CopyRows, Rejected};
use super::transaction::{Failed, conclude, dead_letters, insert_dead_letters};
use crate::batch::Batch;
use crate::decode::{Rejection, reason};
use crate::sink::{SinkContext, SinkError, Written};

const DOING: &str = "writing a batch in parts";

/// A range of rows that is still to be stored.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Part {
    rows: Range<usize>,
    /// Its other half was stored and both together were not: no need to try it
    /// whole.
    suspect: bool,
    /// The part below it on the stack is its other half.
    paired: bool,
}

/// What is still to be stored, the first rows on top: order is kept.
#[derive(Debug)]
struct Parts(Vec<Part>);

impl Parts {
    /// All rows, which together were refused.
    fn new(rows: usize, named: Option<usize>) -> Self {
        let mut parts = Self(Vec::new());
        parts.split(&(0..rows), named);
        parts
    }

    fn split(&mut self, rows: &Range<usize>, named: Option<usize>) {
        if rows.len() < 2 {
            return self.push(rows.clone(), false);
        }
        match named.map(|row| rows.start + row).filter(|row| rows.contains(row)) {
            Some(row) => {
                self.push(row + 1..rows.end, false);
                self.push(row..row + 1, false);
                self.push(rows.start..row, false);
            }
            None => {
                let middle = rows.start + rows.len() / 2;
                self.push(middle..rows.end, false);
                self.push(rows.start..middle, true);
            }
        }
    }

    fn push(&mut self, rows: Range<usize>, paired: bool) {
        if !rows.is_empty() {
            self.0.push(Part { rows, suspect: false, paired });
        }
    }

    /// The next part to try.
    fn next(&mut self) -> Option<Part> {
        loop {
            let part = self.0.pop()?;
            if !part.suspect || part.rows.len() == 1 {
                return Some(part);
            }
            self.split(&part.rows, None);
        }
    }

    fn stored(&mut self, part: &Part) {
        if let Some(other) = self.0.last_mut().filter(|_| part.paired) {
            other.suspect = true;
        }
    }

    /// Returns the row if it was refused alone.
    fn refused(&mut self, part: &Part, named: Option<usize>) -> Option<usize> {
        if part.rows.len() == 1 {
            return Some(part.rows.start);
        }
        self.split(&part.rows, named);
        None
    }
}

/// Writes all rows but the refused ones, or nothing. `error` is why the whole
/// was refused.
pub(super) async fn write<R: PostgresRow>(
    session: &Session,
    context: &SinkContext,
    batch: &Batch<R>,
    rows: &mut CopyRows,
    mut rejected: Rejected,
    error: &Error,
) -> Result<Written, SinkError> {
    let committed_at_ms = crate::clock::now_ms();
    rows.stamp(committed_at_ms);
    // A constraint checked at the end of the transaction could name no row.
    let begin = format!("{}; SET CONSTRAINTS ALL IMMEDIATE; SAVEPOINT part", session.begin);
    store_parts(session, rows, &mut rejected, begin, named_row(error)).await?;
    rejected.sort_by_key(|(entry, _)| *entry);
    let letters = dead_letters(batch, &rejected);
    let burying = insert_dead_letters(session, &letters, committed_at_ms);
    match conclude(session, context, batch.positions(), async { Ok(()) }, burying).await {
        Ok(()) => Ok(Written { committed_at_ms, rejected }),
        Err(Failed::Sink(error)) => Err(error),
        Err(Failed::Row(error)) => Err(SinkError::Fatal(format!(
            "the database refuses a batch and no row of it: {}",
            describe(&error)
        ))),
    }
}

async fn store_parts(
    session: &Session,
    rows: &CopyRows,
    rejected: &mut Rejected,
    begin: String,
    named: Option<usize>,
) -> Result<(), SinkError> {
    let mut parts = Parts::new(rows.len(), named);
    let mut before = begin.as_str();
    while let Some(part) = parts.next() {
        match store(session, rows, part.rows.clone(), before).await? {
            None => {
                parts.stored(&part);
                before = "RELEASE part; SAVEPOINT part";
            }
            Some(error) => {
                if let Some(row) = parts.refused(&part, named_row(&error)) {
                    let why = Rejection::new(reason::REJECTED_BY_DATABASE, describe(&error));
                    rejected.push((rows.entry(row), why));
                }
                before = "ROLLBACK TO part";
            }
        }
    }
    session.client().batch_execute(before).await.map_err(|error| sink_error(DOING, &error))
}

/// Stores a range behind the savepoint that `before` makes. Returns the error if
/// a row of it is refused; the transaction then waits for a rollback to there.
async fn store(
    session: &Session,
    rows: &CopyRows,
    range: Range<usize>,
    before: &str,
) -> Result<Option<Error>, SinkError> {
    let client = session.client();
    let failed = |error: Error| sink_error(DOING, &error);
    let (ready, copy) =
        tokio::join!(client.batch_execute(before), client.copy_in(&session.statements.copy_rows));
    ready.map_err(failed)?;
    let mut copy = Box::pin(copy.map_err(failed)?);
    rows.send(range, copy.as_mut()).await.map_err(failed)?;
    match copy.as_mut().finish().await {
        Ok(_) => Ok(None),
        Err(error) if is_rows_fault(&error) => Ok(Some(error)),
        Err(error) => Err(failed(error)),
    }
}

/// Number of the row in what was sent, if the server names it.
fn named_row(error: &Error) -> Option<usize> {
    error.as_db_error().and_then(|db| db.where_()).and_then(line).map(|line| line - 1)
}

/// The line in `COPY trades, line 7778, column price: ...`, from 1; it may stand
/// among lines about triggers, and in another language.
fn line(context: &str) -> Option<usize> {
    let copy = context.lines().find_map(|line| line.strip_prefix("COPY "))?;
    let (_, number) = copy.split_once(", line ")?;
    let digits = number.split(|c: char| !c.is_ascii_digit()).next()?;
    digits.parse().ok().filter(|line| *line > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_is_found_only_where_the_server_names_one() {
        let line_of = |text: &str| line(text);
        assert_eq!(line_of("COPY trades, line 7778, column price: \"x\""), Some(7778));
        assert_eq!(line_of("COPY trades, line 3"), Some(3));
        let trigger = "PL/pgSQL function refuse() line 4 at RAISE\nCOPY trades, line 12";
        assert_eq!(line_of(trigger), Some(12));
        assert_eq!(line_of("PL/pgSQL function refuse() line 4 at RAISE"), None);
        assert_eq!(line_of("COPY trades, Zeile 12"), None);
        assert_eq!(line_of("COPY trades, line 0"), None);
    }

    /// Plays a database that refuses some rows; returns attempts and the refused.
    fn play(count: usize, bad: &[usize], names_rows: bool) -> (usize, Vec<usize>) {
        let first = bad.iter().copied().min().filter(|_| names_rows);
        let mut parts = Parts::new(count, first);
        let (mut attempts, mut refused, mut stored) = (0, Vec::new(), Vec::new());
        while let Some(part) = parts.next() {
            attempts += 1;
            match bad.iter().copied().filter(|row| part.rows.contains(row)).min() {
                None => {
                    stored.extend(part.rows.clone());
                    parts.stored(&part);
                }
                Some(row) => {
                    let named = names_rows.then(|| row - part.rows.start);
                    refused.extend(parts.refused(&part, named));
                }
            }
        }
        assert!(stored.is_sorted(), "order is kept");
        assert_eq!(stored.len() + refused.len(), count, "every row has its place");
        (attempts, refused)
    }

    #[test]
    fn one_row_in_ten_thousand_costs_two_attempts_a_halving() {
        for bad in [0, 1, 4_999, 5_000, 7_777, 9_999] {
            let (attempts, refused) = play(10_000, &[bad], false);
            assert_eq!(refused, [bad]);
            assert!(attempts <= 28, "{attempts} attempts for row {bad}");
            let (attempts, refused) = play(10_000, &[bad], true);
            assert_eq!(refused, [bad]);
            assert!(attempts <= 3, "{attempts} attempts for row {bad}, named");
        }
    }

    #[test]
    fn many_bad_rows_are_all_found() {
        let bad: Vec<usize> = (0..100).filter(|row| row % 7 == 3 || *row > 95).collect();
        for names_rows in [false, true] {
            assert_eq!(play(100, &bad, names_rows).1, bad);
        }
        assert_eq!(play(1, &[0], false).1, [0]);
    }
}
