//! A PostgreSQL database, read as one snapshot.
//!
//! Blocking, on a thread of its own: an audit may be called from a runtime. Nothing is
//! prepared: behind a pooler in transaction mode another client may have left its statements.

use std::collections::HashMap;
use std::pin::pin;

use futures_util::TryStreamExt as _;
use tidegate_postgres::tokio_postgres::types::{ToSql, Type};
use tidegate_postgres::tokio_postgres::{self, Client};
use tidegate_postgres::{ConnectOptions, connect, describe};

use super::{Dead, Reader, Row};
use crate::audit::AuditTable;
use crate::audit::table::Dialect;

const POSITIONS: &str = "SELECT kafka_partition, max(next_offset) FROM positions \
     WHERE kafka_topic = $1::text GROUP BY 1";
const HAS_COLUMN: &str = "SELECT count(*) FROM pg_attribute WHERE attrelid = to_regclass($1::text) \
     AND attname = $2::text AND attnum > 0 AND NOT attisdropped";
const DEAD_LETTERS: &str = "SELECT kafka_partition, kafka_offset, payload FROM dead_letters \
     WHERE kafka_topic = $1::text ORDER BY id";

pub(super) fn is_used(options: &ConnectOptions) -> Result<bool, String> {
    with_client(options, async |client| {
        let exists = "SELECT to_regclass('positions') IS NOT NULL";
        client.query_typed_one(exists, &[]).await?.try_get(0)
    })?
    .map_err(|error| describe(&error))
}

const DIALECT: Dialect = Dialect {
    parameter: "$1::text",
    cast: |expression, kind| format!("{expression}::{kind}"),
    time_ms: |time| format!("(extract(epoch FROM {time}) * 1000)::int8"),
};

pub(super) fn read(
    options: &ConnectOptions,
    topic: &str,
    table: &AuditTable,
    reader: &mut (impl Reader + Send),
) -> Result<(), String> {
    with_client(options, async |client| read_tables(client, topic, table, reader).await)?
        .map_err(|error| describe(&error))
}

/// Runs `work` on a connection.
fn with_client<T: Send>(
    options: &ConnectOptions,
    work: impl AsyncFnOnce(&Client) -> T + Send,
) -> Result<T, String> {
    let run = || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| error.to_string())?;
        runtime.block_on(async {
            let connected =
                connect(options, "tidegate audit").await.map_err(|error| error.to_string())?;
            Ok(work(&connected.client).await)
        })
    };
    std::thread::scope(|scope| {
        scope.spawn(run).join().unwrap_or_else(|_| Err("the reading thread panicked".into()))
    })
}

async fn read_tables(
    client: &Client,
    topic: &str,
    table: &AuditTable,
    reader: &mut impl Reader,
) -> Result<(), tokio_postgres::Error> {
    client.batch_execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await?;
    let mut positions = HashMap::new();
    each(client, POSITIONS, topic, |row| {
        positions.insert(row.try_get(0)?, row.try_get(1)?);
        Ok(())
    })
    .await?;
    reader.positions(positions);
    let is_numbered = match &table.number {
        None => false,
        Some(number) => {
            let table = table.quoted();
            let values: [(&(dyn ToSql + Sync), Type); 2] =
                [(&table, Type::TEXT), (number, Type::TEXT)];
            let found = client.query_typed_one(HAS_COLUMN, &values).await?;
            found.try_get::<_, i64>(0)? > 0
        }
    };
    reader.rows_are_ordered(is_numbered);
    each(client, &table.select(is_numbered, &DIALECT), topic, |row| {
        reader.row(&Row {
            trade_id: row.try_get(0)?,
            partition: row.try_get(1)?,
            offset: row.try_get(2)?,
            committed_at_ms: row.try_get(3)?,
        });
        Ok(())
    })
    .await?;
    each(client, DEAD_LETTERS, topic, |row| {
        reader.dead_letter(&Dead {
            partition: row.try_get(0)?,
            offset: row.try_get(1)?,
            payload: row.try_get(2)?,
        });
        Ok(())
    })
    .await
}

async fn each(
    client: &Client,
    query: &str,
    topic: &str,
    mut take: impl FnMut(&tokio_postgres::Row) -> Result<(), tokio_postgres::Error>,
) -> Result<(), tokio_postgres::Error> {
    let parameters: [(&(dyn ToSql + Sync), Type); 1] = [(&topic, Type::TEXT)];
    let mut rows = pin!(client.query_typed_raw(query, parameters).await?);
    while let Some(row) = rows.try_next().await? {
        take(&row)?;
    }
    Ok(())
}
