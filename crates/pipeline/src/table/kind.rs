//! The table that is asked for, and whether a database has it.

use std::sync::Arc;

use super::{Drift, Mapping, TableShape};
use crate::sink::{Database, SinkError, postgres, sqlite};

/// Whose rows: the built-in trades', or a mapping's.
#[derive(Debug, Clone)]
pub enum TableKind {
    /// The table of the trades.
    Trades,
    /// The table of a mapping.
    Mapped(Arc<Mapping>),
}

impl TableKind {
    fn shape(&self, database: &Database) -> TableShape {
        match (self, database) {
            (Self::Trades, Database::Sqlite(_)) => sqlite::trades().shape,
            (Self::Trades, Database::Postgres(_)) => postgres::trades().shape,
            (Self::Mapped(mapping), Database::Sqlite(_)) => mapping.sqlite_shape(),
            (Self::Mapped(mapping), Database::Postgres(_)) => mapping.postgres_shape(),
        }
    }

    /// Name of the table.
    pub fn name(&self) -> &str {
        match self {
            Self::Trades => "trades",
            Self::Mapped(mapping) => mapping.table(),
        }
    }

    /// The SQL that makes an empty database ready. Nothing is connected to.
    pub fn ddl(&self, database: &Database) -> String {
        let shape = self.shape(database);
        match database {
            Database::Sqlite(_) => sqlite::ddl(&shape),
            Database::Postgres(_) => postgres::ddl(&shape),
        }
    }

    /// Creates what is absent, in one transaction. Tables that are there stay as
    /// they are.
    ///
    /// # Errors
    /// The database cannot be reached or refuses.
    pub async fn create(&self, database: &Database) -> Result<(), SinkError> {
        let shape = self.shape(database);
        match database {
            Database::Sqlite(options) => sqlite::create(options, &shape),
            Database::Postgres(options) => postgres::create(options, &shape).await,
        }
    }

    /// How the real table differs; `None` if there is none.
    ///
    /// # Errors
    /// The database cannot be reached.
    pub async fn check(&self, database: &Database) -> Result<Option<Vec<Drift>>, SinkError> {
        let shape = self.shape(database);
        match database {
            Database::Sqlite(options) => sqlite::check(options, &shape),
            Database::Postgres(options) => postgres::check(options, &shape).await,
        }
    }
}
