//! Lint rules for what scales a Kafka consumer: ScaledObject, Deployment,
//! PodDisruptionBudget, Service and scenario, each against the others.
//!
//! Contract: pure. Texts with their names go in, [`Finding`]s with rule, severity, place,
//! arithmetic and fix come out, in the order of files and lines; the same texts give the
//! same findings. No file is read here. A text that is no YAML or TOML is an error, not a
//! finding.
//!
//! A rule speaks only where the numbers it needs are known: partitions and a pod's rate
//! come from the scenario, from the Deployment's environment, or from [`Known`].
//!
//! Rejected: a schema of all Kubernetes objects (other tools do that well, see kubeconform);
//! rules that always fire (a lint that everybody allows away is no lint).
//!
//! # Layout
//! - [`source`]: YAML and TOML as trees with positions; documents and their kinds
//! - [`rules`]: the rules, one file a theme, and their registry
//! - `facts`: what is known about partitions, pods and batches, and from where
//! - [`report`]: text, JSON, SARIF
#![deny(missing_docs)]

mod facts;
mod finding;
pub mod report;
pub mod rules;
pub mod source;

pub use facts::Known;
pub use finding::{Finding, Severity};

use finding::Findings;
use source::Document;

/// A text that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{name}{}: {reason}", position(*.line, *.column))]
pub struct SourceError {
    /// The file's name as the caller gave it.
    pub name: String,
    /// Line, from 1; 0 where it is not known.
    pub line: u32,
    /// Column, from 1.
    pub column: u32,
    /// What is wrong, in one line.
    pub reason: String,
}

fn position(line: u32, column: u32) -> String {
    if line == 0 { String::new() } else { format!(":{line}:{column}") }
}

/// A text and its name.
#[derive(Debug, Clone, Copy)]
pub struct Source<'a> {
    /// Shown in findings; its ending decides between TOML (`.toml`) and YAML.
    pub name: &'a str,
    /// The content.
    pub text: &'a str,
}

/// Checks texts against each other.
///
/// # Errors
/// [`SourceError`]: the first text that is no YAML or TOML, or a scenario that cannot be
/// simulated.
pub fn check(sources: &[Source<'_>], known: Known) -> Result<Vec<Finding>, SourceError> {
    let mut documents = Vec::new();
    for source in sources {
        documents.extend(source::read(source.name, source.text)?);
    }
    let mut findings = Findings::default();
    rules::run(&documents, known, &mut findings);
    Ok(findings.sorted(sources.iter().map(|source| source.name)))
}

/// The kinds that texts contain, for messages: `ScaledObject`, `Deployment`, ...
///
/// # Errors
/// As [`check`].
pub fn kinds(sources: &[Source<'_>]) -> Result<Vec<String>, SourceError> {
    let mut kinds = Vec::new();
    for source in sources {
        let documents = source::read(source.name, source.text)?;
        kinds.extend(documents.iter().map(Document::kind_name));
    }
    Ok(kinds)
}
