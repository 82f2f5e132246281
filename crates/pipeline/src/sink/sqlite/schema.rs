//! Opening the file: pragmas, tables, and whose database it is.
//!
//! An existing database is only read here, so that pods that start together do
//! not queue for the write lock.

use std::time::Duration;

use rusqlite::{Connection, OpenFlags, OptionalExtension, TransactionBehavior};

use super::classify::sink_error;
use super::{SqliteOptions, Synchronous, transaction};
use crate::sink::{SinkContext, SinkError};
use crate::table::{Drift, FoundColumn, TableShape, compare, drift_lines, quoted};

/// Stored in `meta`; another number is another program's database.
const SCHEMA_VERSION: &str = "1";

/// INSERT of rows, of dead letters, CAS of positions (two), SELECT.
const STATEMENTS_MAX: usize = 6;

/// Inside SQLite a lock is waited for in this many short naps (about 60 ms in
/// all); then the thread looks whether the write was abandoned.
const NAPS_MAX: i32 = 12;

const COMMON_TABLES: &str = "CREATE TABLE IF NOT EXISTS dead_letters (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  kafka_topic TEXT, kafka_partition INTEGER, kafka_offset INTEGER, record_timestamp_ms INTEGER,
  key BLOB, payload BLOB, headers TEXT, reason_code TEXT, reason TEXT, committed_at_ms INTEGER);
CREATE TABLE IF NOT EXISTS positions (
  consumer_group TEXT, kafka_topic TEXT, kafka_partition INTEGER, next_offset INTEGER,
  owner TEXT, updated_at_ms INTEGER, PRIMARY KEY (consumer_group, kafka_topic, kafka_partition));
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT);
";

/// A connection to a database that has the tables and belongs to the cluster.
pub(super) fn open(
    options: &SqliteOptions,
    shape: &TableShape,
    context: &SinkContext,
) -> Result<Connection, SinkError> {
    let path = options.path.display();
    check_name(options, shape)?;
    let mut connection = connect(options)?;
    let failed = |error: rusqlite::Error| sink_error(&format!("preparing {path}"), &error);
    let has_table = connection.table_exists(None, shape.table.as_str()).map_err(failed)?;
    if !has_table || meta(&connection, "schema_version").map_err(failed)?.is_none() {
        create(&mut connection, shape).map_err(failed)?;
    }
    check_version(&connection, options)?;
    check_cluster(&connection, options, context)?;
    let drifts = drift(&connection, shape).map_err(failed)?.unwrap_or_default();
    if let Some(lines) = drift_lines(&drifts) {
        return Err(SinkError::Fatal(format!(
            "{path}: table {} does not fit: {lines}",
            shape.table
        )));
    }
    transaction::check_statements(&connection, shape)
        .map_err(|error| sink_error(&format!("{path} has another schema"), &error))?;
    Ok(connection)
}

/// `schema.name` is PostgreSQL's.
pub(super) fn check_name(options: &SqliteOptions, shape: &TableShape) -> Result<(), SinkError> {
    match shape.table.contains('.') {
        false => Ok(()),
        true => Err(SinkError::Fatal(format!(
            "sqlite:{}: table {}: SQLite has no schemas, allowed is a name without a dot",
            options.path.display(),
            shape.table
        ))),
    }
}

/// A connection with its settings made; the file is created if absent.
pub(super) fn connect(options: &SqliteOptions) -> Result<Connection, SinkError> {
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

/// All tables and the version, or nothing.
pub(super) fn create(connection: &mut Connection, shape: &TableShape) -> rusqlite::Result<()> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    transaction.execute_batch(&ddl(shape))?;
    transaction.commit()
}

/// The statements that make an empty database ready for a shape.
pub(crate) fn ddl(shape: &TableShape) -> String {
    let mut lines: Vec<String> = Vec::new();
    if shape.is_numbered() {
        lines.push("id INTEGER PRIMARY KEY AUTOINCREMENT".into());
    }
    lines.extend(shape.written().map(|column| {
        // SQLite's keys may be NULL unless they are told not to.
        let is_key = shape.key().contains(&column.name);
        let not_null = if is_key || column.not_null == Some(true) { " NOT NULL" } else { "" };
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

/// How a real table differs from a shape; `None` if there is no such table.
pub(super) fn drift(
    connection: &Connection,
    shape: &TableShape,
) -> rusqlite::Result<Option<Vec<Drift>>> {
    let sql = "SELECT name, type, \"notnull\", dflt_value IS NOT NULL, hidden, pk \
               FROM pragma_table_xinfo(?1)";
    let mut statement = connection.prepare(sql)?;
    let found: Vec<FoundColumn> = statement
        .query_map([&shape.table], |row| {
            let sql_type: String = row.get(1)?;
            let (hidden, key): (i64, i64) = (row.get(4)?, row.get(5)?);
            // An INTEGER PRIMARY KEY is the row's number: SQLite gives it.
            let is_row_number = key == 1 && sql_type.eq_ignore_ascii_case("INTEGER");
            Ok(FoundColumn {
                name: row.get(0)?,
                not_null: row.get(2)?,
                is_filled: row.get::<_, bool>(3)? || hidden > 1 || is_row_number,
                is_generated: hidden > 1,
                sql_type,
            })
        })?
        .collect::<Result<_, _>>()?;
    if found.is_empty() {
        return Ok(None);
    }
    let wanted: Vec<Affinity> = shape.written().map(|c| Affinity::of(&c.sql_type)).collect();
    let mut drifts =
        compare(shape, &found, |index, real| Affinity::of(&real.sql_type).keeps(wanted[index]));
    if !shape.key().is_empty() && !has_unique_index(connection, shape)? {
        drifts.push(Drift {
            column: shape.key().join(", "),
            what: "is the key and has no unique index".into(),
            is_error: true,
        });
    }
    Ok(Some(drifts))
}

/// Whether `ON CONFLICT` finds an index on exactly the key's columns.
fn has_unique_index(connection: &Connection, shape: &TableShape) -> rusqlite::Result<bool> {
    let mut key = shape.key().to_vec();
    key.sort();
    let of_columns = |sql: &str, name: &str| -> rusqlite::Result<Vec<String>> {
        connection.prepare(sql)?.query_map([name], |row| row.get(0))?.collect()
    };
    let primary = "SELECT name FROM pragma_table_info(?1) WHERE pk > 0 ORDER BY name";
    if of_columns(primary, &shape.table)? == key {
        return Ok(true);
    }
    let indexes = "SELECT name FROM pragma_index_list(?1) WHERE \"unique\" AND NOT partial";
    let columns = "SELECT coalesce(name, '') FROM pragma_index_info(?1) ORDER BY 1";
    for index in of_columns(indexes, &shape.table)? {
        if of_columns(columns, &index)? == key {
            return Ok(true);
        }
    }
    Ok(false)
}

/// What SQLite makes of a value for a column, by the column's declared type:
/// section 3.1 of its "Datatypes" page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Affinity {
    Integer,
    Text,
    Blob,
    Real,
    Numeric,
}

impl Affinity {
    fn of(declared: &str) -> Self {
        let declared = declared.to_ascii_uppercase();
        let says = |parts: &[&str]| parts.iter().any(|part| declared.contains(part));
        if says(&["INT"]) {
            Self::Integer
        } else if says(&["CHAR", "CLOB", "TEXT"]) {
            Self::Text
        } else if declared.is_empty() || says(&["BLOB"]) {
            Self::Blob
        } else if says(&["REAL", "FLOA", "DOUB"]) {
            Self::Real
        } else {
            Self::Numeric
        }
    }

    /// Whether a column of this affinity keeps a value meant for another: a
    /// decimal in a NUMERIC column would become a binary float.
    fn keeps(self, wanted: Self) -> bool {
        self == wanted
            || self == Self::Blob
            || self == Self::Numeric && matches!(wanted, Self::Integer | Self::Real)
    }
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
