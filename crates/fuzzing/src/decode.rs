//! Records of any content: a row that fits its promises, or a dead letter's reason.

use bytes::Bytes;
use serde_json::Value;
use tidegate_kafka::Record;
use tidegate_pipeline::decode::reason;
use tidegate_pipeline::{Decoder, JsonDecoder, Rejection, TradeDecoder};

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
                [&row.account_id, &row.trade_id, &row.symbol, &row.trade_type, &row.timestamp];
            for text in texts {
                assert!(!text.is_empty() && !text.contains('\0'), "{text:?}");
            }
            assert!(matches!(row.trade_type.as_str(), "BUY" | "SELL"), "{}", row.trade_type);
            assert!(row.price.parse::<f64>().is_ok_and(f64::is_finite), "{}", row.price);
            let text = std::str::from_utf8(payload).expect("a row from bytes that are no text");
            assert!(text.contains(&row.price), "{} is not what was written", row.price);
            let value: Value =
                serde_json::from_str(text).expect("a row from bytes that are no JSON");
            assert_eq!(value["quantity"].as_i64(), Some(row.quantity));
            assert_eq!(value["trade_id"].as_str(), Some(row.trade_id.as_str()));
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
