//! Rows, dead letters and positions in a PostgreSQL database, in one
//! transaction a batch: each record's effect exactly once.
//!
//! Contract: many processes may write one database. What COMMIT returned for is
//! as durable as the server's `synchronous_commit` makes it. Sessions are read
//! committed, whatever the server's default is. Two exchanges with the server
//! write a batch of any size.
//!
//! A position is looked at first, so that a fenced owner does no work, and is
//! compared and set last, by a statement that travels together with the COMMIT.
//! So its lock is held for as long as the server needs for the two, and an
//! owner that is frozen in the middle of a batch holds up nobody.
//!
//! Connections: a small pool, one by default, since ninety pods with two each would
//! need more than a stock server's hundred. One write, or one reading of
//! positions, has a connection at a time. A batch is encoded before it waits for
//! one, and gets it as soon as the COMMIT of the one before is sent, not when it is
//! answered: while the server makes that one durable, the next has said what it wants.
//! Batches in flight have no partition in common: which connection writes which does not
//! matter for order, nor does what becomes of the one before. An abandoned write takes
//! its connection with it; if its COMMIT was on the way already, the connection is
//! the next write's, and the positions keep the effect exactly once.
//!
//! Threads: tasks of the caller's runtime drive the connections; batches are
//! encoded on the runtime's threads for blocking work.
//!
//! Rejected: positions locked at the start of the transaction (a frozen owner
//! would stop its successor); a staging table (needs one more right, and every
//! row would be written twice); `committed_at_ms` set by an UPDATE (every row
//! would be written twice) or by a column's default (`clock_timestamp()` makes
//! COPY insert row by row).
//!
//! # Layout
//! - `pool`: the sessions, and whose turn it is
//! - `connect`: a session: settings, tables, prepared statements
//! - `schema`: tables, and whose database it is
//! - `rights`: what keeps a role from writing
//! - `row`: how a row type becomes a table
//! - `copy`: a batch in the binary COPY format
//! - `arrays`: the same rows as one array a column
//! - `statements`: what is prepared once a session, or sent with its text
//! - `transaction`: positions, rows, dead letters, commit; `sending`: without waiting;
//!   `burying`: dead letters
//! - `upsert`: rows with a key
//! - `admin`, `letters`: for the tools: tables, dead letters
//! - `patience`: how long an answer is waited for
//! - `sift`: the rows that the database refuses
//! - `stalled`: sessions of pods that are stopped in the middle of a COPY
//! - `classify`: SQLSTATE as retry, fatal or the row's fault

mod admin;
mod arrays;
mod burying;
mod classify;
mod connect;
mod copy;
pub(crate) mod letters;
mod patience;
mod pool;
mod rights;
mod row;
mod schema;
mod sending;
mod sift;
mod stalled;
mod statements;
mod transaction;
mod upsert;

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use tidegate_kafka::{Record, TopicPartition};
use tidegate_postgres::ConnectOptions;
use tokio::task::spawn_blocking;

pub use row::{BindError, CopyBinder, Numeric, PostgresRow, Timestamptz};
pub use tidegate_postgres::{PostgresUrl, UrlError, tokio_postgres};

pub(crate) use self::admin::{check, create};
pub(crate) use self::copy::JSONB_VERSION;
pub(crate) use self::schema::ddl;

use self::connect::Columns;
use self::copy::{CopyRows, Rejected};
use self::patience::Patience;
use self::pool::{Lease, Pool};
use self::transaction::{Failed, How};
use crate::batch::Batch;
use crate::dead_letters::DeadLetterTopic;
use crate::decode::{Row, TradeRow};
use crate::sink::{Sink, SinkContext, SinkError, Written};
use crate::table::{MappedRow, Mapping, RecordField, TableShape};

/// Which database, and how to reach it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PostgresOptions {
    /// The database; its tables are created if absent. TLS as `sslmode` says.
    pub url: PostgresUrl,
    /// A file with the password. A password in the URL goes before it, it goes
    /// before `PGPASSWORD`.
    pub password_file: Option<PathBuf>,
    /// Longest wait for a connection, milliseconds.
    pub connect_timeout_ms: u64,
    /// Longest wait for a lock before the attempt counts as failed and the
    /// pipeline backs off, milliseconds; 0 waits for ever.
    pub lock_timeout_ms: u64,
    /// Longest wait for the server's answer to a whole batch before the connection
    /// is given up, milliseconds; above `lock_timeout_ms`. It doubles for a partition
    /// with each wait in a row that was too short.
    pub answer_timeout_ms: u64,
    /// The server is reached through a pooler in transaction mode (PgBouncer):
    /// nothing is kept between transactions. Costs an exchange a batch.
    pub pooled: bool,
    /// Connections, and so writes at once, 1 to 64.
    pub connections: usize,
}

impl PostgresOptions {
    /// The defaults for a database.
    pub fn new(url: PostgresUrl) -> Self {
        Self {
            url,
            password_file: None,
            connect_timeout_ms: 5_000,
            lock_timeout_ms: 5_000,
            answer_timeout_ms: 10_000,
            pooled: false,
            connections: 1,
        }
    }

    fn connection(&self) -> ConnectOptions {
        ConnectOptions {
            url: self.url.clone(),
            password_file: self.password_file.clone(),
            connect_timeout_ms: self.connect_timeout_ms,
        }
    }
}

/// The PostgreSQL sink.
pub struct PostgresSink<R = TradeRow> {
    options: PostgresOptions,
    reading: Patience,
    writing: Patience,
    target: Arc<Target<R>>,
    topic: Option<DeadLetterTopic>,
    pool: Pool,
}

/// Where rows of a type go, and how they are given.
pub(crate) struct Target<R> {
    pub(crate) shape: TableShape,
    bind: fn(&R, &Record, &mut CopyBinder<'_>) -> Result<(), BindError>,
}

/// The built-in trades.
pub(crate) fn trades() -> Target<TradeRow> {
    let (table, columns) = (TradeRow::TABLE, TradeRow::COLUMNS);
    let shape = TableShape::typed(table, columns, RecordField::postgres_type);
    Target { shape, bind: |row, _, binder| row.bind(binder) }
}

/// A mapping's rows.
pub(crate) fn mapped(mapping: &Mapping) -> Target<MappedRow> {
    Target { shape: mapping.postgres_shape(), bind: MappedRow::bind_postgres }
}

/// A smaller batch is encoded at once: to hand it over costs more.
const ENCODE_INLINE_RECORDS: usize = 256;

impl<R: PostgresRow> PostgresSink<R> {
    /// Rows are added to the row type's table. Does not connect yet;
    /// [`Sink::prepare`] does.
    pub fn new(options: PostgresOptions) -> Self {
        let shape = TableShape::typed(R::TABLE, R::COLUMNS, RecordField::postgres_type);
        Self::with_target(options, Target { shape, bind: |row, _, binder| row.bind(binder) })
    }

    /// Rows take the place of those with the same key; see
    /// [`WriteMode::Upsert`](crate::table::WriteMode::Upsert).
    pub fn upsert(options: PostgresOptions, key: &[&str]) -> Self {
        let shape = TableShape::typed(R::TABLE, R::COLUMNS, RecordField::postgres_type);
        Self::with_target(
            options,
            Target { shape: shape.upsert(key), bind: |row, _, binder| row.bind(binder) },
        )
    }
}

impl PostgresSink<MappedRow> {
    /// Rows of a mapping, for its [`MappedDecoder`](crate::table::MappedDecoder).
    pub fn mapped(options: PostgresOptions, mapping: &Mapping) -> Self {
        Self::with_target(options, mapped(mapping))
    }
}

impl<R: Row> PostgresSink<R> {
    fn with_target(options: PostgresOptions, target: Target<R>) -> Self {
        let patience = || Patience::new(options.answer_timeout_ms);
        let (reading, writing) = (patience(), patience());
        let pool = Pool::new(options.connections.clamp(1, 64));
        Self { options, reading, writing, target: Arc::new(target), topic: None, pool }
    }

    /// Publishes dead letters to a topic as well, before each commit.
    #[must_use]
    pub fn dead_letter_topic(self, topic: DeadLetterTopic) -> Self {
        Self { topic: Some(topic), ..self }
    }

    async fn lease(&self) -> Result<Lease<'_>, SinkError> {
        self.pool.lease(&self.options, &self.target.shape).await
    }

    /// A lock was waited for in vain: those who hold one and say nothing are ended.
    async fn end_stalled(&self) {
        let Ok(lease) = self.lease().await else { return };
        let ended = stalled::end(&lease.session, self.options.lock_timeout_ms).await;
        match &ended {
            Ok(0) => {}
            Ok(sessions) => tracing::warn!(sessions, "ended sessions of pods that are stopped"),
            Err(error) => tracing::debug!(%error, "stalled sessions were not ended"),
        }
        self.pool.put_back(lease, &ended);
    }

    /// The attempt that expects nothing bad. The turn ends with its COMMIT on the way.
    async fn attempt(
        &self,
        lease: Lease<'_>,
        batch: &Batch<R>,
        encoded: (&mut CopyRows, &Rejected),
        how: How,
    ) -> Result<i64, Failed> {
        let Lease { session, context, turn } = lease;
        let mut turn = Some(turn);
        let mut hand_on = || {
            if let Some(turn) = turn.take() {
                self.pool.put(Arc::clone(&session));
                drop(turn);
            }
        };
        let writing = transaction::write(&session, &context, batch, encoded, how, &mut hand_on);
        let result = self.writing.with("writing a batch", &of_batch(batch), writing).await;
        match &result {
            Ok(_)
            | Err(
                Failed::Row(_)
                | Failed::Moved
                | Failed::Named(_)
                | Failed::Sink(SinkError::Fenced { .. }),
            ) => hand_on(),
            Err(Failed::Blocked(_) | Failed::Sink(_)) => session.spoil(),
        }
        result
    }
}

/// The partitions of a batch.
fn of_batch<R>(batch: &Batch<R>) -> Vec<TopicPartition> {
    batch.positions().iter().map(|update| update.partition.clone()).collect()
}

/// Encodes a large batch on another thread.
async fn encode<R: Row>(
    batch: &Arc<Batch<R>>,
    columns: Columns,
    target: &Arc<Target<R>>,
) -> Result<(CopyRows, Rejected), SinkError> {
    if batch.len() < ENCODE_INLINE_RECORDS {
        return CopyRows::encode(batch, &columns, target);
    }
    let (batch, target) = (Arc::clone(batch), Arc::clone(target));
    let encoding = spawn_blocking(move || CopyRows::encode(&batch, &columns, &target)).await;
    encoding.unwrap_or_else(|error| Err(SinkError::Fatal(format!("encoding a batch: {error}"))))
}

impl<R> fmt::Debug for PostgresSink<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PostgresSink({})", self.options.url)
    }
}

impl<R: Row> Sink<R> for PostgresSink<R> {
    async fn prepare(&self, context: &SinkContext) -> Result<(), SinkError> {
        self.pool.begin(context);
        if let Some(topic) = &self.topic {
            topic.check().await?;
        }
        let lease = self.lease().await?;
        self.pool.put_back(lease, &Ok(()));
        Ok(())
    }

    fn concurrency(&self) -> usize {
        self.options.connections.clamp(1, 64)
    }

    fn prepares(&self) -> bool {
        true
    }

    async fn positions(
        &self,
        partitions: &[TopicPartition],
    ) -> Result<Vec<Option<i64>>, SinkError> {
        let lease = self.lease().await?;
        let reading = transaction::positions(&lease.session, &lease.context.group, partitions);
        let result = self.reading.with("reading positions", partitions, reading).await;
        self.pool.put_back(lease, &result);
        result
    }

    async fn write(&self, batch: Arc<Batch<R>>) -> Result<Written, SinkError> {
        let columns = self.pool.columns();
        let early = match columns {
            Some(columns) => {
                Some((encode(&batch, Arc::clone(&columns), &self.target).await?, columns))
            }
            None => None,
        };
        let mut lease = self.lease().await?;
        let columns = &lease.session.columns;
        // Somebody may have altered the table between two connections.
        let (mut rows, rejected) = match early {
            Some((encoded, for_columns)) if for_columns == *columns => encoded,
            _ => encode(&batch, Arc::clone(columns), &self.target).await?,
        };
        let topic = self.topic.as_ref();
        if let Some(topic) = topic {
            // Nothing was begun: the session is as good as before.
            let published = topic.publish(&burying::dead_letters(&batch, &rejected)).await;
            if let Err(error) = published {
                self.pool.put_back(lease, &Ok(()));
                return Err(error);
            }
        }
        let mut how = How::first(&lease.session, &rows);
        let mut names = statements::NAMES_TRIED;
        let failed = loop {
            match self.attempt(lease, &batch, (&mut rows, &rejected), how).await {
                Ok(committed_at_ms) => return Ok(Written { committed_at_ms, rejected }),
                Err(Failed::Blocked(error)) => {
                    self.end_stalled().await;
                    return Err(error);
                }
                Err(Failed::Sink(error)) => return Err(error),
                Err(Failed::Named(_)) if names > 0 => {
                    names -= 1;
                    lease = self.lease().await?;
                }
                Err(failed) if how.has_met_a_key(&failed) => {
                    lease = self.lease().await?;
                    how = How::Upsert;
                }
                Err(failed) => break failed,
            }
        };
        let lease = self.lease().await?;
        let Lease { session, context, .. } = &lease;
        let settling = transaction::settle(session, context, topic, &batch, rows, rejected, failed);
        let result = self.writing.with("writing a batch", &of_batch(&batch), settling).await;
        self.pool.put_back(lease, &result);
        result
    }
}

#[cfg(test)]
mod hand_on_tests;
#[cfg(test)]
mod pooler_tests;
#[cfg(test)]
mod refusal_tests;
#[cfg(test)]
mod rights_tests;
#[cfg(test)]
mod table_tests;
#[cfg(test)]
mod tests;
