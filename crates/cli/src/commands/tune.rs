//! `tidegate tune`: the search, its progress, and what it writes.

use std::io::{IsTerminal as _, Write as _};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;
use tidegate_check::{Known, Severity, Source};
use tidegate_plan::trial::{AgeKind, NamedScenario, Score};
use tidegate_plan::tune::{
    Base, Checkpoint, Choice, LawKind, Objective, Options, Progress, Search, SearchError, choose,
};

use super::{parts, simulate, up};
use crate::args::{AgeName, LawName, ObjectiveName, TuneArgs};
use crate::exit::{Outcome, bad_input};
use crate::signals;

/// Seeds that no search uses, for the hold-out.
const NEW_SEEDS: std::ops::RangeInclusive<u64> = 1_000_001..=1_000_005;

pub(super) fn run(args: &TuneArgs) -> anyhow::Result<Outcome> {
    parts::can_write([
        ("--output", args.output.as_ref()),
        ("--checkpoint", args.checkpoint.as_ref()),
    ])?;
    let scenarios = scenarios(&args.scenario)?;
    let (name, text) = up::scaled_object_text(&args.scaled_object)?;
    let base = Base::from_yaml(&name, &text).map_err(|error| bad_input(error.to_string()))?;
    let objective = objective(args)?;
    let options = Options {
        configurations: args.configurations,
        seed: args.seed,
        seeds: (1..=args.seeds).collect(),
        threads: threads(args.threads),
        age: age(args.age),
    };
    let law = match args.law {
        LawName::Stock => LawKind::Stock,
        LawName::Slo => LawKind::Slo,
    };
    let checkpoint = args.checkpoint.as_deref().map(read_checkpoint).transpose()?.flatten();
    let mut search = Search::new(&base, &scenarios, law, options, checkpoint).map_err(refused)?;
    let stop = signals::stop_flag()?;
    let interrupted = drive(&mut search, args.checkpoint.as_deref(), &stop)?;

    let head = head(args, &search, interrupted);
    let new_seeds: Vec<u64> = NEW_SEEDS.collect();
    // What was found is written also when the search was stopped.
    let going_on = AtomicBool::new(false);
    let choice = choose(&search, objective, &new_seeds, &head, &going_on).map_err(refused)?;
    let Some(choice) = choice else {
        anstream::eprintln!("interrupted before the first generation was done: nothing to write");
        return Ok(Outcome::Interrupted);
    };
    write(args, &search, &choice, &scenarios)?;
    Ok(if interrupted { Outcome::Interrupted } else { Outcome::Done })
}

fn refused(error: SearchError) -> anyhow::Error {
    match error {
        SearchError::OtherCheckpoint => bad_input(format!("--checkpoint: {error}")),
        SearchError::Law(reason) => bad_input(reason),
    }
}

pub(super) fn threads(given: Option<u64>) -> usize {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    given.and_then(|threads| usize::try_from(threads).ok()).unwrap_or(cores)
}

fn age(name: AgeName) -> AgeKind {
    match name {
        AgeName::P99 => AgeKind::P99,
        AgeName::Max => AgeKind::Max,
    }
}

fn objective(args: &TuneArgs) -> anyhow::Result<Objective> {
    for (flag, value) in
        [("--target-age", args.target_age), ("--max-pod-seconds", args.max_pod_seconds)]
    {
        if value.is_some_and(|value| !(value.is_finite() && value > 0.0)) {
            return Err(bad_input(format!("{flag}: allowed is more than 0")));
        }
    }
    let cost_only = args.target_age.filter(|_| args.objective != ObjectiveName::Cost);
    if cost_only.is_some() {
        return Err(bad_input("--target-age is for --objective cost"));
    }
    if args.max_pod_seconds.is_some() && args.objective != ObjectiveName::Age {
        return Err(bad_input("--max-pod-seconds is for --objective age"));
    }
    Ok(match (args.objective, args.target_age) {
        (ObjectiveName::Cost, Some(max_age_s)) => Objective::Cost { max_age_s },
        (ObjectiveName::Age, _) => Objective::Age { max_pod_seconds: args.max_pod_seconds },
        _ => Objective::Balanced,
    })
}

fn scenarios(files: &[std::path::PathBuf]) -> anyhow::Result<Vec<NamedScenario>> {
    let one = |file: &std::path::PathBuf| {
        let scenario = simulate::read_scenario(file)?;
        Ok(NamedScenario { name: file.display().to_string(), scenario })
    };
    files.iter().map(one).collect()
}

/// A file that is not there yet is a search at its beginning.
fn read_checkpoint(path: &Path) -> anyhow::Result<Option<Checkpoint>> {
    let name = path.display();
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(bad_input(format!("--checkpoint {name}: {error}"))),
    };
    let checkpoint = serde_json::from_str(&text)
        .map_err(|error| bad_input(format!("--checkpoint {name}: no checkpoint: {error}")))?;
    Ok(Some(checkpoint))
}

/// In one step: a kill leaves the last one or this one, never half of it.
fn keep(path: &Path, checkpoint: &Checkpoint) -> anyhow::Result<()> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".new");
    let beside = std::path::PathBuf::from(beside);
    std::fs::write(&beside, serde_json::to_string(checkpoint)?)
        .and_then(|()| std::fs::rename(&beside, path))
        .map_err(|error| anyhow::anyhow!("--checkpoint {}: {error}", path.display()))
}

/// Runs to the end, or to the stop. True when it was stopped.
fn drive(
    search: &mut Search<'_>,
    checkpoint: Option<&Path>,
    stop: &AtomicBool,
) -> anyhow::Result<bool> {
    let mut view = View::new(search.progress());
    loop {
        let more = search.step(stop).map_err(refused)?;
        let stopped = stop.load(Ordering::Relaxed);
        if let Some(path) = checkpoint.filter(|_| !stopped) {
            keep(path, search.checkpoint())?;
        }
        let progress = search.progress();
        view.show(&progress, !more || stopped);
        if stopped || !more {
            return Ok(stopped && progress.evaluated < progress.configurations);
        }
    }
}

/// A bar on a terminal, a line for each tenth elsewhere.
struct View {
    began: Instant,
    evaluated_before: u64,
    is_terminal: bool,
    tenth: u64,
}

impl View {
    fn new(progress: Progress) -> Self {
        Self {
            began: Instant::now(),
            evaluated_before: progress.evaluated,
            is_terminal: std::io::stderr().is_terminal(),
            tenth: 10 * progress.evaluated / progress.configurations.max(1),
        }
    }

    fn show(&mut self, progress: &Progress, is_last: bool) {
        let tenth = 10 * progress.evaluated / progress.configurations.max(1);
        let line = self.line(progress);
        if self.is_terminal {
            const WIDTH: u64 = 24;
            let full = WIDTH * progress.evaluated / progress.configurations.max(1);
            let bar: String = (0..WIDTH).map(|cell| if cell < full { '█' } else { '░' }).collect();
            let end = if is_last { "\n" } else { "" };
            let mut stderr = anstream::stderr().lock();
            let _ = write!(stderr, "\r\x1b[2K{bar} {line}{end}");
            let _ = stderr.flush();
        } else if tenth > self.tenth || is_last {
            anstream::eprintln!("{line}");
        }
        self.tenth = tenth;
    }

    fn line(&self, progress: &Progress) -> String {
        let done = progress.evaluated - self.evaluated_before;
        let took = self.began.elapsed();
        let left = progress.configurations - progress.evaluated.min(progress.configurations);
        let left = took.mul_f64(left as f64 / done.max(1) as f64);
        let best = match (progress.best_age_s, progress.best_cost) {
            (Some(age), Some(cost)) => {
                format!(
                    ", age from {age:.1} s, pod-seconds from {cost:.0}, front {}",
                    progress.front
                )
            }
            _ => String::new(),
        };
        format!(
            "{} of {} configurations in {}{best}, {} left",
            progress.evaluated,
            progress.configurations,
            seconds(took),
            seconds(left)
        )
    }
}

fn seconds(time: Duration) -> String {
    format!("{:.0} s", time.as_secs_f64())
}

fn head(args: &TuneArgs, search: &Search<'_>, interrupted: bool) -> Vec<String> {
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

fn write(
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
        anstream::eprintln!("the bound is not kept by anything that was found; this comes nearest");
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

/// What to do with the manifest on a cluster.
fn how_to_use(args: &TuneArgs) -> String {
    let file = args.output.as_ref().map_or_else(|| "-".into(), |path| path.display().to_string());
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
    let mut texts = vec![("tuned.yaml".to_owned(), choice.yaml.clone())];
    for file in &args.scenario {
        texts.push((file.display().to_string(), std::fs::read_to_string(file)?));
    }
    let sources: Vec<Source<'_>> = texts.iter().map(|(name, text)| Source { name, text }).collect();
    let known = Known { target_age_s: args.target_age, ..Known::default() };
    let mut findings = tidegate_check::check(&sources, known)
        .map_err(|error| anyhow::anyhow!("what was found cannot be read: {error}"))?;
    findings.retain(|finding| finding.file == "tuned.yaml");
    Ok(findings)
}
