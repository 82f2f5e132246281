//! The command line.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Parser, Subcommand};

const EXAMPLES: &str = "\
Examples:
  tidegate-chaos                                  1,000 faults, a seed of the clock
  tidegate-chaos --faults 60 --seed 7             a short run that can be repeated
  tidegate-chaos --seed 7 --round 12              one round of a run, to look closer
  CHAOS_FAULTS=200 CHAOS_SEED=7 tidegate-chaos

Exit codes: 0 every promise kept, 3 something was found, 1 the suite failed, 130 interrupted.";

/// Strikes running consumers, Kafka and the database, and audits what is stored.
#[derive(Debug, Parser)]
#[command(name = "tidegate-chaos", after_help = EXAMPLES, args_conflicts_with_subcommands = true)]
pub(crate) struct Args {
    /// Faults that must take effect
    #[arg(long, env = "CHAOS_FAULTS", default_value_t = 1_000, value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    pub(crate) faults: u64,
    /// What happens when is a function of it [default: from the clock]
    #[arg(long, env = "CHAOS_SEED")]
    pub(crate) seed: Option<u64>,
    /// Faults a round; after each round everything is audited
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u64).range(1..=1_000))]
    pub(crate) faults_a_round: u64,
    /// Mean time between two faults, ms
    #[arg(long, default_value_t = 650, value_parser = clap::value_parser!(u64).range(10..=60_000))]
    pub(crate) gap_ms: u64,
    /// Fewest consumer processes
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=100))]
    pub(crate) pods_min: u32,
    /// Most consumer processes
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=100))]
    pub(crate) pods_max: u32,
    /// Each so-manieth round writes into SQLite; 0 for none
    #[arg(long, default_value_t = 5)]
    pub(crate) sqlite_every: u64,
    /// Run only this round
    #[arg(long, value_name = "NUMBER")]
    pub(crate) round: Option<u64>,
    /// Print the plan of the rounds as JSON lines and run nothing
    #[arg(long)]
    pub(crate) plan: bool,
    /// The binary under test [default: tidegate beside this one]
    #[arg(long, value_name = "FILE")]
    pub(crate) tidegate: Option<PathBuf>,
    /// Where faults.jsonl, rounds.jsonl and summary.json go [default: benches/runs/DATE/chaos]
    #[arg(long, value_name = "DIR")]
    pub(crate) results: Option<PathBuf>,
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run a command that dies with this process' parent
    #[command(hide = true)]
    ExecGuarded {
        #[arg(long)]
        parent: u32,
        #[arg(last = true, required = true)]
        command: Vec<OsString>,
    },
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_well_formed() {
        super::Args::command().debug_assert();
    }
}
