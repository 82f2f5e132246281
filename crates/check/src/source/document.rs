//! Documents: a tree, the file it is from, and what it describes.

use tidegate_profile::text::TextError;
use tidegate_sim::Scenario;

use super::tree::{Node, Position};
use crate::SourceError;

/// What a document describes.
#[derive(Debug, Clone, PartialEq)]
pub enum Kind {
    /// KEDA's ScaledObject.
    ScaledObject,
    /// A Deployment or StatefulSet.
    Workload,
    /// A PodDisruptionBudget.
    DisruptionBudget,
    /// A Service.
    Service,
    /// A scenario of the simulator, read and checked.
    Scenario(Box<Scenario>),
    /// Something else; only looked at by nobody.
    Other,
}

/// A document.
#[derive(Debug, Clone, PartialEq)]
pub struct Document {
    /// The file as it was named.
    pub file: String,
    /// What it describes.
    pub kind: Kind,
    /// Its content.
    pub root: Node,
}

impl Document {
    pub(super) fn new(file: &str, text: &str, root: Node) -> Result<Self, SourceError> {
        let is_manifest = root.entry("kind").is_some() || root.entry("apiVersion").is_some();
        if !is_manifest && (root.entry("load").is_some() || root.entry("duration_s").is_some()) {
            return Self::scenario(file, text, root);
        }
        let kind = match root.node("kind").and_then(Node::text) {
            Some("ScaledObject") => Kind::ScaledObject,
            Some("Deployment" | "StatefulSet") => Kind::Workload,
            Some("PodDisruptionBudget") => Kind::DisruptionBudget,
            Some("Service") => Kind::Service,
            _ => Kind::Other,
        };
        Ok(Self { file: file.to_owned(), kind, root })
    }

    pub(super) fn scenario(file: &str, text: &str, root: Node) -> Result<Self, SourceError> {
        let scenario = Scenario::from_text(file, text).map_err(|error| {
            let TextError { line, reason } = error.why;
            let path = reason.split([':', ' ']).next().unwrap_or_default();
            let path = path.replace('[', ".").replace(']', "");
            let at = root.position(&path);
            // What is missing has no place of its own; the reader's line is as good as any.
            let is_named = at != root.at;
            let line = line.filter(|_| !is_named).and_then(|line| u32::try_from(line).ok());
            let line = line.unwrap_or(at.line);
            SourceError { name: file.to_owned(), line, column: at.column, reason }
        })?;
        Ok(Self { file: file.to_owned(), kind: Kind::Scenario(Box::new(scenario)), root })
    }

    /// The scenario, if it is one.
    pub fn as_scenario(&self) -> Option<&Scenario> {
        match &self.kind {
            Kind::Scenario(scenario) => Some(scenario),
            _ => None,
        }
    }

    /// `kind` as written, or what it is.
    pub fn kind_name(&self) -> String {
        match (&self.kind, self.text("kind")) {
            (Kind::Scenario(_), _) => "scenario".into(),
            (_, Some(kind)) => kind.to_owned(),
            (_, None) => "document without kind".into(),
        }
    }

    /// `metadata.name`.
    pub fn name(&self) -> &str {
        self.text("metadata.name").unwrap_or("(without a name)")
    }

    /// The node at a dotted path.
    pub fn node(&self, path: &str) -> Option<&Node> {
        self.root.node(path)
    }

    /// The text at a path.
    pub fn text(&self, path: &str) -> Option<&str> {
        self.node(path).and_then(Node::text)
    }

    /// The whole number at a path.
    pub fn int(&self, path: &str) -> Option<i64> {
        self.text(path).and_then(|text| text.trim().parse().ok())
    }

    /// The number at a path; `100m` is 0.1.
    pub fn number(&self, path: &str) -> Option<f64> {
        let text = self.text(path)?.trim();
        match text.strip_suffix('m') {
            Some(milli) => milli.parse::<f64>().ok().map(|milli| milli / 1000.0),
            None => text.parse().ok(),
        }
    }

    /// Where a path stands, or the nearest place above it.
    pub fn at(&self, path: &str) -> Position {
        self.root.position(path)
    }
}
