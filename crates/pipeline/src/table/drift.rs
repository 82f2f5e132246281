//! What a real table lacks of a shape, column by column.

use super::TableShape;

/// One way in which a table does not fit, and whether rows can be written all
/// the same.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Drift {
    /// The column; empty if it is the table as a whole.
    pub column: String,
    /// What is wrong, and what was expected.
    pub what: String,
    /// Whether nothing can be written until it is mended. What is no error is
    /// worth knowing.
    pub is_error: bool,
}

impl std::fmt::Display for Drift {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.column.as_str() {
            "" => f.write_str(&self.what),
            column => write!(f, "column {column}: {}", self.what),
        }
    }
}

/// The errors among them in one line, for a message; `None` if there are none.
pub fn drift_lines(drifts: &[Drift]) -> Option<String> {
    let errors: Vec<String> =
        drifts.iter().filter(|drift| drift.is_error).map(ToString::to_string).collect();
    (!errors.is_empty()).then(|| errors.join("; "))
}

/// A column of the real table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FoundColumn {
    pub(crate) name: String,
    pub(crate) sql_type: String,
    pub(crate) not_null: bool,
    /// The database gives it a value when the program gives none.
    pub(crate) is_filled: bool,
    /// It is computed: nobody may write it.
    pub(crate) is_generated: bool,
}

/// Compares a shape with the real columns. `same_type` says whether the found
/// type takes what the program writes.
pub(crate) fn compare(
    shape: &TableShape,
    found: &[FoundColumn],
    same_type: impl Fn(usize, &FoundColumn) -> bool,
) -> Vec<Drift> {
    let mut drifts = Vec::new();
    let mut report = |column: &str, what: String, is_error: bool| {
        drifts.push(Drift { column: column.to_owned(), what, is_error });
    };
    for (index, column) in shape.written().enumerate() {
        let Some(real) = found.iter().find(|real| real.name == column.name) else {
            report(&column.name, format!("missing, expected {}", column.sql_type), true);
            continue;
        };
        if !same_type(index, real) {
            let what = format!("has type {}, expected {}", real.sql_type, column.sql_type);
            report(&column.name, what, true);
        }
        if real.is_generated {
            report(&column.name, "is generated, nothing can be written into it".into(), true);
        }
        match column.not_null {
            Some(false) if real.not_null => {
                report(&column.name, "is NOT NULL, the mapping may write NULL".into(), true);
            }
            Some(true) if !real.not_null => {
                report(&column.name, "may be NULL, the mapping never writes NULL".into(), false);
            }
            _ => {}
        }
    }
    for (field, column) in &shape.record {
        let Some(missing) = field.may_be_missing() else { continue };
        let is_key = shape.key().contains(&column.name);
        if !is_key && found.iter().any(|real| real.name == column.name && real.not_null) {
            let what = format!("is NOT NULL, a record without a {missing} becomes a dead letter");
            report(&column.name, what, false);
        }
    }
    for real in found {
        let is_written = shape.written().any(|column| column.name == real.name);
        if !is_written && real.not_null && !real.is_filled {
            let what = "is NOT NULL without a default and is not written";
            report(&real.name, what.into(), true);
        }
    }
    drifts
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::{RecordField, TableColumn};

    fn found(name: &str, sql_type: &str) -> FoundColumn {
        FoundColumn {
            name: name.into(),
            sql_type: sql_type.into(),
            not_null: false,
            is_filled: false,
            is_generated: false,
        }
    }

    #[test]
    fn each_way_not_to_fit_is_told_by_column() {
        let mut shape = TableShape::typed(
            "t",
            &[("a", "text"), ("b", "text"), ("c", "text"), ("d", "text")],
            RecordField::postgres_type,
        );
        shape.record.clear();
        shape.columns[2].not_null = Some(false);
        shape.columns[3].not_null = Some(true);
        let real = [
            found("b", "bigint"),
            FoundColumn { not_null: true, ..found("c", "text") },
            found("d", "text"),
            FoundColumn { not_null: true, ..found("x", "text") },
            FoundColumn { not_null: true, is_filled: true, ..found("y", "text") },
            found("z", "text"),
        ];
        let drifts = compare(&shape, &real, |_, real| real.sql_type == "text");
        let said: Vec<(String, bool)> =
            drifts.iter().map(|drift| (drift.to_string(), drift.is_error)).collect();
        let expected = [
            ("column a: missing, expected text", true),
            ("column b: has type bigint, expected text", true),
            ("column c: is NOT NULL, the mapping may write NULL", true),
            ("column d: may be NULL, the mapping never writes NULL", false),
            ("column x: is NOT NULL without a default and is not written", true),
        ];
        assert_eq!(said.len(), expected.len(), "{said:?}");
        for ((said, is_error), expected) in said.iter().zip(expected) {
            assert_eq!((said.as_str(), *is_error), expected);
        }
        assert_eq!(drift_lines(&drifts).map(|text| text.matches("column ").count()), Some(4));
        assert_eq!(drift_lines(&drifts[3..4]), None);
    }

    #[test]
    fn what_a_record_may_lack_is_worth_a_note_unless_it_is_the_key() {
        let column =
            |name: &str| TableColumn { name: name.into(), sql_type: "text".into(), not_null: None };
        let mut shape = TableShape::typed("t", &[], RecordField::postgres_type);
        shape.record = vec![
            (RecordField::Topic, column("topic")),
            (RecordField::KeyText, column("k")),
            (RecordField::Timestamp, column("sent_at")),
        ];
        let real = ["topic", "k", "sent_at"]
            .map(|name| FoundColumn { not_null: true, ..found(name, "text") });
        let said = |shape: &TableShape| {
            let drifts = compare(shape, &real, |_, _| true);
            assert!(drifts.iter().all(|drift| !drift.is_error));
            drifts.iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        let of_time =
            "column sent_at: is NOT NULL, a record without a timestamp becomes a dead letter";
        let of_key = "column k: is NOT NULL, a record without a key becomes a dead letter";
        assert_eq!(said(&shape), [of_key, of_time]);
        assert_eq!(said(&shape.upsert(&["k"])), [of_time]);
    }
}
