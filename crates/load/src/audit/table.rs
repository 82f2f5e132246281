//! Which table an audit reads, and what a row of it means.

use std::fmt;

/// The rows' table of an audit. [`AuditTable::default`] is the trades'.
///
/// A row is known by its trade's id or by partition and offset: one of the two must be
/// there. Where both are, they have to agree.
pub struct AuditTable {
    /// Name, for PostgreSQL also `schema.name`.
    pub table: String,
    /// Column of the topic; without one all rows are of the ledger's topic.
    pub topic: Option<String>,
    /// Columns of partition and offset.
    pub position: Option<(String, String)>,
    /// Column of the trade's id, text.
    pub trade_id: Option<String>,
    /// When the row was sent to the database; without it ages are not known.
    pub committed_at: Option<TimeColumn>,
    /// Column that numbers the rows in commit order. If the real table has none, order
    /// is not checked.
    pub number: Option<String>,
    /// What a row stands for.
    pub rows: RowMeaning,
    /// Which payloads become rows; `None`: the good trades.
    pub accepts: Option<Accepts>,
}

/// Says whether a payload becomes a row.
pub type Accepts = Box<dyn Fn(Option<&[u8]>) -> bool + Send + Sync>;

/// A column with a time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TimeColumn {
    /// Unix milliseconds.
    Ms(String),
    /// A time; in SQLite ISO 8601 text.
    Time(String),
}

/// What a row stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RowMeaning {
    /// A record each.
    EachRecord,
    /// The last record of a key; those before it were replaced.
    LastOfKey,
}

impl Default for AuditTable {
    fn default() -> Self {
        Self {
            table: "trades".into(),
            topic: Some("kafka_topic".into()),
            position: Some(("kafka_partition".into(), "kafka_offset".into())),
            trade_id: Some("trade_id".into()),
            committed_at: Some(TimeColumn::Ms("committed_at_ms".into())),
            number: Some("id".into()),
            rows: RowMeaning::EachRecord,
            accepts: None,
        }
    }
}

impl fmt::Debug for AuditTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuditTable").field("table", &self.table).finish_non_exhaustive()
    }
}

impl AuditTable {
    /// The table's name as SQL reads it literally.
    pub(super) fn quoted(&self) -> String {
        self.table.split('.').map(quoted).collect::<Vec<_>>().join(".")
    }

    /// Trade id, partition, offset and time of commit (Unix milliseconds) of each row;
    /// NULL for what the table does not say. `topic` is the parameter.
    pub(super) fn select(&self, is_numbered: bool, dialect: &Dialect) -> String {
        let column = |name: Option<&String>, kind: &str| {
            (dialect.cast)(&name.map_or("NULL".into(), |name| quoted(name)), kind)
        };
        let (partition, offset) = self.position.as_ref().map(|(p, o)| (p, o)).unzip();
        let committed_at = match &self.committed_at {
            Some(TimeColumn::Time(name)) => (dialect.time_ms)(&quoted(name)),
            Some(TimeColumn::Ms(name)) => column(Some(name), "int8"),
            None => column(None, "int8"),
        };
        let topic = self.topic.as_ref();
        let of_topic = topic.map_or(format!("{} IS NOT NULL", dialect.parameter), |topic| {
            format!("{} = {}", quoted(topic), dialect.parameter)
        });
        let order = self.number.as_ref().filter(|_| is_numbered);
        format!(
            "SELECT {}, {}, {}, {committed_at} FROM {} WHERE {of_topic}{}",
            column(self.trade_id.as_ref(), "text"),
            column(partition, "int4"),
            column(offset, "int8"),
            self.quoted(),
            order.map_or(String::new(), |number| format!(" ORDER BY {}", quoted(number))),
        )
    }
}

/// What a database says in its own way.
pub(super) struct Dialect {
    pub(super) parameter: &'static str,
    /// An expression as a type of PostgreSQL's.
    pub(super) cast: fn(&str, &str) -> String,
    /// A time as Unix milliseconds.
    pub(super) time_ms: fn(&str) -> String,
}

/// A name as SQL reads it literally.
fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
