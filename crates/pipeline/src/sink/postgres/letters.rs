//! Dead letters in PostgreSQL: reading and replaying them.

use tidegate_kafka::Record;
use tidegate_postgres::tokio_postgres::error::SqlState;
use tidegate_postgres::tokio_postgres::types::{ToSql, Type};
use tidegate_postgres::tokio_postgres::{Client, Error, Row};
use tidegate_postgres::{PostgresUrl, describe};

use super::classify::sink_error;
use super::connect::{Session, open};
use super::copy::{CopyRows, Rejected};
use super::sift::{Plan, store};
use super::statements::Query;
use super::{PostgresOptions, Target, admin};
use crate::batch::{Batch, Entry};
use crate::dead_letters::{DeadLetter, Filter, NO_TABLE, PAGE, Replayed, decode};
use crate::decode::{Decoder, Rejection, reason};
use crate::sink::headers::headers_from_json;
use crate::sink::{SinkContext, SinkError};
use crate::table::TableShape;

const SELECT: &str = "SELECT id, kafka_topic, kafka_partition, kafka_offset, \
       record_timestamp_ms, key, payload, headers, reason_code, reason, committed_at_ms \
     FROM dead_letters WHERE id > $1 AND ($2::text IS NULL OR reason_code = $2) \
       AND ($3::text IS NULL OR kafka_topic = $3) \
       AND ($4::int8 IS NULL OR committed_at_ms >= $4) \
       AND ($5::int8 IS NULL OR committed_at_ms < $5) \
       AND (cardinality($6::int8[]) = 0 OR id = ANY ($6)) \
     ORDER BY id LIMIT $7";
const TOPICS: &str = "SELECT DISTINCT kafka_topic FROM dead_letters ORDER BY kafka_topic";
const DELETE: &str = "DELETE FROM dead_letters WHERE id = ANY ($1)";
const REFUSE: &str = "UPDATE dead_letters d SET reason_code = u.code, reason = u.reason \
     FROM unnest($1, $2, $3) AS u (id, code, reason) WHERE d.id = u.id";

pub(crate) async fn list(
    options: &PostgresOptions,
    filter: &Filter,
) -> Result<Vec<DeadLetter>, SinkError> {
    let connected = admin::connected(options).await?;
    let limit = filter.limit.map_or(i64::MAX, |limit| i64::try_from(limit).unwrap_or(i64::MAX));
    page(&connected.client, &options.url, filter, i64::MIN, limit).await
}

pub(crate) async fn topics(options: &PostgresOptions) -> Result<Vec<String>, SinkError> {
    let connected = admin::connected(options).await?;
    let failed = |error: Error| unread(&options.url, &error);
    let rows = connected.client.query_typed(TOPICS, &[]).await.map_err(failed)?;
    rows.iter().map(|row| row.try_get(0)).collect::<Result<_, _>>().map_err(failed)
}

fn unread(url: &PostgresUrl, error: &Error) -> SinkError {
    match error.code() == Some(&SqlState::UNDEFINED_TABLE) {
        true => SinkError::Fatal(format!("{url}: {NO_TABLE}")),
        false => sink_error(&format!("reading dead letters of {url}"), error),
    }
}

/// The letters behind `after`, in their order.
async fn page(
    client: &Client,
    url: &PostgresUrl,
    filter: &Filter,
    after: i64,
    limit: i64,
) -> Result<Vec<DeadLetter>, SinkError> {
    let values: [(&(dyn ToSql + Sync), Type); 7] = [
        (&after, Type::INT8),
        (&filter.reason, Type::TEXT),
        (&filter.topic, Type::TEXT),
        (&filter.since_ms, Type::INT8),
        (&filter.until_ms, Type::INT8),
        (&filter.ids, Type::INT8_ARRAY),
        (&limit, Type::INT8),
    ];
    let failed = |error: Error| unread(url, &error);
    let rows = client.query_typed(SELECT, &values).await.map_err(failed)?;
    rows.iter().map(letter).collect::<Result<_, _>>().map_err(failed)
}

fn letter(row: &Row) -> Result<DeadLetter, Error> {
    let bytes = |column: usize| {
        row.try_get::<_, Option<Vec<u8>>>(column).map(|bytes| bytes.map(bytes::Bytes::from))
    };
    let headers: Option<String> = row.try_get(7)?;
    Ok(DeadLetter {
        id: row.try_get(0)?,
        record: Record {
            topic: row.try_get::<_, String>(1)?.into(),
            partition: row.try_get(2)?,
            offset: row.try_get(3)?,
            timestamp_ms: row.try_get(4)?,
            key: bytes(5)?,
            payload: bytes(6)?,
            headers: headers.and_then(|text| headers_from_json(&text)).unwrap_or_default(),
        },
        reason_code: row.try_get(8)?,
        reason: row.try_get(9)?,
        committed_at_ms: row.try_get(10)?,
    })
}

pub(crate) async fn replay<D: Decoder>(
    options: &PostgresOptions,
    target: &Target<D::Row>,
    decoder: &D,
    filter: &Filter,
) -> Result<Replayed, SinkError> {
    let context = SinkContext { group: String::new(), cluster_id: None, owner: "replay".into() };
    let session = open(options, &target.shape, &context).await?;
    let insert = insert(&session, &target.shape);
    let mut done = Replayed::default();
    let mut after = i64::MIN;
    let mut left = filter.limit.unwrap_or(u64::MAX);
    while left > 0 {
        let limit = left.min(PAGE as u64) as i64;
        let letters = page(session.client(), &options.url, filter, after, limit).await?;
        let Some(last) = letters.last() else { break };
        let next = last.id;
        left -= letters.len() as u64;
        // Somebody else has taken some of them: then they are read again.
        if let Some(page) = replay_page(&session, target, decoder, &insert, &letters).await? {
            after = next;
            done.stored += page.stored;
            done.refused.extend(page.refused);
        } else {
            left += letters.len() as u64;
        }
    }
    Ok(done)
}

/// The statement that stores a row unless a newer one is in its place.
fn insert(session: &Session, shape: &TableShape) -> Query {
    let newer = if shape.key().is_empty() { None } else { shape.not_older() };
    let sql = super::statements::insert_sql(shape, &newer.unwrap_or_default());
    Query::unprepared(sql, session.columns.iter().map(|column| column.array.clone()).collect())
}

/// One transaction. `None`, and nothing done, if some letters are gone.
async fn replay_page<D: Decoder>(
    session: &Session,
    target: &Target<D::Row>,
    decoder: &D,
    insert: &Query,
    letters: &[DeadLetter],
) -> Result<Option<Replayed>, SinkError> {
    let now = tokio::time::Instant::now();
    let committed_at_ms = crate::clock::now_ms();
    let entries = letters.iter().map(|letter| {
        let outcome = decode(decoder, &letter.record);
        Entry::new(letter.record.clone(), outcome, now, committed_at_ms)
    });
    let batch = Batch { entries: entries.collect(), positions: Vec::new() };
    let (mut rows, mut refused) = CopyRows::encode(&batch, &session.columns, target)?;
    rows.stamp(committed_at_ms);
    let plan = Plan::new(rows.len(), None, rows.same_key_before());
    for (row, error) in store(session, &rows, plan, insert).await? {
        let why = Rejection::new(reason::REJECTED_BY_DATABASE, describe(&error));
        refused.push((rows.entry(row), why));
    }
    refused.extend(
        batch.entries.iter().enumerate().filter_map(|(index, entry)| {
            entry.outcome.as_ref().err().map(|why| (index, why.clone()))
        }),
    );
    refused.sort_by_key(|(index, _)| *index);
    finish(session, letters, &refused).await
}

/// Removes the stored letters, tells the others their new reason, commits.
async fn finish(
    session: &Session,
    letters: &[DeadLetter],
    refused: &Rejected,
) -> Result<Option<Replayed>, SinkError> {
    let client = session.client();
    let failed = |error: Error| sink_error("replaying dead letters", &error);
    let is_refused = |index: usize| refused.binary_search_by_key(&index, |(at, _)| *at).is_ok();
    let stored: Vec<i64> = letters
        .iter()
        .enumerate()
        .filter(|(index, _)| !is_refused(*index))
        .map(|(_, letter)| letter.id)
        .collect();
    let gone =
        client.execute_typed(DELETE, &[(&stored, Type::INT8_ARRAY)]).await.map_err(failed)?;
    if gone != stored.len() as u64 {
        client.batch_execute("ROLLBACK").await.map_err(failed)?;
        return Ok(None);
    }
    let ids: Vec<i64> = refused.iter().map(|(index, _)| letters[*index].id).collect();
    let codes: Vec<&str> = refused.iter().map(|(_, why)| why.code).collect();
    let reasons: Vec<String> =
        refused.iter().map(|(_, why)| why.reason.replace('\0', "\u{fffd}")).collect();
    let values: [(&(dyn ToSql + Sync), Type); 3] =
        [(&ids, Type::INT8_ARRAY), (&codes, Type::TEXT_ARRAY), (&reasons, Type::TEXT_ARRAY)];
    let told = client.execute_typed(REFUSE, &values).await.map_err(failed)?;
    // What another replay has just stored is refused here as a duplicate, and is no letter any more.
    if told != ids.len() as u64 {
        client.batch_execute("ROLLBACK").await.map_err(failed)?;
        return Ok(None);
    }
    client.batch_execute("COMMIT").await.map_err(failed)?;
    let refused = ids.into_iter().zip(codes).zip(reasons);
    Ok(Some(Replayed {
        stored: gone,
        refused: refused.map(|((id, code), reason)| (id, code.to_owned(), reason)).collect(),
    }))
}
