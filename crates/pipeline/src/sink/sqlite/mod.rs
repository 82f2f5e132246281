//! Rows, dead letters and positions in one SQLite file, in one transaction a
//! batch: each record's effect exactly once.
//!
//! Contract: many processes may write one file. What COMMIT returned for
//! survives the death of the process at any instant. With `synchronous = normal`
//! (the default) a power failure can take the last commits with it, rows and
//! positions together, so that they are read from Kafka again; `full` waits for
//! the disk in each commit.
//!
//! Threads: one OS thread owns the connection and serves one command at a time.
//! An abandoned write is noticed while it waits for the file's write lock and
//! once more before it commits.
//!
//! Rejected: a connection pool (one writer at a time is SQLite's nature, and
//! memory is a pod's scarcest good); bisecting a refused batch (a refused row is
//! undone alone and names itself, so finding it costs nothing); `ON CONFLICT DO
//! NOTHING` on a unique key (it would hide a duplicate instead of preventing it);
//! `committed_at_ms` set by an UPDATE at the end (every row would be written twice).
//!
//! # Layout
//! - `admin`, `letters`: for the tools: tables, dead letters
//! - `schema`: tables, pragmas, whose database it is
//! - `row`: how a row type becomes a table
//! - `transaction`: positions, rows, dead letters, commit
//! - `classify`: SQLite's result codes as retry, fatal or the row's fault

mod admin;
mod classify;
pub(crate) mod letters;
mod row;
mod schema;
mod transaction;

use std::fmt;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::sync::{Arc, mpsc};

use rusqlite::Connection;
use serde::{Deserialize, Serialize};
use tidegate_kafka::{Record, TopicPartition};
use tokio::sync::oneshot;

pub use row::{RowBinder, SqliteRow};
pub use rusqlite;

pub(crate) use self::admin::{check, create};
pub(crate) use self::schema::ddl;

use self::classify::sink_error;
use crate::batch::Batch;
use crate::dead_letters::{DeadLetterTopic, Letter};
use crate::decode::{Row, TradeRow};
use crate::sink::{Sink, SinkContext, SinkError, Written};
use crate::table::{MappedRow, Mapping, RecordField, TableShape};

/// What a commit waits for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Synchronous {
    /// Survives the death of the process, not always a power failure.
    #[default]
    Normal,
    /// An fsync in each commit: survives a power failure too.
    Full,
}

/// Which file, and how to write it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SqliteOptions {
    /// The database file; created if absent, its directory is not.
    pub path: PathBuf,
    /// What a commit waits for.
    pub synchronous: Synchronous,
    /// Longest wait for the file's write lock before the attempt counts as
    /// failed and the pipeline backs off, milliseconds.
    pub busy_timeout_ms: u64,
}

impl Default for SqliteOptions {
    fn default() -> Self {
        Self {
            path: PathBuf::from("tidegate.db"),
            synchronous: Synchronous::Normal,
            busy_timeout_ms: 5_000,
        }
    }
}

/// The SQLite sink. Dropping it ends its thread after the command in progress.
pub struct SqliteSink<R = TradeRow> {
    commands: mpsc::Sender<Command<R>>,
}

/// Where rows of a type go, and how they are given.
pub(crate) struct Target<R> {
    pub(crate) shape: TableShape,
    bind: Bind<R>,
}

/// Gives the values of a row, which the record was decoded to.
type Bind<R> = fn(&R, &Record, &mut RowBinder<'_, '_>) -> rusqlite::Result<()>;

/// The built-in trades.
pub(crate) fn trades() -> Target<TradeRow> {
    let (table, columns) = (TradeRow::TABLE, TradeRow::COLUMNS);
    let shape = TableShape::typed(table, columns, RecordField::sqlite_type);
    Target { shape, bind: |row, _, binder| row.bind(binder) }
}

/// A mapping's rows.
pub(crate) fn mapped(mapping: &Mapping) -> Target<MappedRow> {
    Target { shape: mapping.sqlite_shape(), bind: MappedRow::bind_sqlite }
}

type Reply<T> = oneshot::Sender<Result<T, SinkError>>;

enum Command<R> {
    Topic(DeadLetterTopic),
    Prepare(SinkContext, Reply<()>),
    Positions(Vec<TopicPartition>, Reply<Vec<Option<i64>>>),
    Write(Arc<Batch<R>>, Reply<Written>),
}

impl<R: SqliteRow> SqliteSink<R> {
    /// Rows are added to the row type's table. Starts the sink's thread; the file
    /// is opened by [`Sink::prepare`].
    ///
    /// # Errors
    /// [`SinkError::Fatal`] if the system cannot start a thread.
    pub fn new(options: SqliteOptions) -> Result<Self, SinkError> {
        let shape = TableShape::typed(R::TABLE, R::COLUMNS, RecordField::sqlite_type);
        Self::with_shape(options, shape, |row, _, binder| row.bind(binder))
    }

    /// Rows take the place of those with the same key; see
    /// [`WriteMode::Upsert`](crate::table::WriteMode::Upsert).
    ///
    /// # Errors
    /// [`SinkError::Fatal`] if the system cannot start a thread.
    pub fn upsert(options: SqliteOptions, key: &[&str]) -> Result<Self, SinkError> {
        let shape = TableShape::typed(R::TABLE, R::COLUMNS, RecordField::sqlite_type);
        Self::with_shape(options, shape.upsert(key), |row, _, binder| row.bind(binder))
    }
}

impl SqliteSink<MappedRow> {
    /// Rows of a mapping, for its [`MappedDecoder`](crate::table::MappedDecoder).
    ///
    /// # Errors
    /// [`SinkError::Fatal`] if the system cannot start a thread.
    pub fn mapped(options: SqliteOptions, mapping: &Mapping) -> Result<Self, SinkError> {
        Self::with_shape(options, mapping.sqlite_shape(), MappedRow::bind_sqlite)
    }
}

impl<R: Row> SqliteSink<R> {
    pub(crate) fn with_shape(
        options: SqliteOptions,
        shape: TableShape,
        bind: Bind<R>,
    ) -> Result<Self, SinkError> {
        let (commands, inbox) = mpsc::channel();
        let target = Target { shape, bind };
        let mut database = Database { options, target, topic: None, context: None, open: None };
        std::thread::Builder::new()
            .name("sqlite".into())
            .spawn(move || {
                for command in inbox {
                    database.serve(command);
                }
            })
            .map_err(|error| {
                SinkError::Fatal(format!("cannot start the sqlite thread: {error}"))
            })?;
        Ok(Self { commands })
    }

    /// Publishes dead letters to a topic as well, before each commit.
    #[must_use]
    pub fn dead_letter_topic(self, topic: DeadLetterTopic) -> Self {
        // If the thread has ended, the next command says so.
        let _ = self.commands.send(Command::Topic(topic));
        self
    }

    async fn ask<T>(&self, command: impl FnOnce(Reply<T>) -> Command<R>) -> Result<T, SinkError> {
        let (reply, answer) = oneshot::channel();
        let ended = || SinkError::Fatal("the sqlite thread has ended".into());
        self.commands.send(command(reply)).map_err(|_| ended())?;
        answer.await.map_err(|_| ended())?
    }
}

impl<R> fmt::Debug for SqliteSink<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SqliteSink")
    }
}

impl<R: Row> Sink<R> for SqliteSink<R> {
    async fn prepare(&self, context: &SinkContext) -> Result<(), SinkError> {
        self.ask(|reply| Command::Prepare(context.clone(), reply)).await
    }

    async fn positions(
        &self,
        partitions: &[TopicPartition],
    ) -> Result<Vec<Option<i64>>, SinkError> {
        self.ask(|reply| Command::Positions(partitions.to_vec(), reply)).await
    }

    async fn write(&self, batch: Arc<Batch<R>>) -> Result<Written, SinkError> {
        self.ask(|reply| Command::Write(batch, reply)).await
    }
}

/// The thread's side.
struct Database<R> {
    options: SqliteOptions,
    target: Target<R>,
    topic: Option<DeadLetterTopic>,
    context: Option<SinkContext>,
    open: Option<Open>,
}

struct Open {
    connection: Connection,
    /// Device and inode: tells the file that was opened from one put in its place.
    file: (u64, u64),
}

impl<R: Row> Database<R> {
    fn serve(&mut self, command: Command<R>) {
        match command {
            Command::Topic(topic) => self.topic = Some(topic),
            Command::Prepare(context, reply) => {
                self.context = Some(context);
                let topic = self.topic.as_ref().map_or(Ok(()), DeadLetterTopic::check_blocking);
                let result = topic.and_then(|()| self.with(|_, _, _| Ok(())));
                let _ = reply.send(result);
            }
            Command::Positions(partitions, reply) => {
                let result = self.with(|connection, _, context| {
                    transaction::positions(connection, &context.group, &partitions)
                        .map_err(|error| sink_error("reading positions", &error))
                });
                let _ = reply.send(result);
            }
            Command::Write(batch, reply) => {
                let busy_timeout_ms = self.options.busy_timeout_ms;
                let topic = self.topic.clone();
                let publish = |letters: &[Letter<'_>]| match &topic {
                    Some(topic) => topic.publish_blocking(letters),
                    None => Ok(()),
                };
                // What is known before is published before the file is locked.
                let letters: Vec<Letter<'_>> = batch.dead_letters().collect();
                let result = publish(&letters).and_then(|()| {
                    self.with(|connection, target, context| {
                        let wait = transaction::Wait::new(busy_timeout_ms, || reply.is_closed());
                        let write = transaction::Write { context, target, batch: &batch };
                        write.run(connection, &wait, &publish)
                    })
                });
                drop(letters);
                // Freed before the answer: the engine then owns the batch alone.
                drop(batch);
                let _ = reply.send(result);
            }
        }
    }

    /// Runs `work` on the connection, opening it if needed. An error other than a
    /// fence closes it, a busy file's too: the next command starts afresh.
    fn with<T>(
        &mut self,
        work: impl FnOnce(&Connection, &Target<R>, &SinkContext) -> Result<T, SinkError>,
    ) -> Result<T, SinkError> {
        let Some(context) = &self.context else {
            return Err(SinkError::Fatal("the sink was used before prepare()".into()));
        };
        let path = &self.options.path;
        let file = || std::fs::metadata(path).ok().map(|m| (m.dev(), m.ino()));
        if self.open.as_ref().is_some_and(|open| Some(open.file) != file()) {
            self.open = None;
            return Err(SinkError::Retry(format!(
                "{}: the file was removed or replaced while it was open",
                path.display()
            )));
        }
        let open = match &mut self.open {
            Some(open) => open,
            None => {
                let connection = schema::open(&self.options, &self.target.shape, context)?;
                let file = file().unwrap_or_default();
                self.open.insert(Open { connection, file })
            }
        };
        let result = work(&open.connection, &self.target, context);
        if matches!(result, Err(SinkError::Retry(_) | SinkError::Fatal(_))) {
            self.open = None;
        }
        result
    }
}

#[cfg(test)]
mod tests;
