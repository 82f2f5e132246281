//! Columns of the rows' table, and what becomes of a row whose key is there.

/// What a sink knows about the table of its rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableShape {
    /// Name, for PostgreSQL also `schema.name`.
    pub table: String,
    /// One column for each value that a row gives, in its order.
    pub columns: Vec<TableColumn>,
    /// The record's own columns, behind the row's; a time of commit is the last.
    pub record: Vec<(RecordField, TableColumn)>,
    /// What becomes of a row whose key is there already.
    pub mode: WriteMode,
}

/// A column as SQL declares it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableColumn {
    /// Name, as it is written.
    pub name: String,
    /// SQL type in the database's own words.
    pub sql_type: String,
    /// Whether the program never writes NULL into it: `Some` is declared in the
    /// table, `None` is not known.
    pub not_null: Option<bool>,
}

/// What becomes of a row whose key is there already.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum WriteMode {
    /// Rows are added.
    #[default]
    Append,
    /// A row takes the place of the one with the same key; of several in a batch
    /// the last one does. The table has a unique index on the key.
    Upsert {
        /// Names of the key's columns.
        key: Vec<String>,
    },
}

/// What Kafka says about a record, and when its row was sent to the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RecordField {
    /// Topic, text.
    Topic,
    /// Partition, 32 bits.
    Partition,
    /// Offset, 64 bits.
    Offset,
    /// Record timestamp, Unix milliseconds; NULL if the record has none.
    TimestampMs,
    /// Record timestamp as a time.
    Timestamp,
    /// Key as bytes; NULL if the record has none.
    Key,
    /// Key as text; a key that is not UTF-8 makes the record a dead letter.
    KeyText,
    /// Headers as JSON: `[{"key":"trace","value":"<base64>"}]`.
    Headers,
    /// When the batch was sent, Unix milliseconds.
    CommittedAtMs,
    /// When the batch was sent, as a time.
    CommittedAt,
}

impl RecordField {
    /// Every field with its name in a mapping file.
    pub const ALL: [(Self, &'static str); 10] = [
        (Self::Topic, "topic"),
        (Self::Partition, "partition"),
        (Self::Offset, "offset"),
        (Self::TimestampMs, "timestamp_ms"),
        (Self::Timestamp, "timestamp"),
        (Self::Key, "key"),
        (Self::KeyText, "key_text"),
        (Self::Headers, "headers"),
        (Self::CommittedAtMs, "committed_at_ms"),
        (Self::CommittedAt, "committed_at"),
    ];

    pub(crate) fn postgres_type(self) -> &'static str {
        match self {
            Self::Topic | Self::KeyText => "text",
            Self::Partition => "integer",
            Self::Offset | Self::TimestampMs | Self::CommittedAtMs => "bigint",
            Self::Timestamp | Self::CommittedAt => "timestamptz",
            Self::Key => "bytea",
            Self::Headers => "jsonb",
        }
    }

    pub(crate) fn sqlite_type(self) -> &'static str {
        match self {
            Self::Topic | Self::KeyText | Self::Headers | Self::Timestamp | Self::CommittedAt => {
                "TEXT"
            }
            Self::Partition | Self::Offset | Self::TimestampMs | Self::CommittedAtMs => "INTEGER",
            Self::Key => "BLOB",
        }
    }

    /// What the record lacks where the field is NULL; `None` if it never is.
    pub(crate) fn may_be_missing(self) -> Option<&'static str> {
        match self {
            Self::Key | Self::KeyText => Some("key"),
            Self::Timestamp | Self::TimestampMs => Some("timestamp"),
            _ => None,
        }
    }

    /// Whether it is set when the batch is sent.
    pub(crate) fn is_commit_time(self) -> bool {
        matches!(self, Self::CommittedAtMs | Self::CommittedAt)
    }
}

/// The record's columns of a row type, and of a mapping that names none.
pub(crate) const DEFAULT_RECORD: [(RecordField, &str); 5] = [
    (RecordField::Topic, "kafka_topic"),
    (RecordField::Partition, "kafka_partition"),
    (RecordField::Offset, "kafka_offset"),
    (RecordField::TimestampMs, "record_timestamp_ms"),
    (RecordField::CommittedAtMs, "committed_at_ms"),
];

impl TableShape {
    /// The table of a row type, with the usual columns for the record.
    pub(crate) fn typed(
        table: &str,
        columns: &[(&str, &str)],
        record_type: fn(RecordField) -> &'static str,
    ) -> Self {
        let column = |name: &str, sql_type: &str| TableColumn {
            name: name.to_owned(),
            sql_type: sql_type.to_owned(),
            not_null: None,
        };
        Self {
            table: table.to_owned(),
            columns: columns.iter().map(|(name, kind)| column(name, kind)).collect(),
            record: DEFAULT_RECORD
                .iter()
                .map(|(field, name)| (*field, column(name, record_type(*field))))
                .collect(),
            mode: WriteMode::Append,
        }
    }

    /// The same table, written by key.
    #[must_use]
    pub fn upsert(mut self, key: &[&str]) -> Self {
        self.mode = WriteMode::Upsert { key: key.iter().map(ToString::to_string).collect() };
        self
    }

    /// Every column that is written, the row's before the record's.
    pub fn written(&self) -> impl Iterator<Item = &TableColumn> {
        self.columns.iter().chain(self.record.iter().map(|(_, column)| column))
    }

    /// The key's columns; none in append mode.
    pub fn key(&self) -> &[String] {
        match &self.mode {
            WriteMode::Append => &[],
            WriteMode::Upsert { key } => key,
        }
    }

    /// Whether a new table gets an `id` that numbers its rows: in append mode,
    /// unless a column has this name.
    pub(crate) fn is_numbered(&self) -> bool {
        self.mode == WriteMode::Append
            && !self.written().any(|column| column.name.eq_ignore_ascii_case("id"))
    }

    /// The name as SQL reads it literally.
    pub(crate) fn quoted_table(&self) -> String {
        self.table.split('.').map(quoted).collect::<Vec<_>>().join(".")
    }

    /// The written columns' names as SQL reads them, separated by commas.
    pub(crate) fn quoted_columns(&self) -> String {
        self.written().map(|column| quoted(&column.name)).collect::<Vec<_>>().join(", ")
    }

    /// `ON CONFLICT ...` of an upsert; empty in append mode. `newer` is a condition
    /// that the new row must meet.
    pub(crate) fn on_conflict(&self, newer: &str) -> String {
        let key = self.key();
        if key.is_empty() {
            return String::new();
        }
        let names = key.iter().map(|name| quoted(name)).collect::<Vec<_>>().join(", ");
        let sets: Vec<String> = self
            .written()
            .filter(|column| !key.contains(&column.name))
            .map(|column| quoted(&column.name))
            .map(|name| format!("{name} = EXCLUDED.{name}"))
            .collect();
        if sets.is_empty() {
            return format!(" ON CONFLICT ({names}) DO NOTHING");
        }
        let newer = if newer.is_empty() { String::new() } else { format!(" WHERE {newer}") };
        format!(" ON CONFLICT ({names}) DO UPDATE SET {}{newer}", sets.join(", "))
    }

    /// The condition under which a row of an upsert is not older than the one in
    /// its place: that is another partition's, has a smaller offset, or does not say where
    /// it comes from. `None` if the table has no columns for that.
    pub(crate) fn not_older(&self) -> Option<String> {
        let name = |wanted: RecordField| {
            let found = self.record.iter().find(|(field, _)| *field == wanted);
            found.map(|(_, column)| quoted(&column.name))
        };
        let (topic, partition, offset) =
            (name(RecordField::Topic)?, name(RecordField::Partition)?, name(RecordField::Offset)?);
        let table = self.quoted_table();
        // Of `schema.table` SQL knows the row by `table`.
        let table = table.rsplit_once("\".").map_or(table.as_str(), |(_, name)| name);
        Some(format!(
            "({table}.{topic} = EXCLUDED.{topic} AND {table}.{partition} = EXCLUDED.{partition} \
             AND {table}.{offset} >= EXCLUDED.{offset}) IS NOT TRUE"
        ))
    }

    /// Position of each key column among the written ones.
    pub(crate) fn key_columns(&self) -> Vec<usize> {
        let position = |name: &String| self.written().position(|column| column.name == *name);
        self.key().iter().filter_map(position).collect()
    }
}

/// A name as SQL reads it literally, in both databases.
pub(crate) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_upsert_names_its_key_and_sets_the_rest() {
        let shape = TableShape::typed(
            "s.accounts",
            &[("id", "bigint"), ("name", "text")],
            RecordField::postgres_type,
        )
        .upsert(&["id"]);
        let sql = shape.on_conflict("");
        assert!(
            sql.starts_with(" ON CONFLICT (\"id\") DO UPDATE SET \"name\" = EXCLUDED.\"name\"")
        );
        assert!(!sql.contains("\"id\" = "), "{sql}");
        assert_eq!(shape.quoted_table(), "\"s\".\"accounts\"");
        assert_eq!(shape.key_columns(), [0]);
        let newer = shape.not_older().expect("it says where rows come from");
        assert!(newer.starts_with("(\"accounts\".\"kafka_topic\" = "), "{newer}");
    }
}
