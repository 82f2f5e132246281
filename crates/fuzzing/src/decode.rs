//! Records of any content: a row that fits its promises, or a dead letter's reason.

use std::sync::{Arc, LazyLock};

use bytes::Bytes;
use serde_json::Value;
use tidegate_kafka::Record;
use tidegate_pipeline::decode::reason;
use tidegate_pipeline::{Decoder, JsonDecoder, MappedDecoder, Mapping, Rejection, TradeDecoder};

fn record(payload: &[u8]) -> Record {
    Record {
        topic: "t".into(),
        partition: 0,
        offset: 0,
        timestamp_ms: Some(0),
        key: None,
        payload: Some(Bytes::copy_from_slice(payload)),
        headers: Vec::new(),
    }
}

fn check_rejection(rejection: &Rejection) {
    assert!(reason::ALL.contains(&rejection.code), "unknown code {:?}", rejection.code);
    // A reason is stored as text: no database takes a NUL in it.
    assert!(!rejection.reason.contains('\0'), "NUL in {:?}", rejection.reason);
}

/// A trade that is accepted has non-empty texts without NUL, a known type, and a price that
/// is a decimal number as it was written.
pub fn trade(payload: &[u8]) {
    match TradeDecoder.decode(&record(payload)) {
        Err(rejection) => check_rejection(&rejection),
        Ok(row) => {
            let texts =
                [row.account_id(), row.trade_id(), row.symbol(), row.trade_type(), row.timestamp()];
            for text in texts {
                assert!(!text.is_empty() && !text.contains('\0'), "{text:?}");
            }
            assert!(matches!(row.trade_type(), "BUY" | "SELL"), "{}", row.trade_type());
            assert!(row.price().parse::<f64>().is_ok_and(f64::is_finite), "{}", row.price());
            let text = std::str::from_utf8(payload).expect("a row from bytes that are no text");
            assert!(text.contains(row.price()), "{} is not what was written", row.price());
            let value: Value =
                serde_json::from_str(text).expect("a row from bytes that are no JSON");
            assert_eq!(value["quantity"].as_i64(), Some(row.quantity()));
            assert_eq!(value["trade_id"].as_str(), Some(row.trade_id()));
        }
    }
}

/// Any JSON as itself.
pub fn json(payload: &[u8]) {
    match JsonDecoder::<Value>::new().decode(&record(payload)) {
        Err(rejection) => check_rejection(&rejection),
        Ok(row) => {
            let expected: Value = serde_json::from_slice(payload).expect("a row that is no JSON");
            assert_eq!(row, expected);
        }
    }
}

/// The trades' table as a mapping.
static TRADES: LazyLock<Arc<Mapping>> = LazyLock::new(|| {
    let text = include_str!("../../../config/tables/trade.toml");
    Arc::new(Mapping::from_text("trade.toml", text).expect("a valid mapping"))
});

/// A column of each type, nested, with a default and a null.
static TYPES: LazyLock<Arc<Mapping>> = LazyLock::new(|| {
    let text = include_str!("../types.toml");
    Arc::new(Mapping::from_text("types.toml", text).expect("a valid mapping"))
});

/// A mapping's decoder takes any record or says why not; the trades' mapping takes what
/// the trades' own decoder takes.
pub fn mapped(payload: &[u8]) {
    if let Err(rejection) = MappedDecoder::new(Arc::clone(&TYPES)).decode(&record(payload)) {
        check_rejection(&rejection);
    }
    let typed = TradeDecoder.decode(&record(payload)).map(drop);
    match MappedDecoder::new(Arc::clone(&TRADES)).decode(&record(payload)).map(drop) {
        Ok(()) => assert_eq!(typed, Ok(()), "the mapping takes it"),
        Err(rejection) => {
            check_rejection(&rejection);
            // The one difference: a time that is none is refused by the mapping at once.
            let is_time = rejection.code == reason::BAD_VALUE
                && rejection.reason.starts_with("timestamp is ");
            assert!(typed.is_err() || is_time, "the trades' own decoder takes it: {rejection:?}");
        }
    }
}
