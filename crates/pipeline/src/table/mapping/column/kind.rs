//! The types of columns.

use serde::Deserialize;

/// The types of a mapping.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ColumnType {
    /// A JSON string.
    Text,
    /// A whole number of 64 bits.
    Bigint,
    /// A whole number of 32 bits.
    Integer,
    /// A decimal number, exactly as it is written.
    Numeric,
    /// A binary floating-point number.
    Double,
    /// `true` or `false`.
    Boolean,
    /// ISO 8601 text, without an offset UTC; or a number since 1970.
    Timestamptz,
    /// `2026-01-31`.
    Date,
    /// A UUID, with or without hyphens.
    Uuid,
    /// Any JSON value.
    Jsonb,
    /// Bytes as base64 or hexadecimal text.
    Bytea,
}

impl ColumnType {
    pub(in super::super) fn postgres_type(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Bigint => "bigint",
            Self::Integer => "integer",
            Self::Numeric => "numeric",
            Self::Double => "double precision",
            Self::Boolean => "boolean",
            Self::Timestamptz => "timestamptz",
            Self::Date => "date",
            Self::Uuid => "uuid",
            Self::Jsonb => "jsonb",
            Self::Bytea => "bytea",
        }
    }

    pub(in super::super) fn sqlite_type(self) -> &'static str {
        match self {
            Self::Bigint | Self::Integer | Self::Boolean => "INTEGER",
            Self::Double => "REAL",
            Self::Bytea => "BLOB",
            Self::Text
            | Self::Numeric
            | Self::Timestamptz
            | Self::Date
            | Self::Uuid
            | Self::Jsonb => "TEXT",
        }
    }

    /// What JSON must have for it, in words.
    pub(in super::super) fn expecting(self) -> &'static str {
        match self {
            Self::Text => "a string",
            Self::Bigint => "a whole number of 64 bits",
            Self::Integer => "a whole number of 32 bits",
            Self::Numeric => "a decimal number",
            Self::Double => "a number",
            Self::Boolean => "true or false",
            Self::Timestamptz => "an ISO 8601 time",
            Self::Date => "a date like 2026-01-31",
            Self::Uuid => "a UUID",
            Self::Jsonb => "a JSON value",
            Self::Bytea => "bytes as text",
        }
    }
}
