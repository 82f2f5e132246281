//! Opening the file: pragmas, tables, and whose database it is.
//!
//! An existing database is only read here, so that pods that start together do
//! not queue for the write lock.

use std::time::Duration;

use rusqlite::{Connection, OpenFlags, OptionalExtension, TransactionBehavior};

use super::classify::sink_error;
use super::{SqliteOptions, SqliteRow, Synchronous, transaction};
use crate::sink::{SinkContext, SinkError};

/// Stored in `meta`; another number is another program's database.
const SCHEMA_VERSION: &str = "1";

/// INSERT of rows, of dead letters, CAS of positions (two), stamps (two), SELECT.
const STATEMENTS_MAX: usize = 8;

/// Inside SQLite a lock is waited for in this many short naps (about 60 ms in
/// all); then the thread looks whether the write was abandoned.
const NAPS_MAX: i32 = 12;

const COMMON_TABLES: &str = "
CREATE TABLE IF NOT EXISTS dead_letters (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  kafka_topic TEXT, kafka_partition INTEGER, kafka_offset INTEGER, record_timestamp_ms INTEGER,
  key BLOB, payload BLOB, headers TEXT, reason_code TEXT, reason TEXT, committed_at_ms INTEGER);
CREATE TABLE IF NOT EXISTS positions (
  consumer_group TEXT, kafka_topic TEXT, kafka_partition INTEGER, next_offset INTEGER,
  owner TEXT, updated_at_ms INTEGER, PRIMARY KEY (consumer_group, kafka_topic, kafka_partition));
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT);
";

/// A connection to a database that has the tables and belongs to the cluster.
pub(super) fn open<R: SqliteRow>(
    options: &SqliteOptions,
    context: &SinkContext,
) -> Result<Connection, SinkError> {
    let path = options.path.display();
    check_directory(options)?;
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_CREATE
        | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(&options.path, flags)
        .map_err(|error| sink_error(&format!("opening {path}"), &error))?;
    let failed = |error: rusqlite::Error| sink_error(&format!("preparing {path}"), &error);
    connection.busy_handler(Some(nap)).map_err(failed)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS_MAX);
    let journal: String =
        connection.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0)).map_err(failed)?;
    if journal != "wal" {
        return Err(SinkError::Fatal(format!(
            "{path}: this file system has no write-ahead log (journal mode stays {journal}); \
             use a local disk"
        )));
    }
    let synchronous = match options.synchronous {
        Synchronous::Normal => "NORMAL",
        Synchronous::Full => "FULL",
    };
    connection.pragma_update(None, "synchronous", synchronous).map_err(failed)?;
    if meta(&connection, "schema_version").map_err(failed)?.is_none() {
        create::<R>(&mut connection).map_err(failed)?;
    }
    check_version(&connection, options)?;
    check_cluster(&connection, options, context)?;
    transaction::check_statements::<R>(&connection)
        .map_err(|error| sink_error(&format!("{path} has another schema"), &error))?;
    Ok(connection)
}

/// Waits 0.25 to 8 ms, longer with each try; gives up after [`NAPS_MAX`].
fn nap(tries: i32) -> bool {
    let longest_us = 500 << tries.clamp(0, 4);
    std::thread::sleep(Duration::from_micros(fastrand::u64(longest_us / 2..=longest_us)));
    tries < NAPS_MAX
}

/// SQLite says "unable to open database file" for each of these.
fn check_directory(options: &SqliteOptions) -> Result<(), SinkError> {
    let path = options.path.display();
    if options.path.is_dir() {
        return Err(SinkError::Fatal(format!("{path} is a directory; name a file in it")));
    }
    match options.path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() && !parent.is_dir() => {
            Err(SinkError::Fatal(format!("{path}: there is no directory {}", parent.display())))
        }
        _ => Ok(()),
    }
}

fn create<R: SqliteRow>(connection: &mut Connection) -> rusqlite::Result<()> {
    let columns: String =
        R::COLUMNS.iter().map(|(name, kind)| format!("  {name} {kind},\n")).collect();
    let rows = format!(
        "CREATE TABLE IF NOT EXISTS {} (\n  id INTEGER PRIMARY KEY AUTOINCREMENT,\n{columns}  \
         kafka_topic TEXT, kafka_partition INTEGER, kafka_offset INTEGER,\n  \
         record_timestamp_ms INTEGER, committed_at_ms INTEGER);",
        R::TABLE
    );
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    transaction.execute_batch(&rows)?;
    transaction.execute_batch(COMMON_TABLES)?;
    set_meta(&transaction, "schema_version", SCHEMA_VERSION)?;
    transaction.commit()
}

/// `None` also if there is no table `meta` yet.
fn meta(connection: &Connection, key: &str) -> rusqlite::Result<Option<String>> {
    if !connection.table_exists(None, "meta")? {
        return Ok(None);
    }
    connection
        .query_row("SELECT value FROM meta WHERE key = ?1", [key], |row| row.get(0))
        .optional()
}

fn set_meta(connection: &Connection, key: &str, value: &str) -> rusqlite::Result<()> {
    connection
        .execute(
            "INSERT INTO meta (key, value) VALUES (?1, ?2) ON CONFLICT DO NOTHING",
            [key, value],
        )
        .map(drop)
}

fn check_version(connection: &Connection, options: &SqliteOptions) -> Result<(), SinkError> {
    let path = options.path.display();
    let found = meta(connection, "schema_version")
        .map_err(|error| sink_error(&format!("preparing {path}"), &error))?;
    match found.as_deref() {
        Some(SCHEMA_VERSION) => Ok(()),
        other => Err(SinkError::Fatal(format!(
            "{path} has schema version {}, this program writes version {SCHEMA_VERSION}",
            other.unwrap_or("(none)")
        ))),
    }
}

/// Offsets of one cluster mean nothing in another.
fn check_cluster(
    connection: &Connection,
    options: &SqliteOptions,
    context: &SinkContext,
) -> Result<(), SinkError> {
    let path = options.path.display();
    let failed = |error: rusqlite::Error| sink_error(&format!("preparing {path}"), &error);
    let Some(wanted) = &context.cluster_id else { return Ok(()) };
    if meta(connection, "cluster_id").map_err(failed)?.is_none() {
        set_meta(connection, "cluster_id", wanted).map_err(failed)?;
    }
    match meta(connection, "cluster_id").map_err(failed)? {
        Some(found) if found == *wanted => Ok(()),
        found => Err(SinkError::Fatal(format!(
            "{path} holds positions of Kafka cluster {}, the brokers belong to cluster {wanted}: \
             use another database file",
            found.as_deref().unwrap_or("(unknown)")
        ))),
    }
}
