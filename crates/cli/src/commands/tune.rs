//! `tidegate tune`: the search, its progress, and what it writes.

mod checkpoint;
mod output;
mod progress;

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use tidegate_plan::trial::{AgeKind, NamedScenario};
use tidegate_plan::tune::{Base, LawKind, Objective, Options, Search, SearchError, choose};

use self::progress::View;
use super::{outputs, scaled_object, simulate};
use crate::args::{AgeName, LawName, ObjectiveName, TuneArgs};
use crate::exit::{Outcome, bad_input};
use crate::signals;

/// Seeds that no search uses, for the hold-out.
const NEW_SEEDS: std::ops::RangeInclusive<u64> = 1_000_001..=1_000_005;

pub(super) fn run(args: &TuneArgs) -> anyhow::Result<Outcome> {
    // The manifest to begin with may be the one that is written: it is read before.
    let inputs: Vec<_> = args.scenario.iter().map(|file| ("--scenario", file.as_path())).collect();
    let files = [("--output", args.output.as_ref()), ("--checkpoint", args.checkpoint.as_ref())];
    outputs::can_write(&inputs, files)?;
    let scenarios = scenarios(&args.scenario)?;
    let (name, text) = scaled_object::text(&args.scaled_object)?;
    let base = Base::from_yaml(&name, &text)
        .map_err(|error| scaled_object::refused(&name, &text, &error.to_string()))?;
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
    let checkpoint = args.checkpoint.as_deref().map(checkpoint::read).transpose()?.flatten();
    let mut search = Search::new(&base, &scenarios, law, options, checkpoint).map_err(refused)?;
    let stop = signals::stop_flag()?;
    let interrupted = drive(&mut search, args.checkpoint.as_deref(), &stop)?;

    let head = output::head(args, &search, interrupted);
    let new_seeds: Vec<u64> = NEW_SEEDS.collect();
    // What was found is written also when the search was stopped.
    let going_on = AtomicBool::new(false);
    let choice = choose(&search, objective, &new_seeds, &head, &going_on).map_err(refused)?;
    let Some(choice) = choice else {
        anstream::eprintln!("interrupted before the first generation was done: nothing to write");
        return Ok(Outcome::Interrupted);
    };
    output::write(args, &search, &choice, &scenarios)?;
    Ok(match (interrupted, choice.keeps_bound) {
        (true, _) => Outcome::Interrupted,
        (false, true) => Outcome::Done,
        (false, false) => Outcome::PromiseBroken,
    })
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
            checkpoint::keep(path, search.checkpoint())?;
        }
        let progress = search.progress();
        view.show(&progress, !more || stopped);
        if stopped || !more {
            return Ok(stopped && progress.evaluated < progress.configurations);
        }
    }
}
