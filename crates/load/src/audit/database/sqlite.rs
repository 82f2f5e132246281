//! A SQLite file.

use std::collections::HashMap;
use std::path::Path;

use rusqlite::{Connection, OpenFlags};

use super::{Dead, Reader, Row};

const POSITIONS: &str =
    "SELECT kafka_partition, max(next_offset) FROM positions WHERE kafka_topic = ?1 GROUP BY 1";
const ROWS: &str = "SELECT trade_id, kafka_partition, kafka_offset, record_timestamp_ms, committed_at_ms \
     FROM trades WHERE kafka_topic = ?1 ORDER BY id";
const DEAD_LETTERS: &str = "SELECT kafka_partition, kafka_offset, payload FROM dead_letters \
     WHERE kafka_topic = ?1 ORDER BY id";

pub(super) fn read(path: &Path, topic: &str, reader: &mut impl Reader) -> Result<(), String> {
    let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY)
        .map_err(|error| error.to_string())?;
    read_tables(&connection, topic, reader)
        .map_err(|error| format!("{error} (was it written by tidegate consume?)"))
}

fn read_tables(
    connection: &Connection,
    topic: &str,
    reader: &mut impl Reader,
) -> rusqlite::Result<()> {
    let mut positions = HashMap::new();
    each(connection, POSITIONS, topic, |row| {
        positions.insert(row.get(0)?, row.get(1)?);
        Ok(())
    })?;
    reader.positions(positions);
    each(connection, ROWS, topic, |row| {
        reader.row(&Row {
            trade_id: row.get(0)?,
            partition: row.get(1)?,
            offset: row.get(2)?,
            timestamp_ms: row.get(3)?,
            committed_at_ms: row.get(4)?,
        });
        Ok(())
    })?;
    each(connection, DEAD_LETTERS, topic, |row| {
        reader.dead_letter(&Dead {
            partition: row.get(0)?,
            offset: row.get(1)?,
            payload: row.get(2)?,
        });
        Ok(())
    })
}

fn each(
    connection: &Connection,
    query: &str,
    topic: &str,
    mut take: impl FnMut(&rusqlite::Row<'_>) -> rusqlite::Result<()>,
) -> rusqlite::Result<()> {
    let mut statement = connection.prepare(query)?;
    let mut rows = statement.query([topic])?;
    while let Some(row) = rows.next()? {
        take(row)?;
    }
    Ok(())
}
