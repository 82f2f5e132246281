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
//! - `transaction`: positions, rows, dead letters, commit
//! - `bisect`: the rows that the database refuses
//! - `patience`: how long an answer is waited for
//! - `classify`: SQLSTATE as retry, fatal or the row's fault

mod bisect;
mod classify;
mod connect;
mod copy;
mod patience;
mod row;
mod schema;
mod transaction;

use std::fmt;
use std::marker::PhantomData;
use std::path::PathBuf;
use std::sync::Arc;

use tidegate_kafka::TopicPartition;
use tidegate_postgres::ConnectOptions;
use tokio::sync::Mutex;

pub use row::{BindError, CopyBinder, Numeric, PostgresRow, Timestamptz};
pub use tidegate_postgres::{PostgresUrl, UrlError, tokio_postgres};

use self::connect::Session;
use self::patience::Patience;
use crate::batch::Batch;
use crate::decode::TradeRow;
use crate::sink::{Sink, SinkContext, SinkError, Written};

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
    /// is given up, milliseconds; above `lock_timeout_ms`. It doubles with each
    /// failure in a row.
    pub answer_timeout_ms: u64,
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
pub struct PostgresSink<R: PostgresRow = TradeRow> {
    options: PostgresOptions,
    patience: Patience,
    state: Mutex<State>,
    row: PhantomData<fn() -> R>,
}

#[derive(Default)]
struct State {
    context: Option<SinkContext>,
    session: Option<Session>,
}

impl<R: PostgresRow> PostgresSink<R> {
    /// Does not connect yet; [`Sink::prepare`] does.
    pub fn new(options: PostgresOptions) -> Self {
        let patience = Patience::new(options.answer_timeout_ms);
        Self { options, patience, state: Mutex::default(), row: PhantomData }
    }

    /// Takes the session out, opening it if needed: whoever drops it gives the
    /// connection up.
    async fn take_session(&self, state: &mut State) -> Result<(Session, SinkContext), SinkError> {
        let Some(context) = state.context.clone() else {
            return Err(SinkError::Fatal("the sink was used before prepare()".into()));
        };
        let session = match state.session.take().filter(Session::is_open) {
            Some(session) => session,
            None => connect::open::<R>(&self.options, &context).await?,
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

impl<R: PostgresRow> fmt::Debug for PostgresSink<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PostgresSink({})", self.options.url)
    }
}

impl<R: PostgresRow> Sink<R> for PostgresSink<R> {
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
        let reading = transaction::positions(&session, &context.group, partitions);
        let result = self.patience.with("reading positions", reading).await;
        state.put_back(session, &result);
        result
    }

    async fn write(&self, batch: Arc<Batch<R>>) -> Result<Written, SinkError> {
        let mut state = self.state.lock().await;
        let (session, context) = self.take_session(&mut state).await?;
        let writing = transaction::write(&session, &context, &batch);
        let result = self.patience.with("writing a batch", writing).await;
        state.put_back(session, &result);
        result
    }
}

#[cfg(test)]
mod tests;
