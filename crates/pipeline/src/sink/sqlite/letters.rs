//! Dead letters in SQLite: reading and replaying them.

use rusqlite::{Connection, Row, params};
use tidegate_kafka::Record;

use super::classify::{is_rows_fault, sink_error};
use super::transaction::{Wait, begin, insert_row, insert_row_sql};
use super::{SqliteOptions, Target, admin, schema};
use crate::dead_letters::{DeadLetter, Filter, NO_TABLE, PAGE, Replayed, decode};
use crate::decode::{Decoder, Rejection, reason};
use crate::sink::headers::headers_from_json;
use crate::sink::{SinkContext, SinkError};

const SELECT: &str = "SELECT id, kafka_topic, kafka_partition, kafka_offset, \
       record_timestamp_ms, key, payload, headers, reason_code, reason, committed_at_ms \
     FROM dead_letters WHERE id > ?1 AND (?2 IS NULL OR reason_code = ?2) \
       AND (?3 IS NULL OR kafka_topic = ?3) AND (?4 IS NULL OR committed_at_ms >= ?4) \
       AND (?5 IS NULL OR committed_at_ms < ?5) \
       AND (?6 = '[]' OR id IN (SELECT value FROM json_each(?6))) \
     ORDER BY id LIMIT ?7";

const TOPICS: &str = "SELECT DISTINCT kafka_topic FROM dead_letters ORDER BY kafka_topic";

pub(crate) fn list(options: &SqliteOptions, filter: &Filter) -> Result<Vec<DeadLetter>, SinkError> {
    let connection = admin::read_only(options)?;
    let limit = filter.limit.map_or(i64::MAX, |limit| i64::try_from(limit).unwrap_or(i64::MAX));
    page(&connection, filter, i64::MIN, limit).map_err(|error| unread(options, &error))
}

pub(crate) fn topics(options: &SqliteOptions) -> Result<Vec<String>, SinkError> {
    let connection = admin::read_only(options)?;
    let read = || -> rusqlite::Result<Vec<String>> {
        let mut statement = connection.prepare(TOPICS)?;
        statement.query_map([], |row| row.get(0))?.collect()
    };
    read().map_err(|error| unread(options, &error))
}

fn unread(options: &SqliteOptions, error: &rusqlite::Error) -> SinkError {
    let path = options.path.display();
    match error.to_string().contains("no such table: dead_letters") {
        true => SinkError::Fatal(format!("sqlite:{path}: {NO_TABLE}")),
        false => sink_error(&format!("reading dead letters of {path}"), error),
    }
}

fn page(
    connection: &Connection,
    filter: &Filter,
    after: i64,
    limit: i64,
) -> rusqlite::Result<Vec<DeadLetter>> {
    let ids = serde_json::to_string(&filter.ids).unwrap_or_default();
    let mut statement = connection.prepare(SELECT)?;
    let values =
        params![after, filter.reason, filter.topic, filter.since_ms, filter.until_ms, ids, limit];
    statement.query_map(values, letter)?.collect()
}

fn letter(row: &Row<'_>) -> rusqlite::Result<DeadLetter> {
    let bytes = |column: usize| {
        row.get::<_, Option<Vec<u8>>>(column).map(|bytes| bytes.map(bytes::Bytes::from))
    };
    let headers: Option<String> = row.get(7)?;
    Ok(DeadLetter {
        id: row.get(0)?,
        record: Record {
            topic: row.get::<_, String>(1)?.into(),
            partition: row.get(2)?,
            offset: row.get(3)?,
            timestamp_ms: row.get(4)?,
            key: bytes(5)?,
            payload: bytes(6)?,
            headers: headers.and_then(|text| headers_from_json(&text)).unwrap_or_default(),
        },
        reason_code: row.get(8)?,
        reason: row.get(9)?,
        committed_at_ms: row.get(10)?,
    })
}

pub(crate) fn replay<D: Decoder>(
    options: &SqliteOptions,
    target: &Target<D::Row>,
    decoder: &D,
    filter: &Filter,
) -> Result<Replayed, SinkError> {
    let context = SinkContext { group: String::new(), cluster_id: None, owner: "replay".into() };
    let connection = schema::open(options, &target.shape, &context)?;
    let failed = |error: rusqlite::Error| sink_error("replaying dead letters", &error);
    let mut done = Replayed::default();
    let mut after = i64::MIN;
    let mut left = filter.limit.unwrap_or(u64::MAX);
    while left > 0 {
        let wait = Wait::new(options.busy_timeout_ms, || false);
        // Read under the write lock: nobody else replays them.
        let transaction = begin(&connection, &wait)?;
        let limit = left.min(PAGE as u64) as i64;
        let letters = page(&transaction, filter, after, limit).map_err(failed)?;
        let Some(last) = letters.last() else { break };
        after = last.id;
        left -= letters.len() as u64;
        for letter in &letters {
            match replay_one(&transaction, target, decoder, letter).map_err(failed)? {
                Ok(()) => done.stored += 1,
                Err(why) => done.refused.push((letter.id, why.code.to_owned(), why.reason)),
            }
        }
        transaction.commit().map_err(failed)?;
    }
    Ok(done)
}

fn replay_one<D: Decoder>(
    connection: &Connection,
    target: &Target<D::Row>,
    decoder: &D,
    letter: &DeadLetter,
) -> rusqlite::Result<Result<(), Rejection>> {
    let newer = if target.shape.key().is_empty() { None } else { target.shape.not_older() };
    let sql = insert_row_sql(&target.shape, &newer.unwrap_or_default());
    let stored = match decode(decoder, &letter.record) {
        Err(why) => Err(why),
        Ok(row) => {
            let mut insert = connection.prepare_cached(&sql)?;
            let now_ms = crate::clock::now_ms();
            match insert_row(&mut insert, target, &letter.record, &row, now_ms) {
                Ok(_) => Ok(()),
                Err(error) if is_rows_fault(&error) && !connection.is_autocommit() => {
                    Err(Rejection::new(reason::REJECTED_BY_DATABASE, error.to_string()))
                }
                Err(error) => return Err(error),
            }
        }
    };
    match &stored {
        Ok(()) => {
            connection
                .prepare_cached("DELETE FROM dead_letters WHERE id = ?1")?
                .execute([letter.id])?;
        }
        Err(why) => {
            connection
                .prepare_cached(
                    "UPDATE dead_letters SET reason_code = ?2, reason = ?3 WHERE id = ?1",
                )?
                .execute(params![letter.id, why.code, why.reason])?;
        }
    }
    Ok(stored)
}
