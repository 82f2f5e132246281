//! Benchmarks: real processes, real Kafka, raw output kept.
//!
//! Every case runs `tidegate up`, watches its processes from outside and derives
//! its figures from what the database, the event log and `/proc` say. Raw output
//! goes to `benches/runs/DATE/CASE/`, figures and targets to `summary.json`.
//!
//! - `run`, `proc`: one `tidegate up`, measured
//! - `timeline`: what the database says happened, commit by commit
//! - `events`: what the pods reported
//! - `steps`: figures around a change of the number of pods
//! - `findings`: figures with their targets
//! - `cases`: one file a benchmark
//! - `peers`: what tidegate is measured against
//! - `chart`: a run as a picture

mod cases;
mod chart;
mod events;
mod findings;
mod peers;
mod proc;
mod run;
mod steps;
mod timeline;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::{Parser, Subcommand};

use crate::cases::Case;
use crate::findings::Machine;
use crate::run::Bench;

/// Measures tidegate on this machine.
#[derive(Debug, Parser)]
#[command(name = "tidegate-bench", args_conflicts_with_subcommands = true)]
struct Args {
    #[command(subcommand)]
    command: Option<Command>,
    /// What to measure [default: all]
    cases: Vec<Case>,
    /// The binary to measure, built with --release
    #[arg(long, default_value = "target/release/tidegate")]
    tidegate: PathBuf,
    /// Where results go [default: benches/runs/DATE, today]
    #[arg(long)]
    results: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run a command that dies with this process' parent
    #[command(hide = true)]
    ExecGuarded {
        #[arg(long)]
        parent: u32,
        #[arg(last = true, required = true)]
        command: Vec<OsString>,
    },
}

fn main() -> anyhow::Result<ExitCode> {
    let args = Args::parse();
    // A broker of the case `peers` is started through this program, and dies with it.
    if let Some(Command::ExecGuarded { parent, command }) = &args.command {
        return Err(tidegate_local::process::exec_guarded(*parent, command).into());
    }
    let today = jiff::Timestamp::now().strftime("%Y-%m-%d").to_string();
    let results = args.results.unwrap_or_else(|| PathBuf::from("benches/runs").join(today));
    let tidegate = std::fs::canonicalize(&args.tidegate)
        .with_context(|| format!("{}: build it with make build", args.tidegate.display()))?;
    let bench = Bench { tidegate, results };
    let cases = if args.cases.is_empty() { Case::ALL.to_vec() } else { args.cases };

    let mut all_met = true;
    for case in cases {
        let findings = case.run(&bench).with_context(|| format!("benchmark {}", case.name()))?;
        all_met &= findings.iter().all(findings::Finding::is_met);
        findings::keep(&bench.results, case.name(), &Machine::here(), &findings)?;
    }
    Ok(if all_met { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
