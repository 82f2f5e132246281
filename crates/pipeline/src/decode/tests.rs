use bytes::Bytes;
use proptest::prelude::*;
use tidegate_kafka::Record;

use super::{Decoder, JsonDecoder, Rejection, TradeDecoder, TradeRow, decode_record, reason};
use crate::testing::{record, trade_json};

fn decode(payload: &str) -> Result<TradeRow, Rejection> {
    decode_bytes(Some(payload.as_bytes()))
}

fn decode_bytes(payload: Option<&[u8]>) -> Result<TradeRow, Rejection> {
    let mut record = record(0, 0, "");
    record.payload = payload.map(Bytes::copy_from_slice);
    decode_record(&TradeDecoder, &record, 1 << 20)
}

fn code(payload: &str) -> &'static str {
    decode(payload).expect_err(payload).code
}

fn with(from: &str, to: &str) -> String {
    let json = trade_json("TRD000000000042", "AAPL");
    assert!(json.contains(from), "{from} is not in {json}");
    json.replace(from, to)
}

#[test]
fn a_trade_is_decoded_field_by_field() {
    let row = decode(&trade_json("TRD000000000042", "AAPL")).expect("valid");
    assert_eq!(row.account_id(), "ACC1000");
    assert_eq!(row.trade_id(), "TRD000000000042");
    assert_eq!(row.symbol(), "AAPL");
    assert_eq!(row.trade_type(), "BUY");
    assert_eq!(row.quantity(), 7);
    assert_eq!(row.price(), "123.40");
    assert_eq!(row.timestamp(), "2026-01-01T00:00:00.000Z");
}

#[test]
fn the_price_is_the_text_that_was_sent() {
    for price in ["0.1", "100", "50.00", "-1.5", "12345678901234567890.123456789012345678"] {
        assert_eq!(decode(&with("123.40", price)).expect(price).price(), price);
    }
}

#[test]
fn every_defect_has_its_code() {
    let cases = [
        ("{", reason::BAD_JSON),
        ("not json", reason::BAD_JSON),
        (&format!("{} x", trade_json("T", "A")), reason::BAD_JSON),
        ("[]", reason::BAD_FIELD),
        ("null", reason::BAD_FIELD),
        (r#" ["A","T","S","BUY",7,1.5,"2026-01-01T00:00:00Z"]"#, reason::BAD_FIELD),
        (&with("\"quantity\":7,", ""), reason::BAD_FIELD),
        (&with("\"quantity\"", "\"colour\":1,\"quantity\""), reason::BAD_FIELD),
        (&with("\"quantity\":7", "\"quantity\":7,\"quantity\":8"), reason::BAD_FIELD),
        (&with("\"quantity\":7", "\"quantity\":\"7\""), reason::BAD_FIELD),
        (&with("\"quantity\":7", "\"quantity\":7.5"), reason::BAD_FIELD),
        (&with("\"quantity\":7", "\"quantity\":-0"), reason::BAD_FIELD),
        (&with("\"quantity\":7", "\"quantity\":07"), reason::BAD_JSON),
        (&with("\"quantity\":7", "\"quantity\":99999999999999999999"), reason::BAD_FIELD),
        (&with("123.40", "\"123.40\""), reason::BAD_FIELD),
        (&with("123.40", "null"), reason::BAD_FIELD),
        (&with("123.40", "1e400"), reason::BAD_VALUE),
        (&with("123.40", &"9".repeat(39)), reason::BAD_VALUE),
        (&with("BUY", "HOLD"), reason::BAD_VALUE),
        (&with("ACC1000", ""), reason::BAD_VALUE),
        (&with("ACC1000", "ACC\\u0000"), reason::NUL_CHARACTER),
        (&with("ACC1000", "ACC\0"), reason::NUL_CHARACTER),
        (&with("ACC1000", "\\ud800"), reason::BAD_JSON),
        (&"[".repeat(10_000), reason::BAD_FIELD),
        ("", reason::EMPTY_PAYLOAD),
    ];
    for (payload, expected) in cases {
        assert_eq!(code(payload), expected, "{payload}");
    }
}

#[test]
fn space_order_and_escapes_change_nothing() {
    let plain = trade_json("TRD000000000042", "AAPL");
    let expected = decode(&plain);
    assert!(expected.is_ok());
    let spaced =
        plain.replace(':', " : ").replace(',', ",\n\t").replace("00 : 00 : 00", "00:00:00");
    let escaped = plain.replace("AAPL", "\\u0041APL").replace("\"price\"", "\"pric\\u0065\"");
    let members: Vec<&str> = plain.trim_matches(['{', '}']).split(',').collect();
    let reversed = members.into_iter().rev().collect::<Vec<_>>().join(",");
    for other in [format!(" {spaced}\r\n"), escaped, format!("{{{reversed}}}")] {
        assert_ne!(other, plain);
        assert_eq!(decode(&other), expected, "{other}");
    }
}

#[test]
fn what_is_no_text_has_its_code() {
    let code = |payload| decode_bytes(payload).expect_err("no trade").code;
    assert_eq!(code(None), reason::TOMBSTONE);
    assert_eq!(code(Some(b"{\"account_id\":\"\xff\"}")), reason::INVALID_UTF8);
}

#[test]
fn an_oversized_payload_is_not_parsed() {
    let record = record(0, 0, &trade_json("T", "A"));
    let length = record.payload.as_ref().map_or(0, Bytes::len);
    assert!(decode_record(&TradeDecoder, &record, length).is_ok());
    let error = decode_record(&TradeDecoder, &record, length - 1).expect_err("one byte too long");
    assert_eq!(error.code, reason::PAYLOAD_TOO_LARGE);
}

#[test]
fn a_decoder_that_panics_costs_its_record_and_no_more() {
    struct Panics;
    impl Decoder for Panics {
        type Row = ();
        fn decode(&self, record: &Record) -> Result<(), Rejection> {
            panic!("cannot decode {}", record.offset);
        }
    }
    let error = decode_record(&Panics, &record(0, 9, "x"), 10).expect_err("it panics");
    assert_eq!(error, Rejection::new(reason::DECODER_PANIC, "cannot decode 9"));
}

#[test]
fn any_serde_type_can_be_a_row() {
    #[derive(Debug, Clone, PartialEq, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Payment {
        cents: u64,
    }
    let decoder = JsonDecoder::<Payment>::new();
    assert_eq!(decoder.decode(&record(0, 0, r#"{"cents":5}"#)), Ok(Payment { cents: 5 }));
    let error = decoder.decode(&record(0, 0, r#"{"euros":5}"#)).expect_err("unknown field");
    assert_eq!(error.code, reason::BAD_FIELD);
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(payload in prop::collection::vec(any::<u8>(), 0..200)) {
        if let Err(error) = decode_bytes(Some(&payload)) {
            prop_assert_ne!(error.code, reason::DECODER_PANIC);
        }
    }

    #[test]
    fn any_decimal_price_survives_unchanged(whole in 0u64.., cents in 0u8..100) {
        let price = format!("{whole}.{cents:02}");
        prop_assert_eq!(decode(&with("123.40", &price)).expect("valid").price().to_owned(), price);
    }
}
