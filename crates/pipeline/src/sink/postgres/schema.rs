//! Tables, and whose database it is.
//!
//! An existing schema is only read here: a pod needs no right to create, and
//! pods that start together wait for each other only the first time. No
//! statement is prepared: behind a pooler it could be lost before it is used.
//!
//! No index is made on a table of added rows: each would slow every COPY down.
//! `id` grows in commit order within a partition, whoever writes it. A table
//! that is written by key has the key as its primary key, and no `id`.

use tidegate_postgres::PostgresUrl;
use tidegate_postgres::tokio_postgres::types::{Kind, ToSql, Type};
use tidegate_postgres::tokio_postgres::{Client, Error, Row};

use super::classify::sink_error;
use super::rights;
use crate::sink::{SinkContext, SinkError};
use crate::table::{Drift, FoundColumn, TableShape, compare, drift_lines, quoted};

/// Stored in `meta`; another number is another program's database.
const SCHEMA_VERSION: &str = "1";

/// Held while tables are created: two `CREATE TABLE IF NOT EXISTS` at the same
/// time can both find nothing. The number means nothing.
const CREATION_LOCK: i64 = 0x7469_6465_6761_7465;

/// Half of each page of positions stays free, for the versions of its rows that
/// are written with each batch.
const COMMON_TABLES: &str = "CREATE TABLE IF NOT EXISTS dead_letters (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  kafka_topic text, kafka_partition integer, kafka_offset bigint, record_timestamp_ms bigint,
  key bytea, payload bytea, headers text, reason_code text, reason text, committed_at_ms bigint);
CREATE TABLE IF NOT EXISTS positions (
  consumer_group text, kafka_topic text, kafka_partition integer, next_offset bigint NOT NULL,
  owner text, updated_at_ms bigint, PRIMARY KEY (consumer_group, kafka_topic, kafka_partition))
  WITH (fillfactor = 50);
CREATE TABLE IF NOT EXISTS meta (key text PRIMARY KEY, value text);
";

/// What [`TableShape`] needs from the catalog about a column.
const SELECT_COLUMNS: &str = "SELECT a.attname::text, format_type(a.atttypid, a.atttypmod), \
       a.attnotnull OR t.typnotnull, a.atthasdef OR a.attidentity <> ''::\"char\", \
       a.attgenerated <> ''::\"char\" OR a.attidentity = 'a'::\"char\", \
       b.oid, b.typname::text, b.typarray \
     FROM pg_catalog.pg_attribute a \
     JOIN pg_catalog.pg_type t ON t.oid = a.atttypid \
     JOIN pg_catalog.pg_type b ON b.oid = ( \
       WITH RECURSIVE d (oid, base) AS (SELECT t.oid, t.typbasetype \
         UNION ALL SELECT n.oid, n.typbasetype FROM d JOIN pg_catalog.pg_type n ON n.oid = d.base) \
       SELECT oid FROM d WHERE base = 0) \
     WHERE a.attrelid = to_regclass($1) AND a.attnum > 0 AND NOT a.attisdropped \
     ORDER BY a.attnum";

/// A unique index on exactly these columns, sorted, that `ON CONFLICT` can use.
const HAS_UNIQUE_INDEX: &str = "SELECT EXISTS (SELECT 1 FROM pg_catalog.pg_index i \
     WHERE i.indrelid = to_regclass($1) AND i.indisunique AND i.indimmediate AND i.indisvalid \
       AND i.indpred IS NULL AND i.indexprs IS NULL AND $2 = ( \
         SELECT array_agg(a.attname::text ORDER BY a.attname::text COLLATE \"C\") \
         FROM pg_catalog.pg_attribute a WHERE a.attrelid = i.indrelid \
           AND a.attnum = ANY ((i.indkey::int2[])[0:i.indnkeyatts - 1])))";

/// A column that is written, with the types that the table gives it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Column {
    pub(super) name: String,
    pub(super) kind: Type,
    /// The type of an array of it.
    pub(super) array: Type,
}

pub(super) async fn rows(
    client: &Client,
    sql: &str,
    values: &[(&(dyn ToSql + Sync), Type)],
) -> Result<Vec<Row>, Error> {
    client.query_typed(sql, values).await
}

/// Creates the tables if there are none; refuses another version's, another
/// cluster's and an encoding that cannot hold every text.
pub(super) async fn make_ready(
    client: &Client,
    url: &PostgresUrl,
    shape: &TableShape,
    context: &SinkContext,
) -> Result<(), SinkError> {
    let failed = |error: Error| sink_error(&format!("preparing {url}"), &error);
    check_encoding(client, url).await?;
    let has_table = exists(client, &shape.quoted_table()).await.map_err(failed)?;
    if !has_table || meta(client, "schema_version").await.map_err(failed)?.is_none() {
        create(client, shape).await.map_err(failed)?;
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

async fn check_encoding(client: &Client, url: &PostgresUrl) -> Result<(), SinkError> {
    let sql = "SELECT current_setting('server_encoding')";
    let found = rows(client, sql, &[]).await;
    let found = found.and_then(|rows| rows.first().map_or(Ok(String::new()), |row| row.try_get(0)));
    let encoding = found.map_err(|error| sink_error(&format!("preparing {url}"), &error))?;
    if encoding != "UTF8" {
        return Err(SinkError::Fatal(format!(
            "{url} has the encoding {encoding}: create it with ENCODING 'UTF8'"
        )));
    }
    Ok(())
}

/// All tables and the version, or nothing.
pub(super) async fn create(client: &Client, shape: &TableShape) -> Result<(), Error> {
    let ddl = ddl(shape);
    client
        .batch_execute(&format!(
            "BEGIN; SELECT pg_advisory_xact_lock({CREATION_LOCK}); {ddl} COMMIT"
        ))
        .await
}

/// The statements that make an empty database ready for a shape.
pub(crate) fn ddl(shape: &TableShape) -> String {
    let mut lines: Vec<String> = Vec::new();
    if shape.is_numbered() {
        lines.push("id bigint GENERATED ALWAYS AS IDENTITY".into());
    }
    lines.extend(shape.written().map(|column| {
        let not_null = if column.not_null == Some(true) { " NOT NULL" } else { "" };
        format!("{} {}{not_null}", quoted(&column.name), column.sql_type)
    }));
    if !shape.key().is_empty() {
        let key = shape.key().iter().map(|name| quoted(name)).collect::<Vec<_>>().join(", ");
        lines.push(format!("PRIMARY KEY ({key})"));
    }
    format!(
        "CREATE TABLE IF NOT EXISTS {} (\n  {});\n{COMMON_TABLES}INSERT INTO meta (key, value) \
         VALUES ('schema_version', '{SCHEMA_VERSION}')\n  ON CONFLICT DO NOTHING;\n",
        shape.quoted_table(),
        lines.join(",\n  ")
    )
}

async fn exists(client: &Client, table: &str) -> Result<bool, Error> {
    let sql = "SELECT to_regclass($1) IS NOT NULL";
    let found = rows(client, sql, &[(&table, Type::TEXT)]).await?;
    found.first().map_or(Ok(false), |row| row.try_get(0))
}

/// `None` also if there is no table `meta` yet.
async fn meta(client: &Client, key: &str) -> Result<Option<String>, Error> {
    if !exists(client, "meta").await? {
        return Ok(None);
    }
    let sql = "SELECT value FROM meta WHERE key = $1";
    let found = rows(client, sql, &[(&key, Type::TEXT)]).await?;
    found.first().map_or(Ok(None), |row| row.try_get(0))
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
        let sql = "INSERT INTO meta (key, value) VALUES ('cluster_id', $1) ON CONFLICT DO NOTHING";
        client.execute_typed(sql, &[(wanted, Type::TEXT)]).await.map_err(failed)?;
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

/// The columns to write, with the types that the table gives them; refuses a
/// table that does not fit, with every column that does not.
pub(super) async fn columns(
    client: &Client,
    url: &PostgresUrl,
    shape: &TableShape,
) -> Result<Vec<Column>, SinkError> {
    let failed = |error: Error| sink_error(&format!("reading the columns of {url}"), &error);
    let real = real_columns(client, shape).await.map_err(failed)?;
    let drifts = compare_all(client, shape, &real).await.map_err(failed)?;
    if let Some(lines) = drift_lines(&drifts) {
        return Err(SinkError::Fatal(format!(
            "{url}: table {} does not fit: {lines}",
            shape.table
        )));
    }
    let kinds = kinds(client, shape, &real).await.map_err(failed)?;
    let column = |name: &str| real.iter().position(|real| real.found.name == name);
    Ok(shape
        .written()
        .filter_map(|written| column(&written.name))
        .map(|at| Column {
            name: real[at].found.name.clone(),
            kind: kinds[at].clone(),
            array: array_of(&kinds[at], real[at].array_oid),
        })
        .collect())
}

/// Refuses a role that cannot write positions or dead letters: else the first dead letter,
/// weeks later, would end the pods.
pub(super) async fn check_rights(client: &Client, url: &PostgresUrl) -> Result<(), SinkError> {
    let lacking = rights::lacking_of_own(client).await;
    let lacking = lacking.map_err(|error| sink_error(&format!("preparing {url}"), &error))?;
    drift_lines(&lacking).map_or(Ok(()), |lines| Err(SinkError::Fatal(format!("{url}: {lines}"))))
}

/// How a real table differs from a shape; `None` if there is no such table.
pub(super) async fn drift(
    client: &Client,
    shape: &TableShape,
) -> Result<Option<Vec<Drift>>, Error> {
    if !exists(client, &shape.quoted_table()).await? {
        return Ok(None);
    }
    let real = real_columns(client, shape).await?;
    let mut drifts = compare_all(client, shape, &real).await?;
    drifts.extend(rights::lacking_of_own(client).await?);
    Ok(Some(drifts))
}

struct RealColumn {
    found: FoundColumn,
    oid: u32,
    array_oid: u32,
}

async fn real_columns(client: &Client, shape: &TableShape) -> Result<Vec<RealColumn>, Error> {
    let table = shape.quoted_table();
    let found = rows(client, SELECT_COLUMNS, &[(&table, Type::TEXT)]).await?;
    found
        .iter()
        .map(|row| {
            Ok(RealColumn {
                found: FoundColumn {
                    name: row.try_get(0)?,
                    sql_type: row.try_get(1)?,
                    not_null: row.try_get(2)?,
                    is_filled: row.try_get(3)?,
                    is_generated: row.try_get(4)?,
                },
                oid: row.try_get(5)?,
                array_oid: row.try_get(7)?,
            })
        })
        .collect()
}

async fn compare_all(
    client: &Client,
    shape: &TableShape,
    real: &[RealColumn],
) -> Result<Vec<Drift>, Error> {
    let wanted: Vec<&str> = shape.written().map(|column| column.sql_type.as_str()).collect();
    let sql = "SELECT w::regtype::oid FROM unnest($1) WITH ORDINALITY AS u (w, n) ORDER BY n";
    let oids = rows(client, sql, &[(&wanted, Type::TEXT_ARRAY)]).await?;
    let oids: Vec<u32> = oids.iter().map(|row| row.try_get(0)).collect::<Result<_, _>>()?;
    let found: Vec<FoundColumn> = real.iter().map(|real| real.found.clone()).collect();
    let mut drifts = compare(shape, &found, |index, column| {
        let oid = real.iter().find(|real| real.found.name == column.name).map(|real| real.oid);
        oid.is_some_and(|oid| is_same(oid, oids[index]))
    });
    for column in found.iter().filter(|real| shape.written().any(|w| w.name == real.name)) {
        if let Some(what) = rounds(&column.sql_type) {
            drifts.push(Drift { column: column.name.clone(), what, is_error: false });
        }
    }
    drifts.extend(rights::lacking(client, shape).await?);
    let mut key = shape.key().to_vec();
    if !key.is_empty() {
        key.sort();
        let values: [(&(dyn ToSql + Sync), Type); 2] =
            [(&shape.quoted_table(), Type::TEXT), (&key, Type::TEXT_ARRAY)];
        let found = rows(client, HAS_UNIQUE_INDEX, &values).await?;
        if !found.first().map_or(Ok(false), |row| row.try_get(0))? {
            drifts.push(Drift {
                column: key.join(", "),
                what: "is the key and has no unique index".into(),
                is_error: true,
            });
        }
    }
    Ok(drifts)
}

/// What a type with a modifier does to values silently; longer texts and larger numbers it
/// refuses.
fn rounds(sql_type: &str) -> Option<String> {
    let (name, rest) = sql_type.split_once('(')?;
    let (modifier, _) = rest.split_once(')')?;
    let digits = match name {
        "numeric" => modifier.split_once(',').map_or("0", |(_, scale)| scale),
        "timestamp" => modifier,
        _ => return None,
    };
    Some(format!("has type {sql_type}: values are rounded to {digits} digits after the point"))
}

/// Texts are the same on the wire.
fn is_same(found: u32, expected: u32) -> bool {
    let is_text =
        |oid: u32| [Type::TEXT, Type::VARCHAR, Type::BPCHAR].iter().any(|kind| kind.oid() == oid);
    found == expected || (is_text(found) && is_text(expected))
}

/// The types of the real columns. What the client does not know by number (an
/// enum, an extension's type) it asks the server for.
async fn kinds(
    client: &Client,
    shape: &TableShape,
    real: &[RealColumn],
) -> Result<Vec<Type>, Error> {
    let is_written = |real: &RealColumn| shape.written().any(|w| w.name == real.found.name);
    let known: Vec<Option<Type>> = real.iter().map(|real| Type::from_oid(real.oid)).collect();
    if real.iter().zip(&known).all(|(real, kind)| kind.is_some() || !is_written(real)) {
        return Ok(known.into_iter().map(|kind| kind.unwrap_or(Type::UNKNOWN)).collect());
    }
    let names = real.iter().map(|real| quoted(&real.found.name)).collect::<Vec<_>>().join(", ");
    let sql = format!("SELECT {names} FROM {}", shape.quoted_table());
    client.batch_execute("BEGIN").await?;
    let found = client
        .prepare(&sql)
        .await
        .map(|statement| statement.columns().iter().map(|column| column.type_().clone()).collect());
    client.batch_execute("ROLLBACK").await?;
    found
}

fn array_of(kind: &Type, oid: u32) -> Type {
    Type::from_oid(oid).unwrap_or_else(|| {
        let name = format!("_{}", kind.name());
        Type::new(name, oid, Kind::Array(kind.clone()), kind.schema().to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_with_a_scale_round_and_others_do_not() {
        let digits = |sql_type: &str| {
            let what = rounds(sql_type)?;
            let (_, rest) = what.split_once("rounded to ")?;
            rest.split(' ').next()?.parse::<u32>().ok()
        };
        for (sql_type, expected) in [
            ("numeric(5,2)", Some(2)),
            ("numeric(5)", Some(0)),
            ("timestamp(0) with time zone", Some(0)),
            ("numeric", None),
            ("timestamp with time zone", None),
            ("character varying(5)", None),
        ] {
            assert_eq!(digits(sql_type), expected, "{sql_type}");
        }
    }
}
