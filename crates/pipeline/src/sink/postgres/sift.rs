//! A batch with rows that the database refuses: they are found inside one
//! transaction, and become dead letters in it.
//!
//! The rows are inserted in parts, all of them sent at once. Behind each part
//! stand `SAVEPOINT part` and `ROLLBACK TO part`: after a part that was stored
//! they do nothing; after a refused one the first is refused too, and the second
//! goes back to the end of the last part that was stored. So one exchange with
//! the server tells of every part. Then everything is undone, refused parts are
//! split, first into about the square root of their length, then into rows, and all
//! is sent again, until only single rows are refused. Whatever was stored last was stored in
//! order, with every good row before it.
//!
//! One bad row in 10,000 costs two exchanges, one if the server names it (`COPY
//! trades, line 7778`): what it says only saves work, a row is a dead letter
//! when it is refused alone.
//!
//! Rejected: halving (28 exchanges in 10,000 rows when nobody names the row); a
//! loop with an exception handler in the server (one more right, one more
//! language, and a subtransaction for each of the good rows).

use tidegate_postgres::describe;
use tidegate_postgres::tokio_postgres::Error;
use tidegate_postgres::tokio_postgres::types::ToSql;

use super::arrays::arrays;
use super::burying::{dead_letters, insert_dead_letters};
use super::classify::{is_rows_fault, sink_error};
use super::connect::Session;
use super::copy::{CopyRows, Rejected};
use super::sending::Pending;
use super::statements::Query;
use super::transaction::{Failed, conclude, who_is_fenced};
use crate::batch::Batch;
use crate::dead_letters::DeadLetterTopic;
use crate::decode::{Rejection, reason};
use crate::sink::{SinkContext, SinkError, Written};

const DOING: &str = "writing a batch in parts";

/// Writes all rows but the refused ones, or nothing. `error` is why the whole
/// was refused.
pub(super) async fn write<R>(
    session: &Session,
    context: &SinkContext,
    topic: Option<&DeadLetterTopic>,
    batch: &Batch<R>,
    rows: &mut CopyRows,
    mut rejected: Rejected,
    error: &Error,
) -> Result<Written, SinkError> {
    let committed_at_ms = crate::clock::now_ms();
    rows.stamp(committed_at_ms);
    let before = rows.same_key_before();
    let named = named_row(error).filter(|_| !rows.have_key());
    let plan = Plan::new(rows.len(), named, before);
    let refused = store(session, rows, plan, &session.statements.insert_rows).await?;
    rejected.extend(refused.into_iter().map(|(row, error)| {
        let why = Rejection::new(reason::REJECTED_BY_DATABASE, describe(&error));
        (rows.entry(row), why)
    }));
    rejected.sort_by_key(|(entry, _)| *entry);
    let letters = dead_letters(batch, &rejected);
    if let Some(topic) = topic {
        topic.publish(&letters).await?;
    }
    let burying = insert_dead_letters(session, &letters, committed_at_ms);
    let updates = batch.positions();
    match conclude(session, context, updates, async { Ok(()) }, burying, &mut || {}).await {
        Ok(()) => Ok(Written { committed_at_ms, rejected }),
        Err(Failed::Moved) => Err(who_is_fenced(session, context, updates).await),
        Err(Failed::Blocked(error) | Failed::Named(error) | Failed::Sink(error)) => Err(error),
        Err(Failed::Row(error)) => Err(SinkError::Fatal(format!(
            "the database refuses a batch and no row of it: {}",
            describe(&error)
        ))),
    }
}

/// Begins a transaction and stores every row that the database takes. Returns
/// the others with what was said; the transaction is open.
pub(super) async fn store(
    session: &Session,
    rows: &CopyRows,
    mut plan: Plan,
    insert: &Query,
) -> Result<Vec<(usize, Error)>, SinkError> {
    // A constraint checked at the end of the transaction could name no row.
    let begin = format!(
        "{}; SET CONSTRAINTS ALL IMMEDIATE; SAVEPOINT start; SAVEPOINT part",
        session.begin
    );
    let mut before = begin.as_str();
    loop {
        let answers = attempt(session, rows, &plan.parts, before, insert).await?;
        let is_refused: Vec<bool> = answers.iter().map(Option::is_some).collect();
        if !plan.refine(&is_refused) {
            let refused = plan.parts.iter().zip(answers);
            return Ok(refused
                .filter_map(|(part, error)| Some((*part.first()?, error?)))
                .collect());
        }
        before = "ROLLBACK TO start; SAVEPOINT part";
    }
}

/// One exchange: every part is sent before the first answer is waited for.
async fn attempt(
    session: &Session,
    rows: &CopyRows,
    parts: &[Vec<usize>],
    before: &str,
    insert: &Query,
) -> Result<Vec<Option<Error>>, SinkError> {
    let client = session.client();
    let failed = |error: Error| sink_error(DOING, &error);
    let ready = Pending::send(client.batch_execute(before)).await;
    let mut sent = Vec::with_capacity(parts.len());
    for part in parts {
        let columns = arrays(&session.columns, part.iter().map(|row| rows.row(*row)));
        let inserting = async move {
            let values: Vec<&(dyn ToSql + Sync)> =
                columns.iter().map(|array| array as &(dyn ToSql + Sync)).collect();
            insert.execute(client, &values).await.map(drop)
        };
        let inserting = Pending::send(inserting).await;
        let marking = Pending::send(client.batch_execute("SAVEPOINT part")).await;
        let undoing = Pending::send(client.batch_execute("ROLLBACK TO part")).await;
        sent.push((inserting, marking, undoing));
    }
    ready.answer().await.map_err(failed)?;
    let mut answers = Vec::with_capacity(parts.len());
    for (inserting, marking, undoing) in sent {
        let inserted = inserting.answer().await;
        let marked = marking.answer().await;
        undoing.answer().await.map_err(failed)?;
        match inserted {
            Ok(()) => {
                marked.map_err(failed)?;
                answers.push(None);
            }
            Err(error) if is_rows_fault(&error) => answers.push(Some(error)),
            Err(error) => return Err(failed(error)),
        }
    }
    Ok(answers)
}

/// In which parts the rows are sent.
#[derive(Debug)]
pub(super) struct Plan {
    /// Rows, in the order in which they are stored.
    parts: Vec<Vec<usize>>,
    /// For each row the one before it with the same key: it is stored only if
    /// its successor is refused.
    before: Vec<Option<usize>>,
    /// A refused part of at most so many rows is sent again row by row.
    small: usize,
}

impl Plan {
    /// All rows but those that a later one replaces. `named` is the row that the
    /// server names as refused.
    pub(super) fn new(count: usize, named: Option<usize>, before: Vec<Option<usize>>) -> Self {
        let mut is_replaced = vec![false; count];
        for row in before.iter().flatten() {
            is_replaced[*row] = true;
        }
        let rows: Vec<usize> = (0..count).filter(|row| !is_replaced[*row]).collect();
        let parts = match named.filter(|row| *row < rows.len()) {
            Some(row) => [&rows[..row], &rows[row..=row], &rows[row + 1..]]
                .iter()
                .filter(|part| !part.is_empty())
                .map(|part| part.to_vec())
                .collect(),
            None => split(&rows, 1),
        };
        Self { parts, before, small: rows.len().isqrt() + 1 }
    }

    /// Splits the refused parts, and brings back what a refused row had replaced.
    /// Returns whether anything has changed, so that all must be sent again.
    fn refine(&mut self, is_refused: &[bool]) -> bool {
        let mut has_changed = false;
        let mut parts = Vec::with_capacity(self.parts.len());
        for (part, is_refused) in self.parts.drain(..).zip(is_refused) {
            match part[..] {
                [row] if *is_refused => {
                    if let Some(earlier) = self.before[row].take() {
                        has_changed = true;
                        parts.push(vec![earlier]);
                    }
                    parts.push(part);
                }
                _ if *is_refused => {
                    has_changed = true;
                    parts.extend(split(&part, self.small));
                }
                _ => parts.push(part),
            }
        }
        self.parts = parts;
        has_changed
    }
}

/// Parts of about the square root of the length; single rows if there are at
/// most `small`.
fn split(rows: &[usize], small: usize) -> Vec<Vec<usize>> {
    let length = if rows.len() <= small { 1 } else { rows.len().isqrt() };
    rows.chunks(length).map(<[usize]>::to_vec).collect()
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

    /// Plays a database that refuses some rows; returns the exchanges, what was
    /// stored in the last one, and the refused.
    fn play(mut plan: Plan, bad: &[usize]) -> (usize, Vec<usize>, Vec<usize>) {
        for exchanges in 1.. {
            let refused = |part: &Vec<usize>| part.iter().any(|row| bad.contains(row));
            let answers: Vec<bool> = plan.parts.iter().map(refused).collect();
            let (mut stored, mut not_stored) = (Vec::new(), Vec::new());
            for (part, is_refused) in plan.parts.iter().zip(&answers) {
                if *is_refused { &mut not_stored } else { &mut stored }.extend(part);
            }
            if !plan.refine(&answers) {
                return (exchanges, stored, not_stored);
            }
        }
        unreachable!("it ends")
    }

    fn without_keys(count: usize, named: Option<usize>) -> Plan {
        Plan::new(count, named, vec![None; count])
    }

    #[test]
    fn one_row_in_ten_thousand_costs_two_exchanges_and_one_if_it_is_named() {
        for bad in [0, 1, 4_999, 5_000, 7_777, 9_999] {
            for (named, expected) in [(None, 2), (Some(bad), 1)] {
                let (exchanges, stored, refused) = play(without_keys(10_000, named), &[bad]);
                assert_eq!((exchanges, refused), (expected, vec![bad]));
                assert!(stored.is_sorted() && stored.len() == 9_999);
            }
        }
    }

    #[test]
    fn many_bad_rows_are_all_found() {
        let bad: Vec<usize> = (0..1000).filter(|row| row % 7 == 3 || *row > 950).collect();
        for named in [None, Some(3)] {
            let (exchanges, stored, refused) = play(without_keys(1000, named), &bad);
            assert_eq!(refused, bad);
            assert!(stored.is_sorted() && stored.len() + bad.len() == 1000);
            assert!(exchanges <= 5, "{exchanges}");
        }
        assert_eq!(play(without_keys(1, Some(0)), &[0]).2, [0]);
    }

    /// Rows 0, 2, 4 have one key; the last that is not refused is stored.
    #[test]
    fn a_refused_row_gives_its_place_back() {
        let plan = || Plan::new(5, None, vec![None, None, Some(0), None, Some(2)]);
        assert_eq!(play(plan(), &[]).1, [1, 3, 4]);
        assert_eq!(play(plan(), &[4]), (2, vec![1, 3, 2], vec![4]));
        let (_, stored, refused) = play(plan(), &[2, 4]);
        assert_eq!((stored, refused), (vec![1, 3, 0], vec![2, 4]));
    }
}
