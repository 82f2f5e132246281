//! A column's type and rules, and how a JSON value becomes its value.

mod file;
mod kind;

use serde::Deserialize;

pub(super) use self::file::ColumnFile;
pub use self::kind::ColumnType;
use super::row::{MappedRow, RowBuilder, Span, Value};
use super::text::{Encoding, bytes, date_days, is_decimal, time_text, time_us, uuid};
use crate::decode::{Rejection, reason};

/// What becomes of a field that is missing, or null.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Rule {
    Reject,
    Null,
    Default,
}

/// Unit of a time that is a number since 1970-01-01 UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Epoch {
    S,
    Ms,
    Us,
}

/// A checked column.
#[derive(Debug)]
pub(super) struct ColumnMapping {
    pub(super) name: String,
    pub(super) kind: ColumnType,
    pub(super) pointer: String,
    missing: Rule,
    null: Rule,
    default: Option<MappedRow>,
    non_empty: bool,
    allowed: Vec<String>,
    max_digits: u32,
    accept_text: bool,
    epoch: Option<Epoch>,
    encoding: Encoding,
}

impl ColumnMapping {
    pub(super) fn may_be_null(&self) -> bool {
        self.missing == Rule::Null || self.null == Rule::Null
    }

    pub(super) fn on_missing(&self, row: &mut RowBuilder<'_>) -> Result<Value, Rejection> {
        self.rule(self.missing, "is missing", row)
    }

    pub(super) fn on_null(&self, row: &mut RowBuilder<'_>) -> Result<Value, Rejection> {
        self.rule(self.null, "is null", row)
    }

    fn rule(&self, rule: Rule, what: &str, row: &mut RowBuilder<'_>) -> Result<Value, Rejection> {
        match (rule, &self.default) {
            (Rule::Null, _) => Ok(Value::Null),
            (Rule::Default, Some(default)) => Ok(row.import(default)),
            _ => Err(self.bad_field(what)),
        }
    }

    fn bad_field(&self, what: impl std::fmt::Display) -> Rejection {
        Rejection::new(reason::BAD_FIELD, format!("{} {what}", self.field()))
    }

    fn bad_value(&self, text: &str) -> Rejection {
        let shown: String = text.chars().take(64).collect();
        let expecting = self.kind.expecting();
        let field = self.field();
        Rejection::new(reason::BAD_VALUE, format!("{field} is {shown:?}: allowed is {expecting}"))
    }

    /// How the field is called in messages.
    fn field(&self) -> &str {
        if self.pointer.is_empty() { "the payload" } else { &self.pointer[1..] }
    }

    pub(super) fn of_bool(&self, value: bool) -> Option<Value> {
        (self.kind == ColumnType::Boolean).then_some(Value::Bool(value))
    }

    /// A whole number; `None` if the column takes none.
    pub(super) fn of_integer(
        &self,
        value: i128,
        row: &mut RowBuilder<'_>,
    ) -> Result<Option<Value>, Rejection> {
        let outside =
            || self.bad_field(format!("is {value}: allowed is {}", self.kind.expecting()));
        Ok(Some(match (self.kind, self.epoch) {
            (ColumnType::Bigint, _) => Value::Bigint(value.try_into().map_err(|_| outside())?),
            (ColumnType::Integer, _) => Value::Integer(value.try_into().map_err(|_| outside())?),
            (ColumnType::Double, _) => Value::Double(value as f64),
            (ColumnType::Timestamptz, Some(epoch)) => {
                let factor = match epoch {
                    Epoch::S => 1_000_000,
                    Epoch::Ms => 1000,
                    Epoch::Us => 1,
                };
                let at_us = i64::try_from(value * factor).map_err(|_| outside())?;
                let text = row.add(time_text(at_us).ok_or_else(outside)?.as_bytes());
                Value::Time { at_us, text }
            }
            _ => return Ok(None),
        }))
    }

    pub(super) fn of_f64(&self, value: f64) -> Option<Value> {
        (self.kind == ColumnType::Double).then_some(Value::Double(value))
    }

    /// A string, which may have been unescaped; `None` if the column takes none.
    pub(super) fn of_any_text(
        &self,
        text: &str,
        row: &mut RowBuilder<'_>,
    ) -> Result<Option<Value>, Rejection> {
        if text.contains('\0') {
            let why = format!("NUL in {}", self.field());
            return Err(Rejection::new(reason::NUL_CHARACTER, why));
        }
        self.of_text(text, row)
    }

    /// A string without NUL; `None` if the column takes none.
    pub(super) fn of_text(
        &self,
        text: &str,
        row: &mut RowBuilder<'_>,
    ) -> Result<Option<Value>, Rejection> {
        let wrong = || self.bad_value(text);
        Ok(Some(match self.kind {
            ColumnType::Text => Value::Text(self.text(text, row)?),
            ColumnType::Timestamptz if self.epoch.is_none() => {
                Value::Time { at_us: time_us(text).ok_or_else(wrong)?, text: row.span(text) }
            }
            ColumnType::Date => {
                Value::Date { days: date_days(text).ok_or_else(wrong)?, text: row.span(text) }
            }
            ColumnType::Uuid => {
                uuid(text.as_bytes()).ok_or_else(wrong)?;
                Value::Uuid(row.span(text))
            }
            ColumnType::Bytea => {
                let bytes = bytes(text, self.encoding).ok_or_else(wrong)?;
                Value::Bytes(row.add(&bytes))
            }
            _ if !self.accept_text => return Ok(None),
            ColumnType::Bigint => Value::Bigint(text.parse().map_err(|_| wrong())?),
            ColumnType::Integer => Value::Integer(text.parse().map_err(|_| wrong())?),
            ColumnType::Double => {
                let value = text.parse().ok().filter(|value: &f64| value.is_finite());
                Value::Double(value.ok_or_else(wrong)?)
            }
            ColumnType::Boolean => Value::Bool(text.parse().map_err(|_| wrong())?),
            ColumnType::Numeric => self.decimal(text, row)?,
            ColumnType::Timestamptz | ColumnType::Jsonb => return Ok(None),
        }))
    }

    #[inline]
    pub(super) fn text(&self, text: &str, row: &mut RowBuilder<'_>) -> Result<Span, Rejection> {
        if self.non_empty && text.is_empty() {
            return Err(Rejection::new(reason::BAD_VALUE, format!("{} is empty", self.field())));
        }
        if !self.allowed.is_empty() && !self.allowed.iter().any(|allowed| allowed == text) {
            return Err(self.not_allowed(text));
        }
        Ok(row.span(text))
    }

    #[cold]
    fn not_allowed(&self, text: &str) -> Rejection {
        let allowed = self.allowed.join(", ");
        let shown: String = text.chars().take(64).collect();
        let why = format!("{} is {shown:?}: allowed is {allowed}", self.field());
        Rejection::new(reason::BAD_VALUE, why)
    }

    /// A number as it is written, or a string.
    pub(super) fn decimal(&self, text: &str, row: &mut RowBuilder<'_>) -> Result<Value, Rejection> {
        if !is_decimal(text, self.max_digits) {
            let (shown, digits): (String, u32) = (text.chars().take(64).collect(), self.max_digits);
            return Err(Rejection::new(
                reason::BAD_VALUE,
                format!(
                    "{} is {shown}: allowed is a decimal number of at most {digits} digits without \
                     exponent",
                    self.field()
                ),
            ));
        }
        Ok(Value::Numeric(row.span(text)))
    }

    /// A JSON value as it is written, of a column that is numeric or jsonb.
    pub(super) fn of_raw(&self, text: &str, row: &mut RowBuilder<'_>) -> Result<Value, Rejection> {
        if text == "null" {
            return self.on_null(row);
        }
        if self.kind == ColumnType::Jsonb {
            return Ok(Value::Json(row.span(text)));
        }
        match text.as_bytes().first() {
            Some(b'-' | b'0'..=b'9') => self.decimal(text, row),
            Some(b'"') if self.accept_text => {
                let inner: String = serde_json::from_str(text).unwrap_or_default();
                self.decimal(&inner, row)
            }
            _ => Err(self.bad_field(format_args!("is not {}", self.kind.expecting()))),
        }
    }
}
