//! For people.

use std::fmt::Write as _;

use super::counts;
use crate::{Finding, Severity};

const BOLD: &str = "\x1b[1m";
const DIM: &str = "\x1b[2m";
const RESET: &str = "\x1b[0m";

fn colour(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "\x1b[1;31m",
        Severity::Warning => "\x1b[1;33m",
        Severity::Note => "\x1b[1;36m",
    }
}

/// Findings, three lines each, with ANSI colours.
pub fn text(findings: &[Finding]) -> String {
    let mut text = String::new();
    for finding in findings {
        let Finding { rule, severity, file, line, column, message, fix, .. } = finding;
        let (colour, name) = (colour(*severity), severity.name());
        let _ = writeln!(
            text,
            "{BOLD}{file}:{line}:{column}:{RESET} {colour}{name}[{rule}]{RESET} {message}"
        );
        let _ = writeln!(text, "    fix: {fix}");
        let _ = writeln!(text, "    {DIM}tidegate check --explain {rule}{RESET}");
    }
    text
}

/// One line: how many of what.
pub fn summary(findings: &[Finding], files: usize) -> String {
    let counts = counts(findings);
    if findings.is_empty() {
        return format!("{} checked: nothing found", plural(files, "file"));
    }
    let parts = [(counts.errors, "error"), (counts.warnings, "warning"), (counts.notes, "note")];
    let parts: Vec<String> = parts
        .into_iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, word)| plural(count, word))
        .collect();
    format!("{} checked: {}", plural(files, "file"), parts.join(", "))
}

fn plural(count: usize, word: &str) -> String {
    format!("{count} {word}{}", if count == 1 { "" } else { "s" })
}
