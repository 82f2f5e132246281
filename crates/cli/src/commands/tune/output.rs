//! What `tidegate tune` writes: the manifest, how it compares, what `check` says of it.

use serde_json::json;
use tidegate_check::{Known, Severity, Source};
use tidegate_plan::trial::{NamedScenario, Score};
use tidegate_plan::tune::{BOUND_BROKEN, Choice, Search};

use crate::args::{LawName, TuneArgs};

/// The lines above the manifest.
pub(super) fn head(args: &TuneArgs, search: &Search<'_>, interrupted: bool) -> Vec<String> {
    let progress = search.progress();
    let files: Vec<String> = args
        .scenario
        .iter()
        .map(|file| file.file_name().unwrap_or_default().to_string_lossy().into_owned())
        .collect();
    let stopped = if interrupted { ", stopped early" } else { "" };
    vec![
        format!(
            "Found by `tidegate tune` for {}: {} configurations{stopped}, seed {}.",
            files.join(", "),
            progress.evaluated,
            args.seed
        ),
        "A comment says what the next lower and the next higher value would do.".into(),
        match args.law {
            LawName::Stock => "The trigger is KEDA's own.".into(),
            LawName::Slo => {
                "The trigger asks `tidegate scaler`: set scalerAddress to its Service.".into()
            }
        },
    ]
}

/// To the file or stdout, and to stderr for whoever reads along.
pub(super) fn write(
    args: &TuneArgs,
    search: &Search<'_>,
    choice: &Choice,
    scenarios: &[NamedScenario],
) -> anyhow::Result<()> {
    if let Some(path) = &args.output {
        std::fs::write(path, &choice.yaml)
            .map_err(|error| anyhow::anyhow!("--output {}: {error}", path.display()))?;
    }
    let say = |name: &str, score: &Score| {
        anstream::eprintln!(
            "{name:<15}age {:.1} s, oldest {:.1} s, pod-seconds {:.0}, {:.1} reversals",
            score.age_s,
            score.max_age_s,
            score.pod_seconds,
            score.reversals
        );
    };
    say("before", &choice.before);
    say("found", &choice.found);
    say("with new seeds", &choice.held_out);
    if !choice.keeps_bound {
        anstream::eprintln!("{BOUND_BROKEN}");
    }
    let findings = checked(args, choice)?;
    anstream::eprintln!(
        "check          {}",
        tidegate_check::report::summary(&findings, 1 + scenarios.len())
    );
    let shown: Vec<_> =
        findings.into_iter().filter(|finding| finding.severity > Severity::Note).collect();
    anstream::eprint!("{}", tidegate_check::report::text(&shown));
    anstream::eprintln!("use            {}", how_to_use(args));
    if args.json {
        let space = search.space();
        let front: Vec<_> = search
            .front()
            .points()
            .iter()
            .map(|point| {
                let settings: serde_json::Map<String, serde_json::Value> = space
                    .dimensions
                    .iter()
                    .map(|d| (d.name.to_owned(), json!(space.value(&point.genes, d.name))))
                    .collect();
                json!({ "score": point.score, "settings": settings })
            })
            .collect();
        let all = json!({
            "evaluated": search.progress().evaluated,
            "simulations": search.progress().simulations,
            "before": choice.before,
            "found": choice.found,
            "held_out": choice.held_out,
            "keeps_bound": choice.keeps_bound,
            "manifest": choice.yaml,
            "findings": shown,
            "front": front,
        });
        anstream::println!("{}", serde_json::to_string_pretty(&all)?);
    } else if args.output.is_none() {
        anstream::print!("{}", choice.yaml);
    }
    Ok(())
}

/// The manifest's file; "-" is stdout.
fn written_to(args: &TuneArgs) -> String {
    args.output.as_ref().map_or_else(|| "-".into(), |path| path.display().to_string())
}

/// What to do with the manifest on a cluster.
fn how_to_use(args: &TuneArgs) -> String {
    let file = written_to(args);
    match args.law {
        LawName::Slo => format!(
            "kubectl apply -f {file}; its trigger asks `tidegate scaler` at scalerAddress (docs/scaler.md)"
        ),
        LawName::Stock => format!(
            "kubectl apply -f {file}; its trigger is KEDA's own, --law slo writes one for `tidegate scaler`"
        ),
    }
}

/// What `tidegate check` says of the manifest that was found, with the scenarios.
fn checked(args: &TuneArgs, choice: &Choice) -> anyhow::Result<Vec<tidegate_check::Finding>> {
    let written = written_to(args);
    let mut texts = vec![(written.clone(), choice.yaml.clone())];
    for file in &args.scenario {
        texts.push((file.display().to_string(), std::fs::read_to_string(file)?));
    }
    let sources: Vec<Source<'_>> = texts.iter().map(|(name, text)| Source { name, text }).collect();
    let known = Known { target_age_s: args.target_age, ..Known::default() };
    let mut findings = tidegate_check::check(&sources, known)
        .map_err(|error| anyhow::anyhow!("what was found cannot be read: {error}"))?;
    findings.retain(|finding| finding.file == written);
    Ok(findings)
}
