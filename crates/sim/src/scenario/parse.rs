//! Scenarios from TOML or YAML.

use std::path::Path;

use serde_json::{Map, Value};

use super::Scenario;

/// A scenario that cannot be simulated, in one line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{name}: {reason}")]
pub struct ScenarioError {
    /// The file's name as the caller gave it.
    pub name: String,
    /// Field path, value and what is allowed.
    pub reason: String,
}

impl Scenario {
    /// Whether a file of this name is read as YAML.
    pub fn is_yaml(name: &Path) -> bool {
        name.extension().is_some_and(|ending| {
            ending.eq_ignore_ascii_case("yaml") || ending.eq_ignore_ascii_case("yml")
        })
    }

    /// Reads and checks a scenario. The name's ending decides: `.yaml` and `.yml` are YAML,
    /// everything else is TOML. The name is used in messages only.
    ///
    /// # Errors
    /// [`ScenarioError`]: syntax, an unknown key, or a value that is not allowed.
    pub fn from_text(name: &str, text: &str) -> Result<Self, ScenarioError> {
        let document =
            if Self::is_yaml(Path::new(name)) { yaml(text) } else { toml_document(text) };
        document
            .and_then(from_document)
            .and_then(|scenario| scenario.check().map(|()| scenario))
            .map_err(|reason| ScenarioError { name: name.to_owned(), reason })
    }
}

fn yaml(text: &str) -> Result<Value, String> {
    let document = serde_saphyr::from_str(text).map_err(|error| one_line(&error.to_string()))?;
    // A file with nothing in it lacks its keys, as in TOML.
    Ok(if document == Value::Null { Value::Object(Map::new()) } else { document })
}

fn toml_document(text: &str) -> Result<Value, String> {
    toml::from_str(text).map_err(|error: toml::de::Error| {
        let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
        format!("line {}: {}", before.matches('\n').count() + 1, one_line(error.message()))
    })
}

fn from_document(document: Value) -> Result<Scenario, String> {
    serde_path_to_error::deserialize(document).map_err(|error| {
        let reason = one_line(&error.inner().to_string());
        match error.path().to_string().as_str() {
            "." => reason,
            path => format!("{path}: {reason}"),
        }
    })
}

fn one_line(text: &str) -> String {
    text.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or("cannot be read").to_owned()
}
