//! A column as a file has it, and what is refused of it.

use serde::Deserialize;

use super::{ColumnMapping, ColumnType, Encoding, Epoch, Rule};
use crate::table::mapping::decode::value_of;

/// As many as most exact decimal types hold.
const MAX_DIGITS: u32 = 38;

/// A column as a file has it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(in super::super) struct ColumnFile {
    pub(in super::super) name: String,
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

impl ColumnMapping {
    /// Checks a column of a file; the error begins with the field's name.
    pub(in super::super) fn new(file: ColumnFile) -> Result<Self, String> {
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
            let default = value_of(&column, &value.to_string())
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
