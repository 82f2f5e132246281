//! How a row type becomes a table.

use rusqlite::{Statement, ToSql};

use crate::decode::{Row, TradeRow};

/// A row type with a table of its own.
///
/// The sink creates the table with an `id`, these columns, and the record's
/// `kafka_topic`, `kafka_partition`, `kafka_offset`, `record_timestamp_ms` and
/// `committed_at_ms`. An existing table may have more columns, if they have
/// defaults, and constraints: a row that breaks one becomes a dead letter.
pub trait SqliteRow: Row {
    /// Name of the table.
    const TABLE: &'static str;
    /// Columns and their SQL types, in the order in which `bind` gives values.
    const COLUMNS: &'static [(&'static str, &'static str)];

    /// Gives one value a column.
    ///
    /// # Errors
    /// What the binder returns.
    fn bind(&self, binder: &mut RowBinder<'_, '_>) -> rusqlite::Result<()>;
}

/// Takes the values of one row, first column first.
pub struct RowBinder<'statement, 'connection> {
    statement: &'statement mut Statement<'connection>,
    bound: usize,
}

impl<'statement, 'connection> RowBinder<'statement, 'connection> {
    pub(super) fn new(statement: &'statement mut Statement<'connection>) -> Self {
        Self { statement, bound: 0 }
    }

    /// The value of the next column.
    ///
    /// # Errors
    /// There are more values than columns, or SQLite cannot take the value.
    pub fn push(&mut self, value: impl ToSql) -> rusqlite::Result<()> {
        self.bound += 1;
        self.statement.raw_bind_parameter(self.bound, value)
    }
}

impl SqliteRow for TradeRow {
    const TABLE: &'static str = "trades";
    const COLUMNS: &'static [(&'static str, &'static str)] = &[
        ("account_id", "TEXT"),
        ("trade_id", "TEXT"),
        ("symbol", "TEXT"),
        ("trade_type", "TEXT"),
        ("quantity", "INTEGER"),
        ("price", "TEXT"),
        ("timestamp", "TEXT"),
    ];

    fn bind(&self, binder: &mut RowBinder<'_, '_>) -> rusqlite::Result<()> {
        binder.push(self.account_id())?;
        binder.push(self.trade_id())?;
        binder.push(self.symbol())?;
        binder.push(self.trade_type())?;
        binder.push(self.quantity())?;
        binder.push(self.price())?;
        binder.push(self.timestamp())
    }
}
