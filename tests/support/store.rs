//! One database of a test, of either kind.

#![allow(dead_code)]

use std::path::{Path, PathBuf};

use tidegate_pgtest::Server;

/// A database: its URL, and SQL.
pub(crate) enum Store {
    Sqlite(PathBuf),
    Postgres(Server, String),
}

impl Store {
    /// A SQLite file `db` in a directory.
    pub(crate) fn sqlite(directory: &Path) -> Self {
        Self::Sqlite(directory.join("db"))
    }

    /// A database of a server of its own.
    pub(crate) fn postgres() -> Self {
        let server = Server::start(&["fsync=off"]).expect("a PostgreSQL server");
        server.create_database("d").expect("creates");
        let url = server.url("d");
        Self::Postgres(server, url)
    }

    pub(crate) fn url(&self) -> String {
        match self {
            Self::Sqlite(path) => format!("sqlite:{}", path.display()),
            Self::Postgres(_, url) => url.clone(),
        }
    }

    pub(crate) fn is_postgres(&self) -> bool {
        matches!(self, Self::Postgres(..))
    }

    /// Runs SQL; a query's rows as lines, fields separated by `|`. An error is the text
    /// of the database.
    pub(crate) fn try_sql(&self, sql: &str) -> Result<String, String> {
        match self {
            Self::Postgres(server, _) => server.psql("d", sql).map_err(|error| error.to_string()),
            Self::Sqlite(path) => {
                let read = || -> rusqlite::Result<String> {
                    let connection = rusqlite::Connection::open(path)?;
                    connection.busy_timeout(std::time::Duration::from_secs(5))?;
                    if !sql.starts_with("SELECT") {
                        return connection.execute_batch(sql).map(|()| String::new());
                    }
                    let mut statement = connection.prepare(sql)?;
                    let columns = statement.column_count();
                    let rows = statement.query_map([], |row| {
                        let fields = (0..columns).map(|at| row.get_ref(at).map(shown));
                        Ok(fields.collect::<Result<Vec<_>, _>>()?.join("|"))
                    })?;
                    Ok(rows.collect::<Result<Vec<_>, _>>()?.join("\n"))
                };
                read().map_err(|error| error.to_string())
            }
        }
    }

    pub(crate) fn sql(&self, sql: &str) -> String {
        self.try_sql(sql).unwrap_or_else(|error| panic!("{sql}: {error}"))
    }

    /// A count; 0 while there is no such table.
    pub(crate) fn count(&self, table: &str) -> u64 {
        let found = self.try_sql(&format!("SELECT count(*) FROM {table}"));
        found.ok().and_then(|text| text.parse().ok()).unwrap_or(0)
    }
}

fn shown(value: rusqlite::types::ValueRef<'_>) -> String {
    use rusqlite::types::ValueRef::{Blob, Integer, Null, Real, Text};
    match value {
        Null => String::new(),
        Integer(number) => number.to_string(),
        Real(number) => number.to_string(),
        Text(text) => String::from_utf8_lossy(text).into_owned(),
        Blob(bytes) => {
            let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            format!("\\x{digits}")
        }
    }
}
