//! Creating and checking a table without writing into it.

use rusqlite::{Connection, OpenFlags};

use super::classify::sink_error;
use super::{SqliteOptions, schema};
use crate::sink::SinkError;
use crate::table::{Drift, TableShape};

pub(crate) fn create(options: &SqliteOptions, shape: &TableShape) -> Result<(), SinkError> {
    schema::check_name(options, shape)?;
    let mut connection = schema::connect(options)?;
    schema::create(&mut connection, shape).map_err(|error| {
        sink_error(&format!("creating the tables of {}", options.path.display()), &error)
    })
}

/// `None` also if there is no file.
pub(crate) fn check(
    options: &SqliteOptions,
    shape: &TableShape,
) -> Result<Option<Vec<Drift>>, SinkError> {
    schema::check_name(options, shape)?;
    if !options.path.exists() {
        return Ok(None);
    }
    let connection = read_only(options)?;
    schema::drift(&connection, shape).map_err(|error| {
        sink_error(&format!("reading the columns of {}", options.path.display()), &error)
    })
}

pub(super) fn read_only(options: &SqliteOptions) -> Result<Connection, SinkError> {
    let path = options.path.display();
    if !options.path.exists() {
        return Err(SinkError::Fatal(format!("sqlite:{path}: there is no such file")));
    }
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    Connection::open_with_flags(&options.path, flags)
        .map_err(|error| SinkError::Fatal(format!("opening {path}: {error}")))
}
