//! The smaller commands.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::DatabaseArgs;

const AUDIT_EXAMPLES: &str = "\
Examples:
  tidegate audit --ledger ./ledger --database sqlite:trades.db
  tidegate audit --ledger ./ledger --database sqlite:trades.db --json | jq .lost
  tidegate audit --ledger ./ledger --database postgres://me@db/trades
  tidegate audit --ledger ./ledger --database postgres://me@db/shop --mapping trades.toml

Exits 0 when nothing was lost, duplicated or reordered, 3 when something was.";

#[derive(Debug, Clone, Args)]
#[command(after_help = AUDIT_EXAMPLES)]
pub(crate) struct AuditArgs {
    /// The ledger that `produce --ledger` or `up` wrote
    #[arg(long, value_name = "DIR")]
    pub(crate) ledger: PathBuf,
    #[command(flatten)]
    pub(crate) database: DatabaseArgs,
    /// The mapping that `consume` wrote with [default: the trades]
    #[arg(long, value_name = "FILE", env = "TIDEGATE_MAPPING")]
    pub(crate) mapping: Option<PathBuf>,
    /// Print the result as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

const SIMULATE_EXAMPLES: &str = "\
Examples:
  tidegate simulate --scenario config/scenarios/published.toml --scaled-object demo
  tidegate simulate --scenario config/scenarios/spike.toml --scaled-object my-scaledobject.yaml --csv run.csv
  tidegate simulate --scenario config/scenarios/spike.toml --law slo --target-age 60
  tidegate simulate --scenario config/scenarios/spike.toml --law slo --target-age 60 --through-keda
  tidegate simulate --scenario config/scenarios/diurnal.toml --html day.html
  tidegate simulate --scenario config/scenarios/diurnal.toml --json | jq .max_age_s
  tidegate simulate --scenario config/scenarios/spike.toml --json --series | jq .series[300]

The same scenario, ScaledObject and seed give the same output, byte for byte.";

#[derive(Debug, Clone, Args)]
#[command(after_help = SIMULATE_EXAMPLES)]
pub(crate) struct SimulateArgs {
    /// Traffic and world, TOML or YAML (config/scenarios/reference.toml has every setting)
    #[arg(long, value_name = "FILE")]
    pub(crate) scenario: PathBuf,
    /// What scales the pods: "local", "demo" (the published one) or a file; with --law slo one
    /// for `tidegate scaler` too, whose metadata are then what the law is told
    #[arg(long, value_name = "NAME|FILE", default_value = "demo")]
    pub(crate) scaled_object: String,
    /// Who decides
    #[arg(long, value_enum, default_value_t = LawName::Stock)]
    pub(crate) law: LawName,
    /// The promise of the slo law: 99 % of the records are stored within this time [default: that
    /// of an external trigger, or 30]
    #[arg(long, value_name = "SECONDS")]
    pub(crate) target_age: Option<f64>,
    /// With --law slo: KEDA and the HPA carry the number out, as for `tidegate scaler`; else
    /// it is carried out at once
    #[arg(long)]
    pub(crate) through_keda: bool,
    /// Another load than the scenario's: "demo" or a profile file of `produce`
    #[arg(long, value_name = "NAME|FILE")]
    pub(crate) profile: Option<String>,
    /// Seed of everything random
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
    /// Write one row a second to this file; "-" is stdout, and the figures go to stderr
    #[arg(long, value_name = "FILE")]
    pub(crate) csv: Option<PathBuf>,
    /// Write the run as one page with charts; it needs no network. "-" as for --csv
    #[arg(long, value_name = "FILE")]
    pub(crate) html: Option<PathBuf>,
    /// Write every decision as a line of JSON, for `tidegate explain`. "-" as for --csv
    #[arg(long, value_name = "FILE")]
    pub(crate) decisions: Option<PathBuf>,
    /// Print the figures as JSON
    #[arg(long)]
    pub(crate) json: bool,
    /// With --json: the seconds too, as "series"
    #[arg(long, requires = "json")]
    pub(crate) series: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum LawName {
    /// KEDA's Kafka trigger and executor, and the HPA
    Stock,
    /// The least pods that keep --target-age
    Slo,
}

const GET_EXAMPLES: &str = "\
Examples:
  tidegate get hpa
  tidegate get pods
  watch -n1 tidegate get hpa";

#[derive(Debug, Clone, Args)]
#[command(after_help = GET_EXAMPLES)]
pub(crate) struct GetArgs {
    /// What to show
    #[arg(value_enum)]
    pub(crate) what: GetWhat,
    /// The world to look at [default: the newest that runs]
    #[arg(long, value_name = "DIR")]
    pub(crate) run_dir: Option<PathBuf>,
    /// Print JSON instead of a table
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum GetWhat {
    /// The autoscaler: targets, bounds, replicas
    Hpa,
    /// The consumer processes
    Pods,
}

const COMPLETIONS_EXAMPLES: &str = "\
Examples:
  tidegate completions bash > /etc/bash_completion.d/tidegate
  tidegate completions zsh > ~/.zfunc/_tidegate";

#[derive(Debug, Clone, Args)]
#[command(after_help = COMPLETIONS_EXAMPLES)]
pub(crate) struct CompletionsArgs {
    #[arg(value_enum)]
    pub(crate) shell: clap_complete::Shell,
}

const MAN_EXAMPLES: &str = "\
Examples:
  tidegate man --output ./man && man ./man/tidegate-up.1";

#[derive(Debug, Clone, Args)]
#[command(after_help = MAN_EXAMPLES)]
pub(crate) struct ManArgs {
    /// Directory the pages are written to
    #[arg(long, value_name = "DIR")]
    pub(crate) output: PathBuf,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct ExecGuardedArgs {
    /// Process id of whoever starts this
    #[arg(long)]
    pub(crate) parent: u32,
    /// The program and its arguments
    #[arg(last = true, required = true)]
    pub(crate) command: Vec<OsString>,
}
