//! Which database, for the tools that work on either kind.

use std::path::Path;

use super::postgres::PostgresOptions;
use super::sqlite::SqliteOptions;

/// A database of one of the two kinds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Database {
    /// A SQLite file.
    Sqlite(SqliteOptions),
    /// A PostgreSQL database.
    Postgres(PostgresOptions),
}

/// Its URL, without a password.
impl std::fmt::Display for Database {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Sqlite(options) => write!(f, "sqlite:{}", options.path.display()),
            Self::Postgres(options) => write!(f, "{}", options.url),
        }
    }
}

impl Database {
    /// The SQLite file of a path.
    pub fn sqlite(path: &Path) -> Self {
        Self::Sqlite(SqliteOptions { path: path.to_owned(), ..SqliteOptions::default() })
    }
}
