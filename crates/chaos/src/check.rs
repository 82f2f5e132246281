//! What must hold when a round is over.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::Context as _;
use serde_json::Value;

use crate::load::Sent;
use crate::store::Store;

/// The result of a check.
#[derive(Debug)]
pub(crate) struct Verdict {
    /// What `tidegate audit --json` printed.
    pub(crate) audit: Value,
    /// Each broken promise, in words.
    pub(crate) broken: Vec<String>,
}

/// Compares ledger and database: by the audit, and by what the database says alone.
pub(crate) fn check(
    binary: &Path,
    ledger: &Path,
    sent: &Sent,
    store: &Store,
) -> anyhow::Result<Verdict> {
    let mut audit = Command::new(binary);
    audit.args(["audit", "--json", "--database", &store.audit_url(), "--ledger"]).arg(ledger);
    if let Some(mapping) = store.mapping() {
        audit.arg("--mapping").arg(mapping);
    }
    let output = audit.stdin(Stdio::null()).output().context("tidegate audit")?;
    let audit: Value = serde_json::from_slice(&output.stdout).with_context(|| {
        format!("tidegate audit: {}", String::from_utf8_lossy(&output.stderr).trim())
    })?;
    let mut broken = judge(&audit, sent, output.status.code());
    broken.extend(store.anomalies()?);
    Ok(Verdict { audit, broken })
}

fn judge(audit: &Value, sent: &Sent, code: Option<i32>) -> Vec<String> {
    let number = |name: &str| audit[name].as_u64();
    let mut broken = Vec::new();
    for name in
        ["lost", "duplicated", "out_of_order", "dead_lettered_unexpected", "altered", "pending"]
    {
        if number(name) != Some(0) {
            broken.push(format!("{name}: {}", audit[name]));
        }
    }
    let good = sent.records - sent.poison;
    for (name, wanted) in [("sent", sent.records), ("stored", good), ("dead_lettered", sent.poison)]
    {
        if number(name) != Some(wanted) {
            broken.push(format!("{name}: {}, expected {wanted}", audit[name]));
        }
    }
    if code != Some(0) {
        broken.push(format!("tidegate audit ended with {code:?}"));
    }
    broken
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_figure_that_is_off_is_named() {
        let sent = Sent { ends: Default::default(), records: 10, poison: 2 };
        let right = json!({
            "sent": 10, "stored": 8, "dead_lettered": 2, "lost": 0, "duplicated": 0,
            "out_of_order": 0, "dead_lettered_unexpected": 0, "altered": 0, "pending": 0,
        });
        assert!(judge(&right, &sent, Some(0)).is_empty());
        assert_eq!(judge(&right, &sent, Some(3)).len(), 1);
        for (name, value) in right.as_object().expect("object") {
            let mut wrong = right.clone();
            wrong[name] = json!(value.as_u64().expect("number") + 1);
            let broken = judge(&wrong, &sent, Some(0));
            assert_eq!(broken.len(), 1, "{name}");
            assert!(broken[0].starts_with(name), "{broken:?}");
        }
        assert_eq!(judge(&json!({}), &sent, Some(0)).len(), 9);
    }
}
