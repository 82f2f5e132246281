//! One batch, one transaction: compare and set the positions, insert rows and
//! dead letters, stamp them, commit.
//!
//! Positions come first: a fenced owner learns it before it has done any work.

use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use rusqlite::{
    Connection, OptionalExtension, Statement, Transaction, TransactionBehavior, params,
};
use serde::Serialize;
use tidegate_kafka::{Header, Record, TopicPartition};

use super::classify::{is_busy, is_rows_fault, sink_error};
use super::{RowBinder, SqliteRow};
use crate::batch::{Batch, PositionUpdate};
use crate::decode::{Rejection, reason};
use crate::sink::{SinkContext, SinkError, Written};

const SELECT_POSITION: &str = "SELECT next_offset FROM positions \
     WHERE consumer_group = ?1 AND kafka_topic = ?2 AND kafka_partition = ?3";
const MOVE_POSITION: &str = "UPDATE positions SET next_offset = ?5, owner = ?6, updated_at_ms = ?7 \
     WHERE consumer_group = ?1 AND kafka_topic = ?2 AND kafka_partition = ?3 AND next_offset = ?4";
const FIRST_POSITION: &str = "INSERT INTO positions \
     (consumer_group, kafka_topic, kafka_partition, next_offset, owner, updated_at_ms) \
     VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT DO NOTHING";
const INSERT_DEAD_LETTER: &str = "INSERT INTO dead_letters \
     (kafka_topic, kafka_partition, kafka_offset, record_timestamp_ms, key, payload, headers, \
      reason_code, reason) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";

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
pub(super) fn check_statements<R: SqliteRow>(connection: &Connection) -> rusqlite::Result<()> {
    for sql in [SELECT_POSITION, MOVE_POSITION, FIRST_POSITION, INSERT_DEAD_LETTER] {
        connection.prepare_cached(sql)?;
    }
    connection.prepare_cached(&insert_row_sql::<R>())?;
    connection.prepare_cached(&stamp_sql(R::TABLE))?;
    connection.prepare_cached(&stamp_sql("dead_letters")).map(drop)
}

/// Writes the batch, or nothing.
pub(super) fn write<R: SqliteRow>(
    connection: &Connection,
    context: &SinkContext,
    batch: &Batch<R>,
    wait: &Wait<'_>,
) -> Result<Written, SinkError> {
    let failed = |error: rusqlite::Error| sink_error("writing a batch", &error);
    let transaction = begin(connection, wait)?;
    let fenced = move_positions(&transaction, context, batch.positions()).map_err(failed)?;
    if !fenced.is_empty() {
        return Err(SinkError::Fenced { partitions: fenced });
    }
    let (rows, rejected) = insert_rows(&transaction, batch)?;
    let dead_letters = insert_dead_letters(&transaction, batch, &rejected).map_err(failed)?;
    wait.check()?;
    let committed_at_ms = crate::clock::now_ms();
    rows.stamp(&transaction, R::TABLE, committed_at_ms).map_err(failed)?;
    dead_letters.stamp(&transaction, "dead_letters", committed_at_ms).map_err(failed)?;
    transaction.commit().map_err(|error| sink_error("committing a batch", &error))?;
    Ok(Written { committed_at_ms, rejected })
}

/// Takes the file's write lock, so that nothing after it meets a busy file.
fn begin<'c>(connection: &'c Connection, wait: &Wait<'_>) -> Result<Transaction<'c>, SinkError> {
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
fn insert_rows<R: SqliteRow>(
    connection: &Connection,
    batch: &Batch<R>,
) -> Result<(Ids, Rejected), SinkError> {
    let failed = |error: rusqlite::Error| sink_error("inserting rows", &error);
    let mut insert = connection.prepare_cached(&insert_row_sql::<R>()).map_err(failed)?;
    let mut ids = Ids::default();
    let mut rejected = Rejected::new();
    for (index, entry) in batch.entries().iter().enumerate() {
        let Ok(row) = &entry.outcome else { continue };
        match insert_row(&mut insert, &entry.record, row) {
            Ok(()) => ids.add(connection.last_insert_rowid()),
            Err(error) if is_rows_fault(&error) => {
                if connection.is_autocommit() {
                    return Err(SinkError::Fatal(format!(
                        "a constraint of {} rolls back the whole transaction ({error}): \
                         use ABORT in place of ROLLBACK",
                        R::TABLE
                    )));
                }
                let why = Rejection::new(reason::REJECTED_BY_DATABASE, error.to_string());
                rejected.push((index, why));
            }
            Err(error) => return Err(failed(error)),
        }
    }
    Ok((ids, rejected))
}

fn insert_row<R: SqliteRow>(
    insert: &mut Statement<'_>,
    record: &Record,
    row: &R,
) -> rusqlite::Result<()> {
    let mut binder = RowBinder::new(insert);
    row.bind(&mut binder)?;
    binder.push(&*record.topic)?;
    binder.push(record.partition)?;
    binder.push(record.offset)?;
    binder.push(record.timestamp_ms)?;
    insert.raw_execute().map(drop)
}

fn insert_dead_letters<R>(
    connection: &Connection,
    batch: &Batch<R>,
    rejected: &Rejected,
) -> rusqlite::Result<Ids> {
    let refused = rejected.iter().map(|(index, why)| (&batch.entries()[*index].record, why));
    let mut insert = connection.prepare_cached(INSERT_DEAD_LETTER)?;
    let mut ids = Ids::default();
    for (record, why) in batch.dead_letters().chain(refused) {
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
        ])?;
        ids.add(connection.last_insert_rowid());
    }
    Ok(ids)
}

/// The ids inserted into one table. They have no gaps of others, because the
/// write lock is held.
#[derive(Debug, Default)]
struct Ids {
    range: Option<(i64, i64)>,
}

impl Ids {
    fn add(&mut self, id: i64) {
        self.range = Some((self.range.map_or(id, |(first, _)| first), id));
    }

    fn stamp(&self, connection: &Connection, table: &str, at_ms: i64) -> rusqlite::Result<()> {
        let Some((first, last)) = self.range else { return Ok(()) };
        connection.prepare_cached(&stamp_sql(table))?.execute([at_ms, first, last]).map(drop)
    }
}

fn insert_row_sql<R: SqliteRow>() -> String {
    let columns: String = R::COLUMNS.iter().map(|(name, _)| format!("{name}, ")).collect();
    let values: String =
        (1..=R::COLUMNS.len() + 4).map(|n| format!("?{n}")).collect::<Vec<_>>().join(", ");
    format!(
        "INSERT INTO {} ({columns}kafka_topic, kafka_partition, kafka_offset, \
         record_timestamp_ms) VALUES ({values})",
        R::TABLE
    )
}

fn stamp_sql(table: &str) -> String {
    format!("UPDATE {table} SET committed_at_ms = ?1 WHERE id BETWEEN ?2 AND ?3")
}

#[derive(Serialize)]
struct HeaderJson<'a> {
    key: &'a str,
    value: Option<String>,
}

/// `[{"key":"trace","value":"<base64>"}]`; a header without value has `null`.
fn headers_json(headers: &[Header]) -> String {
    let headers: Vec<HeaderJson<'_>> = headers
        .iter()
        .map(|header| HeaderJson {
            key: &header.key,
            value: header.value.as_ref().map(|value| BASE64.encode(value)),
        })
        .collect();
    serde_json::to_string(&headers).unwrap_or_default()
}
