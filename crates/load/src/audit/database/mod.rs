//! What an audit reads: three queries, which each kind of database answers.

mod postgres;
mod sqlite;

use std::collections::HashMap;
use std::fmt;
use std::path::PathBuf;

use tidegate_postgres::ConnectOptions;

use super::AuditTable;
use crate::Error;

/// A stored row; what its table does not say is `None`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) trade_id: Option<String>,
    pub(super) partition: Option<i32>,
    pub(super) offset: Option<i64>,
    pub(super) committed_at_ms: Option<i64>,
}

/// A dead letter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Dead {
    pub(super) partition: i32,
    pub(super) offset: i64,
    pub(super) payload: Option<Vec<u8>>,
}

/// Where the rows are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Database {
    /// A SQLite file.
    Sqlite(PathBuf),
    /// A PostgreSQL database.
    Postgres(ConnectOptions),
}

/// Its URL, without a password.
impl fmt::Display for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(path) => write!(f, "sqlite:{}", path.display()),
            Self::Postgres(options) => write!(f, "{}", options.url),
        }
    }
}

impl Database {
    /// Whether a run has written into it already.
    ///
    /// # Errors
    /// [`Error::Database`] if a server cannot be asked.
    pub fn is_used(&self) -> Result<bool, Error> {
        match self {
            Self::Sqlite(path) => Ok(std::fs::metadata(path).is_ok_and(|found| found.len() > 0)),
            Self::Postgres(options) => postgres::is_used(options).map_err(self.error()),
        }
    }

    fn error(&self) -> impl FnOnce(String) -> Error + '_ {
        move |reason| Error::Database { name: self.to_string(), reason }
    }
}

/// Takes what is stored, each kind in commit order.
pub(super) trait Reader {
    /// Called first: the highest stored position of each partition, over all groups.
    fn positions(&mut self, positions: HashMap<i32, i64>);
    /// Called before the rows: whether they come in commit order.
    fn rows_are_ordered(&mut self, ordered: bool);
    fn row(&mut self, row: &Row);
    fn dead_letter(&mut self, dead: &Dead);
}

/// Reads a topic's positions, rows and dead letters.
pub(super) fn read(
    database: &Database,
    topic: &str,
    table: &AuditTable,
    reader: &mut (impl Reader + Send),
) -> Result<(), Error> {
    match database {
        Database::Sqlite(path) => sqlite::read(path, topic, table, reader),
        Database::Postgres(options) => postgres::read(options, topic, table, reader),
    }
    .map_err(|error| {
        let name = &table.table;
        format!("{error} (was its table {name} written by tidegate consume?)")
    })
    .map_err(database.error())
}
