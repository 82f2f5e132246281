//! Mapping files, and what is decoded by them.

use std::sync::Arc;

use proptest::prelude::*;

use super::row::Value;
use super::{MappedDecoder, MappedRow, Mapping};
use crate::decode::{Decoder, Rejection, TradeDecoder, decode_record, reason};
use crate::testing::{record, trade_json};
use tidegate_kafka::Record;

const EVERY_TYPE: &str = r#"
table = "orders"
[[columns]]
name = "id"
type = "uuid"
[[columns]]
name = "note"
type = "text"
from = "/detail/note"
nullable = true
[[columns]]
name = "second"
type = "integer"
from = "/items/1/n"
missing = "default"
null = "null"
default = 9
[[columns]]
name = "total"
type = "numeric"
accept_text = true
[[columns]]
name = "ratio"
type = "double"
nullable = true
[[columns]]
name = "paid"
type = "boolean"
default = false
[[columns]]
name = "at"
type = "timestamptz"
epoch = "ms"
nullable = true
[[columns]]
name = "day"
type = "date"
default = "2000-01-02"
[[columns]]
name = "detail"
type = "jsonb"
[[columns]]
name = "raw"
type = "bytea"
encoding = "hex"
nullable = true
[[columns]]
name = "all"
type = "jsonb"
from = ""
"#;

fn mapping(text: &str) -> Mapping {
    Mapping::from_text("m.toml", text).expect(text)
}

fn decode(mapping: Mapping, json: &str) -> Result<(Record, MappedRow), Rejection> {
    let decoder = MappedDecoder::new(Arc::new(mapping));
    let record = record(0, 0, json);
    decode_record(&decoder, &record, 1 << 20).map(|row| (record, row))
}

fn refused(text: &str) -> String {
    Mapping::from_text("m.toml", text).expect_err(text).to_string()
}

const ID: &str = "00010203-0405-0607-0809-0a0b0c0d0e0f";

#[test]
fn every_type_is_read_from_its_place() {
    let json = format!(
        r#"{{"id":"{ID}","detail":{{"note":"a\tb","x":[1]}},"items":[{{"n":1}},{{"n":2}}],
            "total":"10.50","ratio":3,"paid":true,"at":1000,"day":"2000-01-03","raw":"00ff"}}"#
    );
    let (record, row) = decode(mapping(EVERY_TYPE), &json).expect("valid");
    let row = row.of(&record);
    let text = |index: usize| match row.values()[index] {
        Value::Text(span) | Value::Numeric(span) | Value::Json(span) | Value::Uuid(span) => {
            row.text(span).to_owned()
        }
        other => panic!("{other:?}"),
    };
    assert_eq!(text(0), ID);
    assert_eq!(text(1), "a\tb");
    assert_eq!(row.values()[2], Value::Integer(2));
    assert_eq!(text(3), "10.50");
    assert_eq!(row.values()[4], Value::Double(3.0));
    assert_eq!(row.values()[5], Value::Bool(true));
    assert!(matches!(row.values()[6], Value::Time { at_us: 1_000_000, .. }));
    assert!(matches!(row.values()[7], Value::Date { days: 2, .. }));
    assert_eq!(text(8), r#"{"note":"a\tb","x":[1]}"#);
    let Value::Bytes(span) = row.values()[9] else { panic!("{:?}", row.values()[9]) };
    assert_eq!(row.bytes(span), [0, 255]);
    assert_eq!(text(10), json);
}

#[test]
fn what_is_missing_or_null_follows_its_rule() {
    let json = format!(r#"{{"id":"{ID}","total":1,"detail":5}}"#);
    let (record, row) = decode(mapping(EVERY_TYPE), &json).expect("valid");
    let row = row.of(&record);
    assert_eq!(row.values()[1], Value::Null, "the parent is no object");
    assert_eq!(row.values()[2], Value::Integer(9));
    assert_eq!(row.values()[5], Value::Bool(false));
    let Value::Date { days: 1, text } = row.values()[7] else { panic!("{:?}", row.values()[7]) };
    assert_eq!(row.text(text), "2000-01-02");
    let null = json.replace("\"total\"", "\"items\":[0,{\"n\":null}],\"total\"");
    let (record, row) = decode(mapping(EVERY_TYPE), &null).expect("valid");
    let row = row.of(&record);
    assert_eq!(row.values()[2], Value::Null);
    for (from, to) in [("\"total\":1,", ""), ("\"total\":1", "\"total\":null")] {
        let error = decode(mapping(EVERY_TYPE), &json.replace(from, to)).expect_err(to);
        assert_eq!(error.code, reason::BAD_FIELD);
        assert!(error.reason.starts_with("total is "), "{error}");
    }
}

#[test]
fn every_defect_of_a_payload_has_its_code() {
    let good = format!(r#"{{"id":"{ID}","total":1,"detail":{{}}}}"#);
    let with = |field: &str| good.replacen('{', &format!("{{{field},"), 1);
    for (json, code, part) in [
        (with(r#""id":"x""#), reason::BAD_VALUE, "id is \"x\": allowed is a UUID"),
        (with(r#""detail":1"#), reason::BAD_FIELD, "detail is there twice"),
        (with(r#""paid":1"#), reason::BAD_FIELD, "paid is a number, expected true or false"),
        (with(r#""items":[0,{"n":2147483648}]"#), reason::BAD_FIELD, "items/1/n is 2147483648"),
        (with(r#""items":[0,{"n":1.5}]"#), reason::BAD_FIELD, "not a whole number"),
        (with(r#""items":[0,{"n":[]}]"#), reason::BAD_FIELD, "an array"),
        (with(r#""ratio":"1""#), reason::BAD_FIELD, "a string"),
        (with(r#""at":"2026-01-01T00:00:00Z""#), reason::BAD_FIELD, "at is a string"),
        (with(r#""at":99999999999999999"#), reason::BAD_FIELD, "at is 99999999999999999"),
        (with(r#""day":"2000-13-01""#), reason::BAD_VALUE, "day is"),
        (with(r#""raw":"0g""#), reason::BAD_VALUE, "raw is"),
        (good.replace("\"total\":1", "\"total\":1e5"), reason::BAD_VALUE, "exponent"),
        (good.replace("\"total\":1", "\"total\":true"), reason::BAD_FIELD, "total is not"),
        (good.replace("{}", r#"{"note":"a\u0000"}"#), reason::NUL_CHARACTER, "NUL in detail/note"),
        ("[]".into(), reason::BAD_FIELD, "an array"),
        ("7".into(), reason::BAD_FIELD, "a number"),
        (format!("{good}x"), reason::BAD_JSON, "trailing"),
        ("{".into(), reason::BAD_JSON, "EOF"),
    ] {
        let error = decode(mapping(EVERY_TYPE), &json).expect_err(&json);
        assert_eq!(error.code, code, "{json}: {error}");
        assert!(error.reason.contains(part), "{part}: {error}");
    }
}

#[test]
fn every_defect_of_a_file_is_named() {
    let column = |more: &str| format!("table = \"t\"\n[[columns]]\nname = \"a\"\n{more}");
    for (text, expected) in [
        ("table = \"t\"\ncolumns = []".into(), "m.toml: columns has 0 entries"),
        (column(""), "m.toml: columns[0]: missing field `type`"),
        (column("type = \"float\""), "m.toml: columns[0].type: unknown variant `float`"),
        (column("type = \"text\"\ncolour = 1"), "m.toml: columns[0].colour: unknown field"),
        (column("type = \"text\"\nfrom = \"a\""), "columns[0] (a).from = \"a\": allowed is a JSON"),
        (column("type = \"text\"\nfrom = \"/~2\""), "behind ~ allowed is 0 or 1"),
        (column("type = \"text\"\nmax_digits = 3"), "columns[0] (a).max_digits: means nothing"),
        (column("type = \"text\"\nmissing = \"default\""), "columns[0] (a).default: missing"),
        (column("type = \"bigint\"\ndefault = \"x\""), "columns[0] (a).default = \"x\""),
        (
            column("type = \"text\"\n[record]\ncolour = \"c\""),
            "record.colour: unknown, allowed are",
        ),
        (column("type = \"text\"\n[record]\ntopic = \"A\""), "column A is there twice"),
        (format!("key = [\"a\"]\n{}", column("type = \"text\"")), "key: allowed with mode"),
        (format!("mode = \"upsert\"\n{}", column("type = \"text\"")), "key is empty"),
        (
            format!("mode = \"upsert\"\nkey = [\"b\"]\n{}", column("type = \"text\"")),
            "key: there is no column b",
        ),
        (
            format!(
                "mode = \"upsert\"\nkey = [\"a\"]\n{}",
                column("type = \"text\"\nnullable = true")
            ),
            "key: column a may be NULL",
        ),
        (column("type = \"text\"").replace("\"t\"", "\"a b\""), "table = \"a b\""),
        (column("type = \"text\"").replace("\"t\"", "\"positions\""), "tidegate has a table"),
        (
            column("type = \"text\"").replace("\"t\"", "\"public.dead_letters\""),
            "tidegate has a table",
        ),
        (column("type = \"text\"").replace("\"t\"", "\"Meta\""), "tidegate has a table"),
        ("table".into(), "m.toml: "),
    ] {
        let error = refused(&text);
        assert!(error.contains(expected) && !error.contains('\n'), "{expected}: {error}");
    }
}

#[test]
fn a_file_can_be_yaml() {
    let text = "table: t\nmode: upsert\nkey: [a]\ncolumns:\n  - {name: a, type: bigint}\n";
    let mapping = Mapping::from_text("m.yaml", text).expect("reads");
    assert_eq!(mapping.postgres_shape().key(), ["a"]);
    let error = Mapping::from_text("m.yml", "table: t\ncolumns: 5").expect_err("no list");
    assert!(error.to_string().starts_with("m.yml: columns: "), "{error}");
}

fn trades() -> Mapping {
    Mapping::from_text("trade.toml", include_str!("../../../../../config/tables/trade.toml"))
        .expect("the file in config/tables")
}

/// The default as a file is the default that is built in.
#[test]
fn the_trade_file_is_the_built_in_table() {
    use crate::sink::postgres::PostgresRow;
    use crate::sink::sqlite::SqliteRow;
    use crate::table::{RecordField, TableShape};
    use crate::{TradeRow, table::TableColumn};

    let without_nulls = |mut shape: TableShape| {
        let columns: &mut [TableColumn] = &mut shape.columns;
        columns.iter_mut().for_each(|column| column.not_null = None);
        shape
    };
    let built_in = TableShape::typed(
        <TradeRow as PostgresRow>::TABLE,
        <TradeRow as PostgresRow>::COLUMNS,
        RecordField::postgres_type,
    );
    assert_eq!(without_nulls(trades().postgres_shape()), built_in);
    let built_in = TableShape::typed(
        <TradeRow as SqliteRow>::TABLE,
        <TradeRow as SqliteRow>::COLUMNS,
        RecordField::sqlite_type,
    );
    assert_eq!(without_nulls(trades().sqlite_shape()), built_in);
}

fn same_judgement(json: &str) {
    let record = record(0, 0, json);
    let mapped = MappedDecoder::new(Arc::new(trades())).decode(&record);
    let built_in = TradeDecoder.decode(&record);
    match (&built_in, &mapped) {
        (Err(built_in), Err(mapped)) => assert_eq!(built_in.code, mapped.code, "{json}"),
        (Ok(trade), Ok(row)) => {
            let row = row.of(&record);
            let text = |index: usize| match row.values()[index] {
                Value::Text(span) | Value::Numeric(span) => row.text(span),
                Value::Time { text, .. } => row.text(text),
                other => panic!("{other:?}"),
            };
            let found = [text(0), text(1), text(2), text(3), text(5), text(6)];
            let expected = [
                trade.account_id(),
                trade.trade_id(),
                trade.symbol(),
                trade.trade_type(),
                trade.price(),
                trade.timestamp(),
            ];
            assert_eq!(found, expected);
            assert_eq!(row.values()[4], Value::Bigint(trade.quantity()));
        }
        other => panic!("{json}: {other:?}"),
    }
}

#[test]
fn the_trade_file_judges_records_as_the_built_in_decoder_does() {
    let good = trade_json("TRD\\u00e9", "A\\\"PL");
    same_judgement(&good);
    for (from, to) in [
        ("\"quantity\":7,", ""),
        ("\"quantity\"", "\"colour\":1,\"quantity\""),
        ("\"quantity\":7", "\"quantity\":7,\"quantity\":8"),
        ("\"quantity\":7", "\"quantity\":\"7\""),
        ("\"quantity\":7", "\"quantity\":7.5"),
        ("\"quantity\":7", "\"quantity\":-9223372036854775808"),
        ("\"quantity\":7", "\"quantity\":99999999999999999999"),
        ("\"quantity\":7", "\"quantity\":9223372036854775808"),
        ("123.40", "\"123.40\""),
        ("123.40", "null"),
        ("123.40", "-0.00"),
        ("123.40", "1e400"),
        ("123.40", "123456789012345678901234567890123456789"),
        ("BUY", "HOLD"),
        ("ACC1000", ""),
        ("ACC1000", "ACC\\u0000"),
        ("ACC1000", "ACC\0"),
        ("ACC1000", "\\ud800"),
        ("\"ACC1000\"", "null"),
        ("\"ACC1000\"", "{}"),
        ("}", ""),
    ] {
        assert!(good.contains(from), "{from}");
        same_judgement(&good.replace(from, to));
    }
    for json in ["", "null", "[]", "{}", "\"a\"", "7", "not json"] {
        same_judgement(json);
    }
    // One difference: what is no time is refused here, there by PostgreSQL.
    let no_time = good.replace("2026-01-01T", "someday");
    let error = decode(trades(), &no_time).expect_err("no time");
    assert_eq!(error.code, reason::BAD_VALUE);
}

proptest! {
    /// Whatever arrives is a row or a reason; never a panic.
    #[test]
    fn any_payload_is_a_row_or_a_reason(json in "\\PC{0,80}") {
        let decoder = MappedDecoder::new(Arc::new(mapping(EVERY_TYPE)));
        let _ = decoder.decode(&record(0, 0, &json));
    }

    /// Without what ends a JSON string: two defects in one record may be named
    /// in another order.
    #[test]
    fn a_trade_with_any_text_is_judged_alike(text in "[ #-Z^-~é]{0,12}") {
        let json = trade_json("T", "S").replace("ACC1000", &text);
        same_judgement(&json);
    }
}
