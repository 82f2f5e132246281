//! A column's type and rules, and how a JSON value becomes its value.

use serde::Deserialize;

use super::row::{MappedRow, RowBuilder, Span, Value};
use super::text::{Encoding, bytes, date_days, is_decimal, time_us, uuid};
use crate::decode::{Rejection, reason};

/// The types of a mapping.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ColumnType {
    /// A JSON string.
    Text,
    /// A whole number of 64 bits.
    Bigint,
    /// A whole number of 32 bits.
    Integer,
    /// A decimal number, exactly as it is written.
    Numeric,
    /// A binary floating-point number.
    Double,
    /// `true` or `false`.
    Boolean,
    /// ISO 8601 text, without an offset UTC; or a number since 1970.
    Timestamptz,
    /// `2026-01-31`.
    Date,
    /// A UUID, with or without hyphens.
    Uuid,
    /// Any JSON value.
    Jsonb,
    /// Bytes as base64 or hexadecimal text.
    Bytea,
}

impl ColumnType {
    pub(super) fn postgres_type(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Bigint => "bigint",
            Self::Integer => "integer",
            Self::Numeric => "numeric",
            Self::Double => "double precision",
            Self::Boolean => "boolean",
            Self::Timestamptz => "timestamptz",
            Self::Date => "date",
            Self::Uuid => "uuid",
            Self::Jsonb => "jsonb",
            Self::Bytea => "bytea",
        }
    }

    pub(super) fn sqlite_type(self) -> &'static str {
        match self {
            Self::Bigint | Self::Integer | Self::Boolean => "INTEGER",
            Self::Double => "REAL",
            Self::Bytea => "BLOB",
            Self::Text
            | Self::Numeric
            | Self::Timestamptz
            | Self::Date
            | Self::Uuid
            | Self::Jsonb => "TEXT",
        }
    }

    /// What JSON must have for it, in words.
    pub(super) fn expecting(self) -> &'static str {
        match self {
            Self::Text => "a string",
            Self::Bigint => "a whole number of 64 bits",
            Self::Integer => "a whole number of 32 bits",
            Self::Numeric => "a decimal number",
            Self::Double => "a number",
            Self::Boolean => "true or false",
            Self::Timestamptz => "an ISO 8601 time",
            Self::Date => "a date like 2026-01-31",
            Self::Uuid => "a UUID",
            Self::Jsonb => "a JSON value",
            Self::Bytea => "bytes as text",
        }
    }
}

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

/// A column as a file has it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ColumnFile {
    pub(super) name: String,
    r#type: ColumnType,
    from: Option<String>,
    #[serde(default)]
    nullable: bool,
    default: Option<serde_json::Value>,
    missing: Option<Rule>,
    null: Option<Rule>,
    #[serde(default)]
    non_empty: bool,
    #[serde(default)]
    allowed: Vec<String>,
    max_digits: Option<u32>,
    #[serde(default)]
    accept_text: bool,
    epoch: Option<Epoch>,
    encoding: Option<Encoding>,
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

/// As many as most exact decimal types hold.
const MAX_DIGITS: u32 = 38;

impl ColumnMapping {
    /// Checks a column of a file; the error begins with the field's name.
    pub(super) fn new(file: ColumnFile) -> Result<Self, String> {
        file.check_options()?;
        let pointer = file.from.unwrap_or_else(|| format!("/{}", escaped(&file.name)));
        if !pointer.is_empty() && !pointer.starts_with('/') {
            return Err(format!(
                "from = {pointer:?}: allowed is a JSON pointer like /order/price, or \"\""
            ));
        }
        let usual = match (&file.default, file.nullable) {
            (Some(_), _) => Rule::Default,
            (None, true) => Rule::Null,
            (None, false) => Rule::Reject,
        };
        let mut column = Self {
            name: file.name,
            kind: file.r#type,
            pointer,
            missing: file.missing.unwrap_or(usual),
            null: file.null.unwrap_or(usual),
            default: None,
            non_empty: file.non_empty,
            allowed: file.allowed,
            max_digits: file.max_digits.unwrap_or(MAX_DIGITS),
            accept_text: file.accept_text,
            epoch: file.epoch,
            encoding: file.encoding.unwrap_or_default(),
        };
        if let Some(value) = file.default {
            let default = super::decode::value_of(&column, &value.to_string())
                .map_err(|error| format!("default = {value}: {}", error.reason))?;
            column.default = Some(default);
        }
        let needs_default = column.missing == Rule::Default || column.null == Rule::Default;
        match (needs_default, &column.default) {
            (true, None) => Err("default: missing, a rule asks for it".into()),
            (false, Some(_)) => Err("default: no rule asks for it".into()),
            _ => Ok(column),
        }
    }

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
                let at_us = i64::try_from(value * factor).ok();
                let at = at_us.and_then(|at_us| jiff::Timestamp::from_microsecond(at_us).ok());
                let at = at.ok_or_else(outside)?;
                let text = row.add(at.to_string().as_bytes());
                Value::Time { at_us: at.as_microsecond(), text }
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

impl ColumnFile {
    /// Refuses an option that means nothing for the type.
    fn check_options(&self) -> Result<(), String> {
        use ColumnType::{Bigint, Boolean, Bytea, Double, Integer, Numeric, Text, Timestamptz};
        let options: [(&str, bool, &[ColumnType]); 6] = [
            ("non_empty", self.non_empty, &[Text]),
            ("allowed", !self.allowed.is_empty(), &[Text]),
            ("max_digits", self.max_digits.is_some(), &[Numeric]),
            ("accept_text", self.accept_text, &[Bigint, Integer, Numeric, Double, Boolean]),
            ("epoch", self.epoch.is_some(), &[Timestamptz]),
            ("encoding", self.encoding.is_some(), &[Bytea]),
        ];
        for (option, is_given, kinds) in options {
            if is_given && !kinds.contains(&self.r#type) {
                return Err(format!("{option}: means nothing for this type"));
            }
        }
        if self.max_digits.is_some_and(|digits| !(1..=1000).contains(&digits)) {
            return Err("max_digits: allowed is 1 to 1000".into());
        }
        Ok(())
    }
}

/// A name as a token of a JSON pointer.
fn escaped(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}
