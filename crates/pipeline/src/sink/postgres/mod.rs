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
//! Threads: a task of the caller's runtime drives the connection. One write, or
//! one reading of positions, has the connection at a time. An abandoned write
//! takes its connection with it; if its COMMIT was on the way already, the
//! positions keep its effect exactly once.
//!
//! Rejected: two connections (ninety pods would need more than a stock server's
//! hundred); positions locked at the start of the transaction (a frozen owner
//! would stop its successor); a staging table (needs one more right, and every
//! row would be written twice); `committed_at_ms` set by an UPDATE (every row
//! would be written twice) or by a column's default (`clock_timestamp()` makes
//! COPY insert row by row).
//!
//! # Layout
//! - `connect`: a session: settings, tables, prepared statements
//! - `schema`: tables, and whose database it is
//! - `row`: how a row type becomes a table
//! - `copy`: a batch in the binary COPY format
//! - `arrays`: the same rows as one array a column
//! - `statements`: what is prepared once a session, or sent with its text
//! - `transaction`: positions, rows, dead letters, commit
//! - `admin`, `letters`: for the tools: tables, dead letters
//! - `sift`: the rows that the database refuses
//! - `classify`: SQLSTATE as retry, fatal or the row's fault

mod admin;
mod arrays;
mod classify;
mod connect;
mod copy;
pub(crate) mod letters;
mod row;
mod schema;
mod sift;
mod statements;
mod transaction;

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use tidegate_kafka::TopicPartition;
use tidegate_postgres::ConnectOptions;
use tokio::sync::Mutex;

pub use row::{BindError, CopyBinder, Numeric, PostgresRow, Timestamptz};
pub use tidegate_postgres::{PostgresUrl, UrlError, tokio_postgres};

pub(crate) use self::admin::{check, create};
pub(crate) use self::copy::JSONB_VERSION;
pub(crate) use self::schema::ddl;

use self::connect::Session;
use crate::batch::Batch;
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
    /// The server is reached through a pooler in transaction mode (PgBouncer):
    /// nothing is kept between transactions. Costs an exchange a batch.
    pub pooled: bool,
}

impl PostgresOptions {
    /// The defaults for a database.
    pub fn new(url: PostgresUrl) -> Self {
        Self {
            url,
            password_file: None,
            connect_timeout_ms: 5_000,
            lock_timeout_ms: 5_000,
            pooled: false,
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
    target: Target<R>,
    state: Mutex<State>,
}

/// Where rows of a type go, and how they are given.
pub(crate) struct Target<R> {
    pub(crate) shape: TableShape,
    bind: fn(&R, &mut CopyBinder<'_>) -> Result<(), BindError>,
}

/// The built-in trades.
pub(crate) fn trades() -> Target<TradeRow> {
    let (table, columns) = (TradeRow::TABLE, TradeRow::COLUMNS);
    let shape = TableShape::typed(table, columns, RecordField::postgres_type);
    Target { shape, bind: TradeRow::bind }
}

/// A mapping's rows.
pub(crate) fn mapped(mapping: &Mapping) -> Target<MappedRow> {
    Target { shape: mapping.postgres_shape(), bind: MappedRow::bind_postgres }
}

#[derive(Default)]
struct State {
    context: Option<SinkContext>,
    session: Option<Session>,
}

impl<R: PostgresRow> PostgresSink<R> {
    /// Rows are added to the row type's table. Does not connect yet;
    /// [`Sink::prepare`] does.
    pub fn new(options: PostgresOptions) -> Self {
        let shape = TableShape::typed(R::TABLE, R::COLUMNS, RecordField::postgres_type);
        Self::with_shape(options, shape, R::bind)
    }

    /// Rows take the place of those with the same key; see
    /// [`WriteMode::Upsert`](crate::table::WriteMode::Upsert).
    #[must_use]
    pub fn upsert(mut self, key: &[&str]) -> Self {
        self.target.shape = self.target.shape.upsert(key);
        self
    }
}

impl PostgresSink<MappedRow> {
    /// Rows of a mapping, for its [`MappedDecoder`](crate::table::MappedDecoder).
    pub fn mapped(options: PostgresOptions, mapping: &Mapping) -> Self {
        Self::with_shape(options, mapping.postgres_shape(), MappedRow::bind_postgres)
    }
}

impl<R: Row> PostgresSink<R> {
    pub(crate) fn with_shape(
        options: PostgresOptions,
        shape: TableShape,
        bind: fn(&R, &mut CopyBinder<'_>) -> Result<(), BindError>,
    ) -> Self {
        Self { options, target: Target { shape, bind }, state: Mutex::default() }
    }

    /// Takes the session out, opening it if needed: whoever drops it gives the
    /// connection up.
    async fn take_session(&self, state: &mut State) -> Result<(Session, SinkContext), SinkError> {
        let Some(context) = state.context.clone() else {
            return Err(SinkError::Fatal("the sink was used before prepare()".into()));
        };
        let session = match state.session.take().filter(Session::is_open) {
            Some(session) => session,
            None => connect::open(&self.options, &self.target.shape, &context).await?,
        };
        Ok((session, context))
    }
}

impl State {
    /// After an error other than a fence the next call starts afresh.
    fn put_back<T>(&mut self, session: Session, result: &Result<T, SinkError>) {
        if matches!(result, Ok(_) | Err(SinkError::Fenced { .. })) {
            self.session = Some(session);
        }
    }
}

impl<R> fmt::Debug for PostgresSink<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PostgresSink({})", self.options.url)
    }
}

impl<R: Row> Sink<R> for PostgresSink<R> {
    async fn prepare(&self, context: &SinkContext) -> Result<(), SinkError> {
        let mut state = self.state.lock().await;
        state.context = Some(context.clone());
        state.session = None;
        let (session, _) = self.take_session(&mut state).await?;
        state.session = Some(session);
        Ok(())
    }

    async fn positions(
        &self,
        partitions: &[TopicPartition],
    ) -> Result<Vec<Option<i64>>, SinkError> {
        let mut state = self.state.lock().await;
        let (session, context) = self.take_session(&mut state).await?;
        let result = transaction::positions(&session, &context.group, partitions).await;
        state.put_back(session, &result);
        result
    }

    async fn write(&self, batch: Arc<Batch<R>>) -> Result<Written, SinkError> {
        let mut state = self.state.lock().await;
        let (session, context) = self.take_session(&mut state).await?;
        let result = transaction::write(&session, &context, &self.target, &batch).await;
        state.put_back(session, &result);
        result
    }
}

#[cfg(test)]
mod table_tests;
#[cfg(test)]
mod tests;
