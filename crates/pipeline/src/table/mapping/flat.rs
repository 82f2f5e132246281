//! The short way through payloads that are flat, for mappings that are: no column asks for
//! something below a field, or for two things of one.
//!
//! Contract: a value is what the long way makes of it; what is not read here says nothing
//! about the payload.

use super::Mapping;
use super::column::{ColumnMapping, ColumnType};
use super::file::UnknownFields;
use super::row::{RowBuilder, Value};
use crate::decode::flat::{self, Value as Json};

/// Fills in the columns whose fields are there. `None`: the long way is to be gone.
pub(super) fn read(mapping: &Mapping, text: &str, row: &mut RowBuilder<'_>) -> Option<()> {
    let root = &mapping.tree.root;
    if !root.columns.is_empty() {
        return None;
    }
    let mut likely = 0;
    flat::members(text, |name, json| {
        let Some(found) = root.find(name, likely) else {
            return (mapping.tree.unknown_fields == UnknownFields::Ignore).then_some(());
        };
        likely = found + 1;
        let index = root.children[found].leaf()?;
        if row.values[index] != Value::Missing {
            return None;
        }
        set(row, index, &mapping.columns[index], json)
    })
}

/// Each value is written where it stays: a row is mostly these few words.
#[inline]
fn set(
    row: &mut RowBuilder<'_>,
    index: usize,
    column: &ColumnMapping,
    json: Json<'_>,
) -> Option<()> {
    match (json, column.kind) {
        (_, ColumnType::Jsonb) | (Json::Text(_), ColumnType::Numeric) => return None,
        (Json::Text(text), ColumnType::Text) => {
            let span = column.text(text, row).ok()?;
            row.values[index] = Value::Text(span);
        }
        (Json::Text(text), _) => row.values[index] = column.of_text(text, row).ok()??,
        (Json::Number(text), ColumnType::Numeric) => {
            row.values[index] = column.decimal(text, row).ok()?;
        }
        (Json::Number(text), _) if text.contains('.') => {
            let value = text.parse().ok().filter(|value: &f64| value.is_finite())?;
            row.values[index] = column.of_f64(value)?;
        }
        (Json::Number(text), ColumnType::Bigint) => {
            row.values[index] = Value::Bigint(text.parse().ok()?);
        }
        (Json::Number(text), _) => {
            let value: i64 = text.parse().ok()?;
            row.values[index] = column.of_integer(value.into(), row).ok()??;
        }
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::decode::walked;
    use super::*;
    use crate::Rejection;

    const MAPPING: &str = r#"
table = "orders"
unknown_fields = "UNKNOWN"
[[columns]]
name = "id"
type = "text"
allowed = ["a", "b\u00e9", "12"]
[[columns]]
name = "total"
type = "numeric"
accept_text = true
[[columns]]
name = "ratio"
type = "double"
accept_text = true
[[columns]]
name = "n"
type = "integer"
[[columns]]
name = "at"
type = "timestamptz"
epoch = "ms"
[[columns]]
name = "raw"
type = "bytea"
[[columns]]
name = "any"
type = "jsonb"
nullable = true
"#;

    fn mapping(unknown_fields: &str) -> Mapping {
        let text = MAPPING.replace("UNKNOWN", unknown_fields);
        Mapping::from_text("m.toml", &text).expect("a mapping")
    }

    fn empty<'p>(mapping: &Mapping, text: &'p str) -> RowBuilder<'p> {
        RowBuilder::new(text.as_bytes(), mapping.columns.len())
    }

    #[test]
    fn what_is_flat_goes_the_short_way() {
        let text = r#"{"id":"a","x":1,"total":0.10,"n":-7,"ratio":1,"at":12,"raw":"AAEC"}"#;
        let (ignores, rejects) = (mapping("ignore"), mapping("reject"));
        assert_eq!(read(&ignores, text, &mut empty(&ignores, text)), Some(()));
        assert_eq!(read(&rejects, text, &mut empty(&rejects, text)), None, "x is not known");
        let nested = Mapping::from_text(
            "m.toml",
            &MAPPING
                .replace("UNKNOWN", "ignore")
                .replace("name = \"n\"", "name = \"n\"\nfrom = \"/id/n\""),
        );
        let nested = nested.expect("a mapping");
        assert_eq!(read(&nested, text, &mut empty(&nested, text)), None, "id is asked for more");
    }

    proptest! {
        #[test]
        fn the_short_way_ends_where_the_long_way_does(
            members in prop::collection::vec((
                prop::sample::select(vec!["id", "total", "ratio", "n", "at", "raw", "any", "x"]),
                prop::sample::select(vec![
                    "\"a\"", "\"b\u{e9}\"", "\"12\"", "\"c\"", "\"AAEC\"", "\"\\u0061\"", "\"\"",
                    "7", "-7", "0", "-0", "-0.0", "0.1", "123.40", "1e3", "2147483648", "1.0",
                    "9223372036854775808", "123456789012345678901234567890123456789.5",
                    "0.30000000000000004", "9007199254740993.0", "null", "true", "{}", "[1]", " 5 ",
                ]),
            ), 0..8),
            rejects in any::<bool>(),
        ) {
            let mapping = mapping(if rejects { "reject" } else { "ignore" });
            let members: Vec<_> = members.iter().map(|(name, v)| format!("\"{name}\":{v}")).collect();
            let text = format!("{{{}}}", members.join(","));
            let row = empty(&mapping, &text);
            let mut short = row.clone();
            if read(&mapping, &text, &mut short).is_some() {
                let long = walked(&mapping, &text, row);
                prop_assert_eq!(format!("{:?}", Ok::<_, Rejection>(short)), format!("{long:?}"));
            }
        }
    }
}
