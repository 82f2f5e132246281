//! What an audit reads from SQLite. Another database needs these three queries.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags};

use crate::Error;

/// A stored trade.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) trade_id: String,
    pub(super) partition: i32,
    pub(super) offset: i64,
    pub(super) timestamp_ms: Option<i64>,
    pub(super) committed_at_ms: i64,
}

/// A dead letter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Dead {
    pub(super) partition: i32,
    pub(super) offset: i64,
    pub(super) payload: Option<Vec<u8>>,
}

pub(super) struct Database {
    connection: Connection,
    path: PathBuf,
}

impl Database {
    pub(super) fn open(path: &Path) -> Result<Self, Error> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY;
        let connection = Connection::open_with_flags(path, flags).map_err(|error| {
            Error::Database { path: path.to_owned(), reason: error.to_string() }
        })?;
        Ok(Self { connection, path: path.to_owned() })
    }

    /// The highest stored position of each partition, over all groups.
    pub(super) fn positions(&self, topic: &str) -> Result<HashMap<i32, i64>, Error> {
        let query = "SELECT kafka_partition, max(next_offset) FROM positions WHERE kafka_topic = ?1 GROUP BY 1";
        let mut positions = HashMap::new();
        self.each(query, topic, |row| {
            positions.insert(row.get(0)?, row.get(1)?);
            Ok(())
        })?;
        Ok(positions)
    }

    /// All rows in commit order.
    pub(super) fn each_row(&self, topic: &str, mut take: impl FnMut(Row)) -> Result<(), Error> {
        let query = "SELECT trade_id, kafka_partition, kafka_offset, record_timestamp_ms, committed_at_ms \
                     FROM trades WHERE kafka_topic = ?1 ORDER BY id";
        self.each(query, topic, |row| {
            take(Row {
                trade_id: row.get(0)?,
                partition: row.get(1)?,
                offset: row.get(2)?,
                timestamp_ms: row.get(3)?,
                committed_at_ms: row.get(4)?,
            });
            Ok(())
        })
    }

    /// All dead letters in commit order.
    pub(super) fn each_dead_letter(
        &self,
        topic: &str,
        mut take: impl FnMut(Dead),
    ) -> Result<(), Error> {
        let query = "SELECT kafka_partition, kafka_offset, payload FROM dead_letters \
                     WHERE kafka_topic = ?1 ORDER BY id";
        self.each(query, topic, |row| {
            take(Dead { partition: row.get(0)?, offset: row.get(1)?, payload: row.get(2)? });
            Ok(())
        })
    }

    fn each(
        &self,
        query: &str,
        topic: &str,
        mut take: impl FnMut(&rusqlite::Row<'_>) -> rusqlite::Result<()>,
    ) -> Result<(), Error> {
        let mut run = || {
            let mut statement = self.connection.prepare(query)?;
            let mut rows = statement.query([topic])?;
            while let Some(row) = rows.next()? {
                take(row)?;
            }
            Ok(())
        };
        run().map_err(|error: rusqlite::Error| Error::Database {
            path: self.path.clone(),
            reason: format!("{error} (was it written by tidegate consume?)"),
        })
    }
}
