//! Findings as text, JSON and SARIF.
//!
//! # Layout
//! - `text`: for people; colours are ANSI sequences that a printer may strip
//! - `sarif`: SARIF 2.1.0, for code hosts

mod sarif;
mod text;

pub use sarif::sarif;
pub use text::{summary, text};

use crate::{Finding, Severity};

/// How many of each severity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize)]
pub struct Counts {
    /// Errors.
    pub errors: usize,
    /// Warnings.
    pub warnings: usize,
    /// Notes.
    pub notes: usize,
}

/// Counts findings.
pub fn counts(findings: &[Finding]) -> Counts {
    let of = |severity| findings.iter().filter(|finding| finding.severity == severity).count();
    Counts {
        errors: of(Severity::Error),
        warnings: of(Severity::Warning),
        notes: of(Severity::Note),
    }
}
