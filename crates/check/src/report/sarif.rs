//! SARIF 2.1.0, as code hosts read it.

use serde_json::{Value, json};

use crate::rules::RULES;
use crate::{Finding, Severity};

/// A SARIF log with one run; pages are linked below a base address or path.
pub fn sarif(findings: &[Finding], tool_version: &str, page_base: &str) -> Value {
    let rules: Vec<Value> = RULES
        .iter()
        .map(|rule| {
            json!({
                "id": rule.id,
                "name": rule.name,
                "shortDescription": { "text": rule.title() },
                "fullDescription": { "text": rule.title() },
                "help": { "text": rule.page, "markdown": rule.page },
                "helpUri": format!("{page_base}{}", rule.page_path()),
                "defaultConfiguration": { "level": level(rule.severity) },
            })
        })
        .collect();
    let results: Vec<Value> = findings.iter().map(result).collect();
    json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": {
                "name": "tidegate check",
                "semanticVersion": tool_version,
                "rules": rules,
            }},
            "columnKind": "unicodeCodePoints",
            "results": results,
        }],
    })
}

fn result(finding: &Finding) -> Value {
    let index = RULES.iter().position(|rule| rule.id == finding.rule);
    json!({
        "ruleId": finding.rule,
        "ruleIndex": index,
        "level": level(finding.severity),
        "message": { "text": format!("{}. Fix: {}", finding.message, finding.fix) },
        "locations": [{ "physicalLocation": {
            "artifactLocation": { "uri": finding.file },
            "region": { "startLine": finding.line.max(1), "startColumn": finding.column.max(1) },
        }}],
    })
}

fn level(severity: Severity) -> &'static str {
    severity.name()
}
