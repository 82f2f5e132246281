//! Texts as trees with positions, and the documents in them.
//!
//! # Layout
//! - `tree`: nodes, positions, paths
//! - `yaml`, `toml`: text to tree
//! - `document`: which kind a document is

mod document;
mod toml;
mod tree;
mod yaml;

pub use document::{Document, Kind};
pub use tree::{Entry, Node, Position, Value};

use crate::SourceError;

/// All documents of a text.
///
/// # Errors
/// [`SourceError`] when it is no YAML or TOML, or holds a scenario that cannot be simulated.
pub fn read(name: &str, text: &str) -> Result<Vec<Document>, SourceError> {
    let ending = name.rsplit('.').next().unwrap_or_default();
    if ending.eq_ignore_ascii_case("toml") {
        let root = toml::parse(text).map_err(|(at, reason)| error(name, at, reason))?;
        return Ok(vec![Document::scenario(name, text, root)?]);
    }
    let roots = yaml::parse(text).map_err(|(at, reason)| {
        let hint = if text.contains("{{") { TEMPLATE } else { "" };
        error(name, at, reason + hint)
    })?;
    if roots.is_empty() {
        return Err(error(name, Position::default(), "it holds no document".into()));
    }
    let documents = roots.into_iter().flat_map(tree::Node::unlisted);
    documents.map(|root| Document::new(name, text, root)).collect()
}

const TEMPLATE: &str =
    "; it looks like a template: render it, for example helm template CHART | tidegate check -";

fn error(name: &str, at: Position, reason: String) -> SourceError {
    SourceError { name: name.to_owned(), line: at.line, column: at.column, reason }
}
