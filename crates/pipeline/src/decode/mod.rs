//! From a Kafka record to a row, or to the reason why there is none.
//!
//! Contract: pure, called on the thread `decode` once a record, in offset order.
//! A decoder that fails never stops the partition: the record goes to the dead
//! letters. A decoder that panics is treated the same, because a restart would
//! meet the same record again.
//!
//! Most records are flat JSON, which `flat` reads; all else is left to `serde_json`
//! (ADR 034).
//!
//! Rejected: decoding on several threads. A trade takes half a microsecond, a
//! pod is one of many processes, and order would have to be restored.

pub(crate) mod flat;
mod json;
mod trade;

use std::panic::{AssertUnwindSafe, catch_unwind};

use tidegate_kafka::Record;

pub use json::JsonDecoder;
pub(crate) use json::{json_rejection, text as payload_text};
pub use trade::{TradeDecoder, TradeRow};

/// What may travel from a decoder to a sink.
pub trait Row: Clone + Send + Sync + 'static {}
impl<T: Clone + Send + Sync + 'static> Row for T {}

/// Turns records into rows of one type.
pub trait Decoder: Send + 'static {
    /// The row type, which the sink must accept.
    type Row: Row;

    /// Decodes one record. Its payload is at most `max_payload_bytes` long; it
    /// can be absent (a tombstone) or empty.
    ///
    /// # Errors
    /// A [`Rejection`] sends the record to the dead letters.
    fn decode(&self, record: &Record) -> Result<Self::Row, Rejection>;
}

/// Why a record became a dead letter.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {reason}")]
pub struct Rejection {
    /// Stable, for queries and metrics: one of [`reason`] or a decoder's own.
    pub code: &'static str,
    /// One line for a human.
    pub reason: String,
}

impl Rejection {
    /// A rejection with a code from [`reason`], or an own one in snake_case.
    /// The text may quote the record; a NUL in it becomes U+FFFD, since PostgreSQL's texts have
    /// none.
    pub fn new(code: &'static str, reason: impl Into<String>) -> Self {
        let mut reason = reason.into();
        if reason.contains('\0') {
            reason = reason.replace('\0', "\u{fffd}");
        }
        Self { code, reason }
    }
}

/// Reason codes of dead letters.
pub mod reason {
    /// The record has no payload (a delete marker of a compacted topic).
    pub const TOMBSTONE: &str = "tombstone";
    /// The payload has no bytes.
    pub const EMPTY_PAYLOAD: &str = "empty_payload";
    /// The payload is longer than `max_payload_bytes`.
    pub const PAYLOAD_TOO_LARGE: &str = "payload_too_large";
    /// The payload is not UTF-8.
    pub const INVALID_UTF8: &str = "invalid_utf8";
    /// The payload or one of its texts contains the character NUL.
    pub const NUL_CHARACTER: &str = "nul_character";
    /// The payload is not one JSON value.
    pub const BAD_JSON: &str = "bad_json";
    /// A field is unknown, missing, repeated or of the wrong type.
    pub const BAD_FIELD: &str = "bad_field";
    /// A field has the right type and a value that is not allowed.
    pub const BAD_VALUE: &str = "bad_value";
    /// The decoder panicked.
    pub const DECODER_PANIC: &str = "decoder_panic";
    /// The database refused the row.
    pub const REJECTED_BY_DATABASE: &str = "rejected_by_database";

    /// All of the above.
    pub const ALL: &[&str] = &[
        TOMBSTONE,
        EMPTY_PAYLOAD,
        PAYLOAD_TOO_LARGE,
        INVALID_UTF8,
        NUL_CHARACTER,
        BAD_JSON,
        BAD_FIELD,
        BAD_VALUE,
        DECODER_PANIC,
        REJECTED_BY_DATABASE,
    ];
}

/// Decodes within the bound on the payload, and survives a panicking decoder.
pub(crate) fn decode_record<D: Decoder>(
    decoder: &D,
    record: &Record,
    max_payload_bytes: usize,
) -> Result<D::Row, Rejection> {
    let length = record.payload.as_ref().map_or(0, bytes::Bytes::len);
    if length > max_payload_bytes {
        return Err(Rejection::new(
            reason::PAYLOAD_TOO_LARGE,
            format!("payload has {length} bytes, max_payload_bytes is {max_payload_bytes}"),
        ));
    }
    catch_unwind(AssertUnwindSafe(|| decoder.decode(record))).unwrap_or_else(|panic| {
        Err(Rejection::new(reason::DECODER_PANIC, crate::panic_message(panic.as_ref())))
    })
}

#[cfg(test)]
mod tests;
