//! Scenarios from TOML or YAML.

use std::path::Path;

use tidegate_profile::text::{self, TextError};

use super::Scenario;

/// A scenario that cannot be simulated, in one line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{name}: {why}")]
pub struct ScenarioError {
    /// The file's name as the caller gave it.
    pub name: String,
    /// Field path, value and what is allowed, and the line where it was not even read.
    pub why: TextError,
}

impl Scenario {
    /// Whether a file of this name is read as YAML.
    pub fn is_yaml(name: &Path) -> bool {
        text::is_yaml(name)
    }

    /// Reads and checks a scenario. The name's ending decides: `.yaml` and `.yml` are YAML,
    /// everything else is TOML. The name is used in messages only.
    ///
    /// # Errors
    /// [`ScenarioError`]: syntax, an unknown key, or a value that is not allowed.
    pub fn from_text(name: &str, text: &str) -> Result<Self, ScenarioError> {
        let refused = |reason| TextError { line: None, reason };
        text::read(name, text)
            .and_then(|scenario: Self| scenario.check().map(|()| scenario).map_err(refused))
            .map_err(|why| ScenarioError { name: name.to_owned(), why })
    }
}
