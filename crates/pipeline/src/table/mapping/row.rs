//! The decoded row: small values, and places of texts.

use bytes::{BufMut, Bytes};

use super::text::uuid;
use crate::sink::postgres::{BindError, CopyBinder, JSONB_VERSION, Numeric, Timestamptz};
use crate::sink::sqlite::{RowBinder, rusqlite};
use tidegate_postgres::tokio_postgres::types::{ToSql, Type};

/// A row that a [`Mapping`](super::Mapping) has made of a record.
#[derive(Debug, Clone)]
pub struct MappedRow {
    payload: Bytes,
    /// What is not in the payload as it is stored: unescaped texts, bytes, defaults.
    extra: Vec<u8>,
    values: Vec<Value>,
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
pub(super) struct RowBuilder {
    payload: Bytes,
    extra: Vec<u8>,
    pub(super) values: Vec<Value>,
}

impl RowBuilder {
    pub(super) fn new(payload: Bytes, columns: usize) -> Self {
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
    pub(super) fn import(&mut self, other: &RowBuilder) -> Value {
        let start = self.extra.len() as u32;
        self.extra.extend_from_slice(&other.extra);
        let moved = |span: Span| Span { start: span.start + start, ..span };
        match other.values.first().copied().unwrap_or(Value::Null) {
            Value::Text(span) => Value::Text(moved(span)),
            Value::Numeric(span) => Value::Numeric(moved(span)),
            Value::Time { at_us, text } => Value::Time { at_us, text: moved(text) },
            Value::Date { days, text } => Value::Date { days, text: moved(text) },
            Value::Uuid(span) => Value::Uuid(moved(span)),
            Value::Json(span) => Value::Json(moved(span)),
            Value::Bytes(span) => Value::Bytes(moved(span)),
            value => value,
        }
    }

    /// For a default: nothing of it lies in a payload.
    pub(super) fn without_payload(mut self) -> Self {
        if let Some(value) = self.values.first().copied() {
            let mut alone = Self::new(Bytes::new(), 0);
            let mut keep = |span: Span| {
                let bytes = self.bytes(span).to_vec();
                alone.add(&bytes)
            };
            let value = match value {
                Value::Text(span) => Value::Text(keep(span)),
                Value::Numeric(span) => Value::Numeric(keep(span)),
                Value::Time { at_us, text } => Value::Time { at_us, text: keep(text) },
                Value::Date { days, text } => Value::Date { days, text: keep(text) },
                Value::Uuid(span) => Value::Uuid(keep(span)),
                Value::Json(span) => Value::Json(keep(span)),
                Value::Bytes(span) => Value::Bytes(keep(span)),
                value => value,
            };
            alone.values.push(value);
            self = alone;
        }
        self
    }

    fn bytes(&self, span: Span) -> &[u8] {
        bytes_of(&self.payload, &self.extra, span)
    }

    pub(super) fn finish(self) -> MappedRow {
        MappedRow { payload: self.payload, extra: self.extra, values: self.values }
    }
}

fn bytes_of<'r>(payload: &'r Bytes, extra: &'r [u8], span: Span) -> &'r [u8] {
    let all = if span.is_extra { extra } else { payload };
    let start = span.start as usize;
    all.get(start..start + span.length as usize).unwrap_or_default()
}

impl MappedRow {
    pub(super) fn bytes(&self, span: Span) -> &[u8] {
        bytes_of(&self.payload, &self.extra, span)
    }

    #[cfg(test)]
    pub(super) fn values(&self) -> &[Value] {
        &self.values
    }

    /// Spans lie at the ends of JSON texts, so they are UTF-8 again.
    pub(super) fn text(&self, span: Span) -> &str {
        std::str::from_utf8(self.bytes(span)).unwrap_or_default()
    }

    /// Gives one value a column, in the mapping's types.
    pub(crate) fn bind_postgres(&self, binder: &mut CopyBinder<'_>) -> Result<(), BindError> {
        for value in &self.values {
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

    /// Gives one value a column; what SQLite has no type for is its text.
    pub(crate) fn bind_sqlite(&self, binder: &mut RowBinder<'_, '_>) -> rusqlite::Result<()> {
        for value in &self.values {
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
