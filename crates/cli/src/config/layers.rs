//! Tables laid over each other.

use std::path::Path;

use serde::Serialize;
use toml::{Table, Value};

use super::{Config, wrong_type};
use crate::exit::bad_input;

const DEFAULTS: &str = include_str!("../../../../config/default.toml");

/// The default table, with a file's and the flags' values laid over it.
#[derive(Debug)]
pub(crate) struct Layers {
    table: Table,
    /// What the flags and the environment said, for error messages.
    given: Vec<(&'static str, &'static str)>,
    /// Keys of `[consume]` that the file has.
    consume_keys: Vec<String>,
    file: Option<String>,
}

impl Layers {
    /// Defaults, then the file where one is given.
    pub(crate) fn read(file: Option<&Path>) -> anyhow::Result<Self> {
        let Some(path) = file else { return Self::defaults() };
        let name = path.display().to_string();
        let text = std::fs::read_to_string(path)
            .map_err(|error| bad_input(format!("{name}: cannot be read: {error}")))?;
        Self::from_text(&name, &text)
    }

    /// Defaults, then the text of a file.
    pub(crate) fn from_text(name: &str, text: &str) -> anyhow::Result<Self> {
        let mut layers = Self::defaults()?;
        layers.lay_file(name, text)?;
        Ok(layers)
    }

    fn defaults() -> anyhow::Result<Self> {
        Ok(Self {
            table: parse(DEFAULTS)?,
            given: Vec::new(),
            consume_keys: Vec::new(),
            file: None,
        })
    }

    fn lay_file(&mut self, name: &str, text: &str) -> anyhow::Result<()> {
        let over = text.parse::<Table>().map_err(|error| {
            let line = error.span().map(|span| wrong_type::line_at(text, span.start));
            let line = line.map_or(String::new(), |line| format!("line {line}: "));
            bad_input(format!("{name}: {line}{}", first_line(error.message())))
        })?;
        let defaults = self.table.clone();
        for (section, value) in over.clone() {
            let known = self.table.keys().cloned().collect::<Vec<_>>().join("], [");
            let (Some(Value::Table(base)), Value::Table(values)) =
                (self.table.get_mut(&section), value)
            else {
                return Err(bad_input(format!(
                    "{name}: {}: unknown section, allowed are [{known}]",
                    section.escape_debug()
                )));
            };
            for (key, value) in values {
                if !base.contains_key(&key) {
                    let known = base.keys().cloned().collect::<Vec<_>>().join(", ");
                    return Err(bad_input(format!(
                        "{name}: {section}.{}: unknown key, allowed are {known}",
                        key.escape_debug()
                    )));
                }
                if section == "consume" {
                    self.consume_keys.push(key.clone());
                }
                base.insert(key, value);
            }
        }
        if let Some(told) = wrong_type::told(text, &over, &defaults) {
            return Err(bad_input(format!("{name}: {told}")));
        }
        self.file = Some(name.to_owned());
        Ok(())
    }

    /// Lays a flag's or an environment variable's value over, where given.
    /// `said_by` is how the user wrote it, for example `--batch-size`.
    pub(crate) fn set<T: Serialize>(
        &mut self,
        section: &'static str,
        key: &'static str,
        said_by: &'static str,
        value: Option<T>,
    ) -> anyhow::Result<()> {
        let Some(value) = value else { return Ok(()) };
        let value =
            Value::try_from(value).map_err(|error| bad_input(format!("{said_by}: {error}")))?;
        if let Some(Value::Table(table)) = self.table.get_mut(section) {
            table.insert(key.to_owned(), value);
            self.given.push((key, said_by));
        }
        Ok(())
    }

    /// A key of `[consume]` that neither file nor flag names has the value of the same
    /// key of `[up]`.
    pub(crate) fn consume_as_in_up(&mut self, key: &'static str) {
        let is_given = self.consume_keys.iter().any(|name| name == key)
            || self.given.iter().any(|(name, _)| *name == key);
        let value = self.table.get("up").and_then(|up| up.get(key)).cloned();
        if let (false, Some(value), Some(Value::Table(consume))) =
            (is_given, value, self.table.get_mut("consume"))
        {
            consume.insert(key.to_owned(), value);
        }
    }

    /// The resolved, checked configuration.
    pub(crate) fn resolve(self) -> anyhow::Result<Config> {
        let file = self.file.clone().unwrap_or_else(|| "config".into());
        let config = Config::deserialize_table(self.table)
            .map_err(|error| bad_input(format!("{file}: {}", first_line(&error.to_string()))))?;
        config.check().map_err(|broken| {
            let source = self
                .given
                .iter()
                .find(|(key, _)| broken.field.ends_with(key))
                .map_or(file, |(_, said_by)| (*said_by).to_owned());
            bad_input(format!("{source}: {broken}"))
        })?;
        Ok(config)
    }
}

fn parse(text: &str) -> anyhow::Result<Table> {
    text.parse::<Table>().map_err(|error| bad_input(first_line(error.message())))
}

fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().to_owned()
}

#[cfg(test)]
impl Layers {
    pub(crate) fn of(text: &str) -> anyhow::Result<Self> {
        Self::from_text("test.toml", text)
    }
}
