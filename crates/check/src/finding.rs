//! What a rule says.

use serde::Serialize;

use crate::source::Document;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// A setting without effect, or a habit; never changes the exit code.
    Note,
    /// Costs latency, pods or safety by arithmetic that the finding shows.
    Warning,
    /// Loses records, stops work, or is refused by a controller.
    Error,
}

impl Severity {
    /// In lower case.
    pub fn name(self) -> &'static str {
        match self {
            Self::Note => "note",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

/// One finding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Id of the rule, for example `TG020`.
    pub rule: &'static str,
    /// How bad it is here; a rule may be milder than its own severity.
    pub severity: Severity,
    /// The file as it was named.
    pub file: String,
    /// Line, from 1.
    pub line: u32,
    /// Column, from 1.
    pub column: u32,
    /// The setting's path, for example `spec.maxReplicaCount`.
    pub path: String,
    /// What is wrong, with the arithmetic.
    pub message: String,
    /// What to write instead.
    pub fix: String,
}

/// Findings as they come up.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    found: Vec<Finding>,
}

impl Findings {
    /// Adds one at a setting, or at the nearest place above it that is written down.
    pub(crate) fn add(
        &mut self,
        (rule, severity): (&'static str, Severity),
        document: &Document,
        path: &str,
        message: impl Into<String>,
        fix: impl Into<String>,
    ) {
        let at = document.at(path);
        self.found.push(Finding {
            rule,
            severity,
            file: document.file.clone(),
            line: at.line,
            column: at.column,
            path: path.to_owned(),
            message: message.into(),
            fix: fix.into(),
        });
    }

    /// In the order of files, lines and rules; the same finding of two scenarios once.
    pub(crate) fn sorted<'a>(self, files: impl Iterator<Item = &'a str>) -> Vec<Finding> {
        let files: Vec<&str> = files.collect();
        let rank = |file: &str| files.iter().position(|name| *name == file);
        let mut found = self.found;
        found.sort_by(|a, b| {
            (rank(&a.file), a.line, a.column, a.rule, &a.message).cmp(&(
                rank(&b.file),
                b.line,
                b.column,
                b.rule,
                &b.message,
            ))
        });
        found.dedup();
        found
    }
}
