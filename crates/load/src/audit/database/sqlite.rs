//! A SQLite file.

use std::collections::HashMap;
use std::path::Path;

use rusqlite::{Connection, OpenFlags};

use super::{Dead, Reader, Row};
use crate::audit::AuditTable;
use crate::audit::table::Dialect;

const POSITIONS: &str =
    "SELECT kafka_partition, max(next_offset) FROM positions WHERE kafka_topic = ?1 GROUP BY 1";
const HAS_COLUMN: &str = "SELECT count(*) FROM pragma_table_info(?1) WHERE name = ?2";
const DEAD_LETTERS: &str = "SELECT kafka_partition, kafka_offset, payload FROM dead_letters \
     WHERE kafka_topic = ?1 ORDER BY id";

/// It has no casts to make: a column's value has its own type.
const DIALECT: Dialect = Dialect {
    parameter: "?1",
    cast: |expression, _| expression.to_owned(),
    time_ms: |time| format!("CAST(round((julianday({time}) - 2440587.5) * 86400000.0) AS INTEGER)"),
};

pub(super) fn read(
    path: &Path,
    topic: &str,
    table: &AuditTable,
    reader: &mut impl Reader,
) -> Result<(), String> {
    let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY)
        .map_err(|error| error.to_string())?;
    read_tables(&connection, topic, table, reader).map_err(|error| error.to_string())
}

fn read_tables(
    connection: &Connection,
    topic: &str,
    table: &AuditTable,
    reader: &mut impl Reader,
) -> rusqlite::Result<()> {
    let mut positions = HashMap::new();
    each(connection, POSITIONS, topic, |row| {
        positions.insert(row.get(0)?, row.get(1)?);
        Ok(())
    })?;
    reader.positions(positions);
    let is_numbered = match &table.number {
        None => false,
        Some(number) => {
            let name = table.table.rsplit('.').next().unwrap_or(&table.table);
            let found: i64 = connection.query_row(HAS_COLUMN, [name, number], |row| row.get(0))?;
            found > 0
        }
    };
    reader.rows_are_ordered(is_numbered);
    each(connection, &table.select(is_numbered, &DIALECT), topic, |row| {
        reader.row(&Row {
            trade_id: row.get(0)?,
            partition: row.get(1)?,
            offset: row.get(2)?,
            committed_at_ms: row.get(3)?,
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
