//! Tables, and whose database it is.
//!
//! An existing schema is only read here: a pod needs no right to create, and
//! pods that start together wait for each other only the first time.
//!
//! No index is made on the rows' table: each would slow every COPY down. `id`
//! grows in commit order within a partition, whoever writes it.

use tidegate_postgres::PostgresUrl;
use tidegate_postgres::tokio_postgres::types::Type;
use tidegate_postgres::tokio_postgres::{Client, Error};

use super::PostgresRow;
use super::classify::sink_error;
use crate::sink::{SinkContext, SinkError};

/// Stored in `meta`; another number is another program's database.
const SCHEMA_VERSION: &str = "1";

/// Held while tables are created: two `CREATE TABLE IF NOT EXISTS` at the same
/// time can both find nothing. The number means nothing.
const CREATION_LOCK: i64 = 0x7469_6465_6761_7465;

/// The record's own columns, behind the row's.
const RECORD_COLUMNS: [(&str, &str); 5] = [
    ("kafka_topic", "text"),
    ("kafka_partition", "integer"),
    ("kafka_offset", "bigint"),
    ("record_timestamp_ms", "bigint"),
    ("committed_at_ms", "bigint"),
];

/// Half of each page of positions stays free, for the versions of its rows that
/// are written with each batch.
const COMMON_TABLES: &str = "
CREATE TABLE IF NOT EXISTS dead_letters (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  kafka_topic text, kafka_partition integer, kafka_offset bigint, record_timestamp_ms bigint,
  key bytea, payload bytea, headers text, reason_code text, reason text, committed_at_ms bigint);
CREATE TABLE IF NOT EXISTS positions (
  consumer_group text, kafka_topic text, kafka_partition integer, next_offset bigint NOT NULL,
  owner text, updated_at_ms bigint, PRIMARY KEY (consumer_group, kafka_topic, kafka_partition))
  WITH (fillfactor = 50);
CREATE TABLE IF NOT EXISTS meta (key text PRIMARY KEY, value text);
";

/// A name as SQL reads it literally.
pub(super) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// Creates the tables if there are none; refuses another version's, another
/// cluster's and an encoding that cannot hold every text.
pub(super) async fn make_ready<R: PostgresRow>(
    client: &Client,
    url: &PostgresUrl,
    context: &SinkContext,
) -> Result<(), SinkError> {
    let failed = |error: Error| sink_error(&format!("preparing {url}"), &error);
    let encoding: String =
        client.query_one("SHOW server_encoding", &[]).await.map_err(failed)?.get(0);
    if encoding != "UTF8" {
        return Err(SinkError::Fatal(format!(
            "{url} has the encoding {encoding}: create it with ENCODING 'UTF8'"
        )));
    }
    if meta(client, "schema_version").await.map_err(failed)?.is_none() {
        client.batch_execute(&creation::<R>()).await.map_err(failed)?;
    }
    let version = meta(client, "schema_version").await.map_err(failed)?;
    if version.as_deref() != Some(SCHEMA_VERSION) {
        return Err(SinkError::Fatal(format!(
            "{url} has schema version {}, this program writes version {SCHEMA_VERSION}",
            version.as_deref().unwrap_or("(none)")
        )));
    }
    check_cluster(client, url, context).await
}

/// One transaction: all tables and the version, or nothing.
fn creation<R: PostgresRow>() -> String {
    let columns: String = R::COLUMNS
        .iter()
        .chain(&RECORD_COLUMNS)
        .map(|(name, kind)| format!(", {} {kind}", quoted(name)))
        .collect();
    format!(
        "BEGIN; SELECT pg_advisory_xact_lock({CREATION_LOCK});
         CREATE TABLE IF NOT EXISTS {} (id bigint GENERATED ALWAYS AS IDENTITY{columns});
         {COMMON_TABLES}
         INSERT INTO meta (key, value) VALUES ('schema_version', '{SCHEMA_VERSION}')
           ON CONFLICT DO NOTHING;
         COMMIT",
        quoted(R::TABLE)
    )
}

/// `None` also if there is no table `meta` yet.
async fn meta(client: &Client, key: &str) -> Result<Option<String>, Error> {
    let exists = client.query_one("SELECT to_regclass('meta') IS NOT NULL", &[]).await?;
    if !exists.get::<_, bool>(0) {
        return Ok(None);
    }
    let row = client.query_opt("SELECT value FROM meta WHERE key = $1::text", &[&key]).await?;
    row.map_or(Ok(None), |row| row.try_get(0))
}

/// Offsets of one cluster mean nothing in another.
async fn check_cluster(
    client: &Client,
    url: &PostgresUrl,
    context: &SinkContext,
) -> Result<(), SinkError> {
    let failed = |error: Error| sink_error(&format!("preparing {url}"), &error);
    let Some(wanted) = &context.cluster_id else { return Ok(()) };
    if meta(client, "cluster_id").await.map_err(failed)?.is_none() {
        client
            .execute(
                "INSERT INTO meta (key, value) VALUES ('cluster_id', $1::text) \
                 ON CONFLICT DO NOTHING",
                &[wanted],
            )
            .await
            .map_err(failed)?;
    }
    match meta(client, "cluster_id").await.map_err(failed)? {
        Some(found) if found == *wanted => Ok(()),
        found => Err(SinkError::Fatal(format!(
            "{url} holds positions of Kafka cluster {}, the brokers belong to cluster {wanted}: \
             use another database",
            found.as_deref().unwrap_or("(unknown)")
        ))),
    }
}

/// The columns to write, with the types that the table gives them. Binary data
/// of another type would not be read as what it is.
pub(super) async fn columns<R: PostgresRow>(
    client: &Client,
    url: &PostgresUrl,
) -> Result<Vec<(String, Type)>, SinkError> {
    let other = |error: Error| sink_error(&format!("{url} has another schema"), &error);
    let wanted: Vec<(&str, &str)> = R::COLUMNS.iter().chain(&RECORD_COLUMNS).copied().collect();
    let list = |item: fn(&(&str, &str)) -> String| -> String {
        wanted.iter().map(item).collect::<Vec<_>>().join(", ")
    };
    let names = list(|(name, _)| quoted(name));
    let nulls = list(|(_, kind)| format!("NULL::{kind}"));
    let table = quoted(R::TABLE);
    let found = client.prepare(&format!("SELECT {names} FROM {table}")).await.map_err(other)?;
    let expected = client.prepare(&format!("SELECT {nulls}")).await.map_err(other)?;
    for (found, expected) in found.columns().iter().zip(expected.columns()) {
        if !is_same(found.type_(), expected.type_()) {
            return Err(SinkError::Fatal(format!(
                "{url} has another schema: column {} of {} is {}, this program writes {}",
                found.name(),
                R::TABLE,
                found.type_(),
                expected.type_()
            )));
        }
    }
    Ok(found.columns().iter().map(|c| (c.name().to_owned(), c.type_().clone())).collect())
}

/// Texts are the same on the wire.
fn is_same(found: &Type, expected: &Type) -> bool {
    let is_text = |kind: &Type| matches!(*kind, Type::TEXT | Type::VARCHAR | Type::BPCHAR);
    found == expected || (is_text(found) && is_text(expected))
}
