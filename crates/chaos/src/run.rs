//! A run: rounds until enough faults have taken effect, and its summary.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context as _, bail};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::args::Args;
use crate::main_thread::{MainThread, main_thread};
use crate::plan::{Limits, Round};
use crate::round::Suite;
use crate::say;
use crate::servers::Servers;
use crate::stop::Stop;
use crate::trace::Trace;

/// A member that is silent for this long is out of the group, ms.
const SESSION_MS: u64 = 3_000;

pub(crate) fn run(args: Args) -> anyhow::Result<ExitCode> {
    let limits = limits(&args)?;
    let seed = args.seed.unwrap_or_else(|| jiff::Timestamp::now().as_second().unsigned_abs());
    if args.plan {
        print_plan(seed, &args, &limits)?;
        return Ok(ExitCode::SUCCESS);
    }
    let stop = Stop::on_signals()?;
    let (main, jobs) = main_thread();
    let suite = std::thread::Builder::new()
        .name("suite".into())
        .spawn(move || rounds(&args, seed, limits, stop, main))?;
    jobs.serve(suite)?
}

fn limits(args: &Args) -> anyhow::Result<Limits> {
    if args.pods_min > args.pods_max {
        bail!("--pods-min {}: allowed is at most --pods-max ({})", args.pods_min, args.pods_max);
    }
    Ok(Limits {
        faults: usize::try_from(args.faults_a_round)?,
        gap_ms: args.gap_ms,
        pods_min: args.pods_min,
        pods_max: args.pods_max,
        session_ms: SESSION_MS,
        sqlite_every: args.sqlite_every,
    })
}

fn print_plan(seed: u64, args: &Args, limits: &Limits) -> anyhow::Result<()> {
    let rounds = args.faults.div_ceil(args.faults_a_round);
    let numbers = args.round.map_or(0..rounds, |round| round..round + 1);
    for number in numbers {
        anstream::println!("{}", serde_json::to_string(&Round::plan(seed, number, limits))?);
    }
    Ok(())
}

fn rounds(
    args: &Args,
    seed: u64,
    limits: Limits,
    stop: Stop,
    main: MainThread,
) -> anyhow::Result<ExitCode> {
    let tidegate = binary(args)?;
    let results = args.results.clone().unwrap_or_else(|| {
        let today = jiff::Timestamp::now().strftime("%Y-%m-%d").to_string();
        Path::new("benches/runs").join(today).join("chaos")
    });
    let trace = Arc::new(Trace::create(&results)?);
    let directory = tempfile::Builder::new().prefix("tidegate-chaos-").tempdir()?;
    say(&format!("chaos: seed {seed}, {} faults; starting Kafka and PostgreSQL", args.faults));
    let servers = Servers::start(&main, directory.path(), limits.session_ms)?;
    let suite =
        Suite { stop, main, servers, tidegate, directory: directory.path().to_owned(), limits };
    let outcome = suite_rounds(args, seed, &suite, &trace, &results);
    if suite.stop.finding().is_some() || outcome.is_err() {
        keep(directory);
    }
    outcome
}

fn suite_rounds(
    args: &Args,
    seed: u64,
    suite: &Suite,
    trace: &Arc<Trace>,
    results: &Path,
) -> anyhow::Result<ExitCode> {
    let began = Instant::now();
    let mut total = Total::default();
    let mut number = args.round.unwrap_or(0);
    loop {
        let mut round = Round::plan(seed, number, &suite.limits);
        let left = args.faults.saturating_sub(trace.done());
        // The last round is as short as the count wants it.
        round.faults.truncate(usize::try_from(left)?);
        let result = suite.run(&round, trace)?;
        trace.round(&result)?;
        total.add(&result);
        tell(&round, &result, trace.done(), args.faults);
        let is_last = trace.done() >= args.faults || args.round.is_some();
        if suite.stop.is_set() || is_last {
            break;
        }
        number += 1;
    }
    let summary = summary(args, seed, suite, trace, &total, began.elapsed().as_secs_f64());
    trace.summary(&summary)?;
    conclude(seed, number, suite, &summary, results)
}

#[derive(Debug, Default)]
struct Total {
    rounds: u64,
    sent: u64,
    stored: u64,
    dead_lettered: u64,
    fenced: u64,
    worst_recovery_ms: u64,
}

impl Total {
    fn add(&mut self, result: &Value) {
        let number = |pointer: &str| result.pointer(pointer).and_then(Value::as_u64).unwrap_or(0);
        self.rounds += 1;
        self.sent += number("/audit/sent");
        self.stored += number("/audit/stored");
        self.dead_lettered += number("/audit/dead_lettered");
        self.fenced += number("/fenced");
        self.worst_recovery_ms = self.worst_recovery_ms.max(number("/recovery_ms"));
    }
}

fn summary(
    args: &Args,
    seed: u64,
    suite: &Suite,
    trace: &Trace,
    total: &Total,
    wall_s: f64,
) -> Value {
    let done = trace.done();
    json!({
        "seed": seed,
        "faults_wanted": args.faults,
        "faults": done,
        "limits": suite.limits,
        "rounds": total.rounds,
        "records_sent": total.sent,
        "records_stored": total.stored,
        "records_dead_lettered": total.dead_lettered,
        "writes_fenced": total.fenced,
        "worst_recovery_ms": total.worst_recovery_ms,
        "wall_s": (wall_s * 10.0).round() / 10.0,
        "wall_s_per_fault": (wall_s / done.max(1) as f64 * 1000.0).round() / 1000.0,
        "by_kind": trace.counts(),
        "interrupted": suite.stop.is_interrupted(),
        "finding": suite.stop.finding(),
    })
}

fn conclude(
    seed: u64,
    number: u64,
    suite: &Suite,
    summary: &Value,
    results: &Path,
) -> anyhow::Result<ExitCode> {
    if let Some(finding) = suite.stop.finding() {
        say(&format!("FOUND in round {number} of seed {seed}: {finding}"));
        say(&format!("trace: {}", results.join("faults.jsonl").display()));
        say(&format!(
            "again: tidegate-chaos --seed {seed} --round {number} --faults-a-round {} --gap-ms {} \
             --pods-min {} --pods-max {} --sqlite-every {}",
            suite.limits.faults,
            suite.limits.gap_ms,
            suite.limits.pods_min,
            suite.limits.pods_max,
            suite.limits.sqlite_every
        ));
        return Ok(ExitCode::from(3));
    }
    if suite.stop.is_interrupted() {
        return Ok(ExitCode::from(130));
    }
    say(&format!(
        "{} faults in {} rounds, {} records, {} dead letters, {} writes fenced: \
         0 lost, 0 duplicated, 0 out of order; {} s a fault",
        summary["faults"],
        summary["rounds"],
        summary["records_sent"],
        summary["records_dead_lettered"],
        summary["writes_fenced"],
        summary["wall_s_per_fault"],
    ));
    Ok(ExitCode::SUCCESS)
}

fn tell(round: &Round, result: &Value, done: u64, wanted: u64) {
    // A round that ends early has no audit.
    let number = |pointer: &str| result.pointer(pointer).map_or("-".into(), Value::to_string);
    say(&format!(
        "round {:>3}  {:<8} {:<8} {:>2} pods  {:>6} sent  recovered in {:>5} ms  fenced {:>3}  {:>5.1} s  \
         {done} of {wanted} faults",
        round.number,
        round.protocol.name(),
        round.sink.name(),
        number("/pods_at_end"),
        number("/audit/sent"),
        number("/recovery_ms"),
        number("/fenced"),
        result["wall_ms"].as_f64().unwrap_or(0.0) / 1_000.0,
    ));
}

fn binary(args: &Args) -> anyhow::Result<PathBuf> {
    let beside = || Ok::<_, anyhow::Error>(std::env::current_exe()?.with_file_name("tidegate"));
    let path = args.tidegate.clone().map_or_else(beside, Ok)?;
    std::fs::canonicalize(&path)
        .with_context(|| format!("{}: build it with cargo build -p tidegate", path.display()))
}

fn keep(directory: TempDir) {
    say(&format!("kept for a look: {}", directory.keep().display()));
}
