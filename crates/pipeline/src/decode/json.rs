//! Any serde type from a JSON payload.

use std::fmt;
use std::marker::PhantomData;

use serde::de::DeserializeOwned;
use serde_json::error::Category;
use tidegate_kafka::Record;

use super::{Decoder, Rejection, Row, reason};

/// Decodes payloads that are one JSON value of type `T`.
///
/// How strict it is about fields is up to `T`; put
/// `#[serde(deny_unknown_fields)]` on it to refuse unknown ones.
pub struct JsonDecoder<T> {
    row: PhantomData<fn() -> T>,
}

impl<T> JsonDecoder<T> {
    /// A decoder without settings.
    pub const fn new() -> Self {
        Self { row: PhantomData }
    }
}

impl<T> Default for JsonDecoder<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> fmt::Debug for JsonDecoder<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JsonDecoder")
    }
}

impl<T: DeserializeOwned + Row> Decoder for JsonDecoder<T> {
    type Row = T;

    fn decode(&self, record: &Record) -> Result<T, Rejection> {
        serde_json::from_str(text(record)?).map_err(|error| json_rejection(&error))
    }
}

/// The payload as text: present, not empty, UTF-8, without NUL bytes.
pub(crate) fn text(record: &Record) -> Result<&str, Rejection> {
    let Some(payload) = &record.payload else {
        return Err(Rejection::new(reason::TOMBSTONE, "the record has no payload"));
    };
    if payload.is_empty() {
        return Err(Rejection::new(reason::EMPTY_PAYLOAD, "the payload has no bytes"));
    }
    let text = std::str::from_utf8(payload)
        .map_err(|error| Rejection::new(reason::INVALID_UTF8, error.to_string()))?;
    if payload.contains(&0) {
        let at = text.find('\0').unwrap_or_default();
        return Err(Rejection::new(reason::NUL_CHARACTER, format!("NUL at byte {at}")));
    }
    Ok(text)
}

pub(crate) fn json_rejection(error: &serde_json::Error) -> Rejection {
    let code = match error.classify() {
        Category::Data => reason::BAD_FIELD,
        Category::Syntax | Category::Eof | Category::Io => reason::BAD_JSON,
    };
    Rejection::new(code, error.to_string())
}
