//! A mapping file: which fields of a JSON payload become which columns.
//!
//! Contract: pure. A mapping that was read is consistent; [`MappedDecoder`] then
//! makes a [`MappedRow`] of each record, or a dead letter's reason. A value is
//! what its column's type says, or the record is a dead letter: nothing is
//! rounded, cut off or guessed.
//!
//! A row has for each column either a small value or the place of its text in the
//! record's payload: a record costs one allocation, however many texts it has.
//!
//! Rejected: a tree of JSON values for each record (an allocation a field, and
//! numbers would have passed through binary floats); expressions in the mapping
//! (a language of its own; views and generated columns can do it).
//!
//! # Layout
//! - `file`: what can be written in a file, and what is refused
//! - `column`: a column's type and rules; from a JSON value to a column's value
//! - `text`: times, dates, UUIDs and bytes from text
//! - `tree`: JSON pointers as a tree that is walked along with the payload
//! - `decode`: the decoder; `flat`: its short way for most records
//! - `row`: the decoded row, and how either database gets its values

mod column;
mod decode;
mod file;
mod flat;
mod row;
#[cfg(test)]
mod tests;
mod text;
mod tree;

pub use column::ColumnType;
pub use decode::MappedDecoder;
pub use file::MappingError;
pub use row::MappedRow;
pub(crate) use text::time_us;

use self::column::ColumnMapping;
use self::tree::Tree;
use super::{RecordField, TableColumn, TableShape, WriteMode};

/// A checked mapping. Read one with [`Mapping::from_text`].
#[derive(Debug)]
pub struct Mapping {
    table: String,
    mode: WriteMode,
    columns: Vec<ColumnMapping>,
    record: Vec<(RecordField, String)>,
    tree: Tree,
}

impl Mapping {
    /// The table as PostgreSQL declares it.
    pub fn postgres_shape(&self) -> TableShape {
        self.shape(ColumnType::postgres_type, RecordField::postgres_type)
    }

    /// The table as SQLite declares it. A numeric, a time, a date and a UUID are
    /// texts there: SQLite has no exact type for them.
    pub fn sqlite_shape(&self) -> TableShape {
        self.shape(ColumnType::sqlite_type, RecordField::sqlite_type)
    }

    /// Name of the table.
    pub fn table(&self) -> &str {
        &self.table
    }

    /// The first column of this type that is read from a place in the payload.
    pub fn column_from(&self, pointer: &str, kind: ColumnType) -> Option<&str> {
        let is_it = |column: &&ColumnMapping| column.pointer == pointer && column.kind == kind;
        self.columns.iter().find(is_it).map(|column| column.name.as_str())
    }

    /// The column that one of the record's own fields goes to.
    pub fn record_column(&self, field: RecordField) -> Option<&str> {
        let found = self.record.iter().find(|(known, _)| *known == field);
        found.map(|(_, column)| column.as_str())
    }

    /// What becomes of a row whose key is there already.
    pub fn mode(&self) -> &WriteMode {
        &self.mode
    }

    fn shape(
        &self,
        column_type: fn(ColumnType) -> &'static str,
        record_type: fn(RecordField) -> &'static str,
    ) -> TableShape {
        TableShape {
            table: self.table.clone(),
            columns: self
                .columns
                .iter()
                .map(|column| TableColumn {
                    name: column.name.clone(),
                    sql_type: column_type(column.kind).to_owned(),
                    not_null: Some(!column.may_be_null()),
                })
                .collect(),
            record: self
                .record
                .iter()
                .map(|(field, name)| {
                    let sql_type = record_type(*field).to_owned();
                    (*field, TableColumn { name: name.clone(), sql_type, not_null: None })
                })
                .collect(),
            mode: self.mode.clone(),
        }
    }
}
