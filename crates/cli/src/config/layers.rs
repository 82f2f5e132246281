//! Tables laid over each other.

use std::path::Path;

use serde::Serialize;
use toml::{Table, Value};

use super::Config;
use crate::exit::bad_input;

const DEFAULTS: &str = include_str!("../../../../config/default.toml");

/// The default table, with a file's and the flags' values laid over it.
#[derive(Debug)]
pub(crate) struct Layers {
    table: Table,
    /// What the flags and the environment said, for error messages.
    given: Vec<(&'static str, &'static str)>,
    file: Option<String>,
}

impl Layers {
    /// Defaults, then the file where one is given.
    pub(crate) fn read(file: Option<&Path>) -> anyhow::Result<Self> {
        let mut layers = Self { table: parse(DEFAULTS)?, given: Vec::new(), file: None };
        if let Some(path) = file {
            let name = path.display().to_string();
            let text = std::fs::read_to_string(path)
                .map_err(|error| bad_input(format!("{name}: cannot be read: {error}")))?;
            layers.lay_file(&name, &text)?;
        }
        Ok(layers)
    }

    fn lay_file(&mut self, name: &str, text: &str) -> anyhow::Result<()> {
        let over = parse(text).map_err(|error| bad_input(format!("{name}: {error}")))?;
        for (section, value) in over {
            let known = self.table.keys().cloned().collect::<Vec<_>>().join("], [");
            let (Some(Value::Table(base)), Value::Table(values)) =
                (self.table.get_mut(&section), value)
            else {
                return Err(bad_input(format!(
                    "{name}: {section}: unknown section, allowed are [{known}]"
                )));
            };
            for (key, value) in values {
                if !base.contains_key(&key) {
                    let known = base.keys().cloned().collect::<Vec<_>>().join(", ");
                    return Err(bad_input(format!(
                        "{name}: {section}.{key}: unknown key, allowed are {known}"
                    )));
                }
                base.insert(key, value);
            }
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
        let mut layers = Self::read(None)?;
        layers.lay_file("test.toml", text)?;
        Ok(layers)
    }
}
