//! The decoded row: small values, and places of texts.
//!
//! A pod holds tens of thousands of rows, each beside its record. So a row has no reference
//! to the payload of its own; whoever reads it gives the record's.

use bytes::BufMut;
use tidegate_kafka::Record;

use super::text::uuid;
use crate::sink::postgres::{BindError, CopyBinder, JSONB_VERSION, Numeric, Timestamptz};
use crate::sink::sqlite::{RowBinder, rusqlite};
use tidegate_postgres::tokio_postgres::types::{ToSql, Type};

/// A row that a [`Mapping`](super::Mapping) has made of a record; what it is worth lies in
/// part in that record's payload.
#[derive(Debug, Clone)]
pub struct MappedRow {
    /// What is not in the payload as it is stored: unescaped texts, bytes, defaults.
    extra: Box<[u8]>,
    values: Box<[Value]>,
}

/// A column's value.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Value {
    /// Not found yet.
    Missing,
    Null,
    Bool(bool),
    Integer(i32),
    Bigint(i64),
    Double(f64),
    Text(Span),
    Numeric(Span),
    Time {
        at_us: i64,
        text: Span,
    },
    Date {
        days: i32,
        text: Span,
    },
    Uuid(Span),
    Json(Span),
    Bytes(Span),
}

/// Where a text is: in the payload, or in what was added.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span {
    start: u32,
    length: u32,
    is_extra: bool,
}

/// A row that is being decoded.
#[derive(Debug, Clone)]
pub(super) struct RowBuilder<'p> {
    payload: &'p [u8],
    extra: Vec<u8>,
    pub(super) values: Vec<Value>,
}

impl<'p> RowBuilder<'p> {
    pub(super) fn new(payload: &'p [u8], columns: usize) -> Self {
        Self { payload, extra: Vec::new(), values: vec![Value::Missing; columns] }
    }

    /// Where a text is; a text that is not a part of the payload is kept.
    #[inline]
    pub(super) fn span(&mut self, text: &str) -> Span {
        let offset = (text.as_ptr() as usize).checked_sub(self.payload.as_ptr() as usize);
        match offset {
            Some(start) if start + text.len() <= self.payload.len() => {
                Span { start: start as u32, length: text.len() as u32, is_extra: false }
            }
            _ => self.add(text.as_bytes()),
        }
    }

    /// Keeps bytes that are not in the payload.
    pub(super) fn add(&mut self, bytes: &[u8]) -> Span {
        let start = self.extra.len() as u32;
        self.extra.extend_from_slice(bytes);
        Span { start, length: bytes.len() as u32, is_extra: true }
    }

    /// Takes over the only value of another row, which has no payload.
    pub(super) fn import(&mut self, other: &MappedRow) -> Value {
        let start = self.extra.len() as u32;
        self.extra.extend_from_slice(&other.extra);
        let value = other.values.first().copied().unwrap_or(Value::Null);
        value.with_spans(|span| Span { start: span.start + start, ..span })
    }

    /// For a default: nothing of it lies in a payload.
    pub(super) fn finish_without_payload(self) -> MappedRow {
        let mut alone = RowBuilder::new(&[], 0);
        for value in &self.values {
            let value = value.with_spans(|span| alone.add(bytes(self.payload, &self.extra, span)));
            alone.values.push(value);
        }
        alone.finish()
    }

    pub(super) fn finish(self) -> MappedRow {
        MappedRow { extra: self.extra.into(), values: self.values.into() }
    }
}

impl Value {
    /// The same value with its texts elsewhere.
    fn with_spans(self, mut moved: impl FnMut(Span) -> Span) -> Self {
        match self {
            Self::Text(span) => Self::Text(moved(span)),
            Self::Numeric(span) => Self::Numeric(moved(span)),
            Self::Time { at_us, text } => Self::Time { at_us, text: moved(text) },
            Self::Date { days, text } => Self::Date { days, text: moved(text) },
            Self::Uuid(span) => Self::Uuid(moved(span)),
            Self::Json(span) => Self::Json(moved(span)),
            Self::Bytes(span) => Self::Bytes(moved(span)),
            Self::Missing
            | Self::Null
            | Self::Bool(_)
            | Self::Integer(_)
            | Self::Bigint(_)
            | Self::Double(_) => self,
        }
    }
}

fn bytes<'r>(payload: &'r [u8], extra: &'r [u8], span: Span) -> &'r [u8] {
    let all = if span.is_extra { extra } else { payload };
    let start = span.start as usize;
    all.get(start..start + span.length as usize).unwrap_or_default()
}

impl MappedRow {
    /// The row with the record that it was made of.
    pub(super) fn of<'r>(&'r self, record: &'r Record) -> WholeRow<'r> {
        WholeRow { row: self, payload: record.payload.as_deref().unwrap_or_default() }
    }

    /// Gives one value a column, in the mapping's types.
    pub(crate) fn bind_postgres(
        &self,
        record: &Record,
        binder: &mut CopyBinder<'_>,
    ) -> Result<(), BindError> {
        self.of(record).bind_postgres(binder)
    }

    /// Gives one value a column; what SQLite has no type for is its text.
    pub(crate) fn bind_sqlite(
        &self,
        record: &Record,
        binder: &mut RowBinder<'_, '_>,
    ) -> rusqlite::Result<()> {
        self.of(record).bind_sqlite(binder)
    }
}

/// A row and the payload that it was made of.
#[derive(Debug, Clone, Copy)]
pub(super) struct WholeRow<'r> {
    row: &'r MappedRow,
    payload: &'r [u8],
}

impl<'r> WholeRow<'r> {
    pub(super) fn bytes(self, span: Span) -> &'r [u8] {
        bytes(self.payload, &self.row.extra, span)
    }

    #[cfg(test)]
    pub(super) fn values(self) -> &'r [Value] {
        &self.row.values
    }

    /// Spans lie at the ends of JSON texts, so they are UTF-8 again.
    pub(super) fn text(self, span: Span) -> &'r str {
        std::str::from_utf8(self.bytes(span)).unwrap_or_default()
    }

    fn bind_postgres(self, binder: &mut CopyBinder<'_>) -> Result<(), BindError> {
        for value in &self.row.values {
            match *value {
                Value::Missing | Value::Null => binder.put_null(),
                Value::Bool(value) => binder.put(|out| out.put_u8(u8::from(value))),
                Value::Integer(value) => binder.put(|out| out.put_i32(value)),
                Value::Bigint(value) => binder.put(|out| out.put_i64(value)),
                Value::Double(value) => binder.put(|out| out.put_f64(value)),
                Value::Text(span) | Value::Bytes(span) => {
                    binder.put(|out| out.extend_from_slice(self.bytes(span)))
                }
                Value::Numeric(span) => {
                    let mut encoded = Ok(());
                    binder.put(|out| {
                        let number = Numeric(self.text(span));
                        encoded = number.to_sql(&Type::NUMERIC, out).map(drop);
                    })?;
                    encoded.map_err(|error| BindError::Value(error.to_string()))
                }
                Value::Time { at_us, .. } => {
                    binder.put(|out| out.put_i64(Timestamptz::of_us(at_us)))
                }
                Value::Date { days, .. } => binder.put(|out| out.put_i32(days)),
                Value::Uuid(span) => {
                    let id = uuid(self.bytes(span)).unwrap_or_default();
                    binder.put(|out| out.extend_from_slice(&id))
                }
                Value::Json(span) => binder.put(|out| {
                    out.put_u8(JSONB_VERSION);
                    out.extend_from_slice(self.bytes(span));
                }),
            }?;
        }
        Ok(())
    }

    fn bind_sqlite(self, binder: &mut RowBinder<'_, '_>) -> rusqlite::Result<()> {
        for value in &self.row.values {
            match *value {
                Value::Missing | Value::Null => binder.push(rusqlite::types::Null),
                Value::Bool(value) => binder.push(value),
                Value::Integer(value) => binder.push(value),
                Value::Bigint(value) => binder.push(value),
                Value::Double(value) => binder.push(value),
                Value::Text(span)
                | Value::Numeric(span)
                | Value::Time { text: span, .. }
                | Value::Date { text: span, .. }
                | Value::Uuid(span)
                | Value::Json(span) => binder.push(self.text(span)),
                Value::Bytes(span) => binder.push(self.bytes(span)),
            }?;
        }
        Ok(())
    }
}
