//! `tidegate check`: lint rules for manifests and scenarios.

use std::io::Read as _;
use std::path::Path;

use serde_json::json;
use tidegate_check::rules::{RULES, rule};
use tidegate_check::{Known, Severity, Source, check, kinds, report};

use super::outputs;
use crate::args::CheckArgs;
use crate::exit::{Outcome, bad_input};

/// Where the pages of the rules are, for SARIF; a path inside the repository.
const PAGE_BASE: &str = "";

pub(super) fn run(args: &CheckArgs) -> anyhow::Result<Outcome> {
    if let Some(id) = &args.explain {
        anstream::print!("{}", known_rule(id, "--explain")?.page);
        return Ok(Outcome::Done);
    }
    for id in &args.allow {
        known_rule(id, "--allow")?;
    }
    let files: Vec<&Path> = args.files.iter().chain(&args.scenario).map(AsRef::as_ref).collect();
    let inputs: Vec<(&str, &Path)> = files.iter().map(|file| ("what is checked", *file)).collect();
    outputs::can_write(&inputs, [("--sarif", args.sarif.as_ref())])?;
    let texts = read(&files)?;
    let sources: Vec<Source<'_>> = texts.iter().map(|(name, text)| Source { name, text }).collect();
    let mut findings =
        check(&sources, known(args)?).map_err(|error| bad_input(error.to_string()))?;
    let kinds = kinds(&sources).map_err(|error| bad_input(error.to_string()))?;
    if !kinds.iter().any(|kind| CHECKED.contains(&kind.as_str())) {
        return Err(bad_input(format!(
            "nothing to check: the files hold {}; checked are {}",
            kinds.join(", "),
            CHECKED.join(", ")
        )));
    }
    findings.retain(|finding| !args.allow.iter().any(|id| id.eq_ignore_ascii_case(finding.rule)));

    if let Some(path) = &args.sarif {
        let log = report::sarif(&findings, env!("CARGO_PKG_VERSION"), PAGE_BASE);
        std::fs::write(path, serde_json::to_string_pretty(&log)? + "\n")
            .map_err(|error| anyhow::anyhow!("--sarif {}: {error}", path.display()))?;
    }
    if args.json {
        let counts = report::counts(&findings);
        let all = json!({ "files": files, "counts": counts, "findings": findings });
        anstream::println!("{}", serde_json::to_string_pretty(&all)?);
    } else {
        anstream::print!("{}", report::text(&findings));
        anstream::eprintln!("{}", report::summary(&findings, files.len()));
    }
    let limit = if args.deny_warnings { Severity::Warning } else { Severity::Error };
    let failed = findings.iter().any(|finding| finding.severity >= limit);
    Ok(if failed { Outcome::Findings } else { Outcome::Done })
}

/// Kinds that rules look at.
const CHECKED: &[&str] =
    &["ScaledObject", "Deployment", "StatefulSet", "PodDisruptionBudget", "Service", "scenario"];

fn known_rule(id: &str, flag: &str) -> anyhow::Result<&'static tidegate_check::rules::Rule> {
    rule(id).ok_or_else(|| {
        let ids: Vec<&str> = RULES.iter().map(|rule| rule.id).collect();
        bad_input(format!("{flag} {id}: no such rule, there are {}", ids.join(", ")))
    })
}

fn known(args: &CheckArgs) -> anyhow::Result<Known> {
    let positive = |flag: &str, value: Option<f64>| match value {
        Some(value) if !(value.is_finite() && value > 0.0) => {
            Err(bad_input(format!("{flag} {value}: allowed is more than 0")))
        }
        value => Ok(value),
    };
    Ok(Known {
        partitions: args.partitions,
        pod_rate_per_s: positive("--pod-rate", args.pod_rate)?,
        target_age_s: positive("--target-age", args.target_age)?,
    })
}

fn read(files: &[&Path]) -> anyhow::Result<Vec<(String, String)>> {
    let one = |path: &&Path| {
        let name = path.display().to_string();
        if name == "-" {
            let mut text = String::new();
            std::io::stdin()
                .read_to_string(&mut text)
                .map_err(|error| bad_input(format!("standard input: {error}")))?;
            return Ok(("stdin".to_owned(), text));
        }
        let text =
            std::fs::read_to_string(path).map_err(|error| bad_input(format!("{name}: {error}")))?;
        Ok((name, text))
    };
    files.iter().map(one).collect()
}
