//! Values of the metadata, each inside its range.
//!
//! Contract: what is not given, or empty, is `None`; an error is one line with key, value and
//! what is allowed.

use std::collections::BTreeMap;

use super::BadMetadata;

pub(super) struct Reader<'a> {
    pub(super) given: BTreeMap<&'a str, &'a str>,
}

impl Reader<'_> {
    pub(super) fn text(&self, key: &str) -> Option<&str> {
        self.given.get(key).copied().filter(|value| !value.is_empty())
    }

    pub(super) fn required(&self, key: &str, what: &str) -> Result<String, BadMetadata> {
        self.text(key).map(str::to_owned).ok_or_else(|| BadMetadata {
            key: key.to_owned(),
            value: None,
            allowed: what.to_owned(),
        })
    }

    /// A topic's name: no broker has one with other letters, ever.
    pub(super) fn topic(&self, key: &str, what: &str) -> Result<String, BadMetadata> {
        let name = self.required(key, what)?;
        let is_name = (1..=249).contains(&name.len())
            && ![".", ".."].contains(&name.as_str())
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b));
        if is_name {
            return Ok(name);
        }
        Err(self.wrong(key, &name, "1 to 249 letters, digits and . _ -"))
    }

    pub(super) fn wrong(&self, key: &str, value: &str, allowed: &str) -> BadMetadata {
        BadMetadata { key: key.into(), value: Some(value.into()), allowed: allowed.into() }
    }

    /// Keys of the other law would be ignored: say so.
    pub(super) fn only_of(&self, law: &str, keys: &[&str]) -> Result<(), BadMetadata> {
        match keys.iter().find_map(|key| Some((key, self.text(key)?))) {
            Some((key, value)) => {
                Err(self.wrong(key, value, &format!("only together with law: {law}")))
            }
            None => Ok(()),
        }
    }

    pub(super) fn real(&self, key: &str, low: f64, high: f64) -> Result<Option<f64>, BadMetadata> {
        let Some(value) = self.text(key) else { return Ok(None) };
        match value.parse::<f64>() {
            Ok(number) if (low..=high).contains(&number) => Ok(Some(number)),
            _ => Err(self.wrong(key, value, &format!("{low} to {high}"))),
        }
    }

    pub(super) fn whole(&self, key: &str, low: i32, high: i32) -> Result<Option<i32>, BadMetadata> {
        let Some(value) = self.text(key) else { return Ok(None) };
        match value.parse::<i32>() {
            Ok(number) if (low..=high).contains(&number) => Ok(Some(number)),
            _ => Err(self.wrong(key, value, &format!("a whole number from {low} to {high}"))),
        }
    }

    pub(super) fn count(&self, key: &str, low: i64) -> Result<Option<i64>, BadMetadata> {
        const HIGH: i64 = 1_000_000_000_000_000;
        let Some(value) = self.text(key) else { return Ok(None) };
        match value.parse::<i64>() {
            Ok(number) if (low..=HIGH).contains(&number) => Ok(Some(number)),
            _ => Err(self.wrong(key, value, &format!("a whole number from {low} to {HIGH}"))),
        }
    }
}
