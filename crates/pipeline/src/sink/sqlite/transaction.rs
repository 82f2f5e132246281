//! One batch, one transaction: compare and set the positions, insert rows and
//! dead letters, commit.
//!
//! Positions come first: a fenced owner learns it before it has done any work.

use std::time::{Duration, Instant};

use rusqlite::types::Null;
use rusqlite::{
    Connection, OptionalExtension, Statement, Transaction, TransactionBehavior, params,
};
use tidegate_kafka::{Record, TopicPartition};

use super::classify::{is_busy, is_rows_fault, sink_error};
use super::{RowBinder, Target};
use crate::batch::{Batch, PositionUpdate};
use crate::dead_letters::Letter;
use crate::decode::{Rejection, reason};
use crate::sink::headers::headers_json;
use crate::sink::{SinkContext, SinkError, Written};
use crate::table::{RecordField, TableShape};

const SELECT_POSITION: &str = "SELECT next_offset FROM positions \
     WHERE consumer_group = ?1 AND kafka_topic = ?2 AND kafka_partition = ?3";
const MOVE_POSITION: &str = "UPDATE positions SET next_offset = ?5, owner = ?6, updated_at_ms = ?7 \
     WHERE consumer_group = ?1 AND kafka_topic = ?2 AND kafka_partition = ?3 AND next_offset = ?4";
const FIRST_POSITION: &str = "INSERT INTO positions \
     (consumer_group, kafka_topic, kafka_partition, next_offset, owner, updated_at_ms) \
     VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT DO NOTHING";
const INSERT_DEAD_LETTER: &str = "INSERT INTO dead_letters \
     (kafka_topic, kafka_partition, kafka_offset, record_timestamp_ms, key, payload, headers, \
      reason_code, reason, committed_at_ms) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)";

/// How long to wait for the write lock, and whether anybody still wants it.
pub(super) struct Wait<'a> {
    deadline: Instant,
    abandoned: Box<dyn Fn() -> bool + 'a>,
}

impl<'a> Wait<'a> {
    pub(super) fn new(timeout_ms: u64, abandoned: impl Fn() -> bool + 'a) -> Self {
        let deadline = Instant::now() + Duration::from_millis(timeout_ms);
        Self { deadline, abandoned: Box::new(abandoned) }
    }

    fn check(&self) -> Result<(), SinkError> {
        if (self.abandoned)() {
            return Err(SinkError::Retry("the write was abandoned".into()));
        }
        Ok(())
    }
}

/// The positions stored for a group.
pub(super) fn positions(
    connection: &Connection,
    group: &str,
    partitions: &[TopicPartition],
) -> rusqlite::Result<Vec<Option<i64>>> {
    let mut select = connection.prepare_cached(SELECT_POSITION)?;
    partitions
        .iter()
        .map(|p| select.query_row(params![group, &*p.topic, p.partition], |r| r.get(0)).optional())
        .collect()
}

/// Fails if a table lacks a column that the statements name.
pub(super) fn check_statements(
    connection: &Connection,
    shape: &TableShape,
) -> rusqlite::Result<()> {
    for sql in [SELECT_POSITION, MOVE_POSITION, FIRST_POSITION, INSERT_DEAD_LETTER] {
        connection.prepare_cached(sql)?;
    }
    connection.prepare_cached(&insert_row_sql(shape, "")).map(drop)
}

/// A batch to be written.
pub(super) struct Write<'a, R> {
    pub(super) context: &'a SinkContext,
    pub(super) target: &'a Target<R>,
    pub(super) batch: &'a Batch<R>,
}

impl<R> Write<'_, R> {
    /// Writes the batch, or nothing. `publish` is given the refused rows before the
    /// commit, and prevents it by an error.
    pub(super) fn run(
        &self,
        connection: &Connection,
        wait: &Wait<'_>,
        publish: &dyn Fn(&[Letter<'_>]) -> Result<(), SinkError>,
    ) -> Result<Written, SinkError> {
        let Self { context, target, batch } = self;
        let failed = |error: rusqlite::Error| sink_error("writing a batch", &error);
        let transaction = begin(connection, wait)?;
        let fenced = move_positions(&transaction, context, batch.positions()).map_err(failed)?;
        if !fenced.is_empty() {
            return Err(SinkError::Fenced { partitions: fenced });
        }
        let committed_at_ms = crate::clock::now_ms();
        let rejected = insert_rows(&transaction, target, batch, committed_at_ms)?;
        let refused = rejected.iter().map(|(index, why)| (&batch.entries()[*index].record, why));
        let refused: Vec<Letter<'_>> = refused.collect();
        let letters = batch.dead_letters().chain(refused.iter().copied());
        insert_dead_letters(&transaction, letters, committed_at_ms).map_err(failed)?;
        publish(&refused)?;
        wait.check()?;
        transaction.commit().map_err(|error| sink_error("committing a batch", &error))?;
        Ok(Written { committed_at_ms, rejected })
    }
}

/// Takes the file's write lock, so that nothing after it meets a busy file.
pub(super) fn begin<'c>(
    connection: &'c Connection,
    wait: &Wait<'_>,
) -> Result<Transaction<'c>, SinkError> {
    loop {
        wait.check()?;
        match Transaction::new_unchecked(connection, TransactionBehavior::Immediate) {
            Ok(transaction) => return Ok(transaction),
            Err(error) if is_busy(&error) && Instant::now() < wait.deadline => {}
            Err(error) => return Err(sink_error("waiting for the write lock", &error)),
        }
    }
}

/// Compare and set; returns the partitions whose position was not the expected.
fn move_positions(
    connection: &Connection,
    context: &SinkContext,
    updates: &[PositionUpdate],
) -> rusqlite::Result<Vec<TopicPartition>> {
    let mut moved = connection.prepare_cached(MOVE_POSITION)?;
    let mut first = connection.prepare_cached(FIRST_POSITION)?;
    let now_ms = crate::clock::now_ms();
    let (group, owner) = (&context.group, &context.owner);
    let mut fenced = Vec::new();
    for PositionUpdate { partition: p, expected, next_offset } in updates {
        let (topic, partition) = (&*p.topic, p.partition);
        let changed = match expected {
            Some(expected) => moved.execute(params![
                group,
                topic,
                partition,
                expected,
                next_offset,
                owner,
                now_ms
            ])?,
            None => first.execute(params![group, topic, partition, next_offset, owner, now_ms])?,
        };
        if changed == 0 {
            fenced.push(p.clone());
        }
    }
    Ok(fenced)
}

/// Rows of a batch that the database refused: index of the entry, and why.
type Rejected = Vec<(usize, Rejection)>;

/// A refused row is undone alone by SQLite; the transaction goes on without it.
/// So an upsert needs no search for the last row of a key: all are written in
/// their order.
fn insert_rows<R>(
    connection: &Connection,
    target: &Target<R>,
    batch: &Batch<R>,
    committed_at_ms: i64,
) -> Result<Rejected, SinkError> {
    let failed = |error: rusqlite::Error| sink_error("inserting rows", &error);
    let sql = insert_row_sql(&target.shape, "");
    let mut insert = connection.prepare_cached(&sql).map_err(failed)?;
    let mut rejected = Rejected::new();
    for (index, entry) in batch.entries().iter().enumerate() {
        let Ok(row) = &entry.outcome else { continue };
        match insert_row(&mut insert, target, &entry.record, row, committed_at_ms) {
            Ok(_) => {}
            Err(error) if is_rows_fault(&error) => {
                if connection.is_autocommit() {
                    return Err(SinkError::Fatal(format!(
                        "a constraint of {} rolls back the whole transaction ({error}): \
                         use ABORT in place of ROLLBACK",
                        target.shape.table
                    )));
                }
                let why = Rejection::new(reason::REJECTED_BY_DATABASE, error.to_string());
                rejected.push((index, why));
            }
            Err(error) => return Err(failed(error)),
        }
    }
    Ok(rejected)
}

/// Returns the number of rows that have changed.
pub(super) fn insert_row<R>(
    insert: &mut Statement<'_>,
    target: &Target<R>,
    record: &Record,
    row: &R,
    committed_at_ms: i64,
) -> rusqlite::Result<usize> {
    let mut binder = RowBinder::new(insert);
    (target.bind)(row, record, &mut binder)?;
    for (field, column) in &target.shape.record {
        // A unique index takes two NULLs for different: such a row would replace none.
        let is_key = matches!(field, RecordField::Key | RecordField::KeyText);
        if is_key && record.key.is_none() && target.shape.key().contains(&column.name) {
            let name = &column.name;
            return Err(rusqlite::Error::ToSqlConversionFailure(
                format!("column {name} is of the key, and the record has none").into(),
            ));
        }
        push_field(*field, record, committed_at_ms, &mut binder)?;
    }
    insert.raw_execute()
}

/// The value of one of the record's own columns.
fn push_field(
    field: RecordField,
    record: &Record,
    committed_at_ms: i64,
    binder: &mut RowBinder<'_, '_>,
) -> rusqlite::Result<()> {
    match field {
        RecordField::Topic => binder.push(&*record.topic),
        RecordField::Partition => binder.push(record.partition),
        RecordField::Offset => binder.push(record.offset),
        RecordField::TimestampMs => binder.push(record.timestamp_ms),
        RecordField::Timestamp => binder.push(record.timestamp_ms.map(iso)),
        RecordField::Key => binder.push(record.key.as_deref()),
        RecordField::KeyText => match &record.key {
            None => binder.push(Null),
            Some(key) => match std::str::from_utf8(key) {
                Ok(text) => binder.push(text),
                Err(error) => Err(rusqlite::Error::ToSqlConversionFailure(
                    format!("the key is not UTF-8: {error}").into(),
                )),
            },
        },
        RecordField::Headers => binder.push(headers_json(&record.headers)),
        RecordField::CommittedAtMs => binder.push(committed_at_ms),
        RecordField::CommittedAt => binder.push(iso(committed_at_ms)),
    }
}

/// `2026-01-01T00:00:00.123Z`; SQLite's own functions read it.
fn iso(at_ms: i64) -> String {
    jiff::Timestamp::from_millisecond(at_ms)
        .map_or_else(|_| at_ms.to_string(), |at| format!("{at:.3}"))
}

fn insert_dead_letters<'a>(
    connection: &Connection,
    letters: impl Iterator<Item = Letter<'a>>,
    committed_at_ms: i64,
) -> rusqlite::Result<()> {
    let mut insert = connection.prepare_cached(INSERT_DEAD_LETTER)?;
    for (record, why) in letters {
        insert.execute(params![
            &*record.topic,
            record.partition,
            record.offset,
            record.timestamp_ms,
            record.key.as_deref(),
            record.payload.as_deref(),
            headers_json(&record.headers),
            why.code,
            why.reason,
            committed_at_ms,
        ])?;
    }
    Ok(())
}

/// `newer`: see [`TableShape::on_conflict`].
pub(super) fn insert_row_sql(shape: &TableShape, newer: &str) -> String {
    let count = shape.written().count();
    let values = (1..=count).map(|n| format!("?{n}")).collect::<Vec<_>>().join(", ");
    format!(
        "INSERT INTO {} ({}) VALUES ({values}){}",
        shape.quoted_table(),
        shape.quoted_columns(),
        shape.on_conflict(newer)
    )
}
