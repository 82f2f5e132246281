//! `tidegate tune` and `tidegate plan`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::LawName;

const TUNE_EXAMPLES: &str = "\
Examples:
  tidegate tune --scenario config/scenarios/published.toml --output tuned.yaml
  tidegate tune --scenario spike.toml --scenario diurnal.toml --objective cost --target-age 20
  tidegate tune --scenario spike.toml --objective age --max-pod-seconds 40000
  tidegate tune --scenario spike.toml --law slo --json | jq .front
  tidegate tune --scenario spike.toml --checkpoint tune.json    Ctrl-C, and later the same again

Searches settings of a ScaledObject (or of the slo law) over scenarios and seeds, and writes the
best manifest, with what its neighbours would do as comments. The same scenarios, seed and number
of configurations give the same answer, with any number of threads, interrupted or not.
A configuration counts when it was simulated to the end on every scenario with at least one seed.
Ctrl-C writes the best so far and exits with 130. Exits 3 when nothing that was found keeps the
bound of the objective; what comes nearest is written.";

#[derive(Debug, Clone, Args)]
#[command(after_help = TUNE_EXAMPLES)]
pub(crate) struct TuneArgs {
    /// Traffic and world, TOML or YAML; repeatable
    #[arg(long, value_name = "FILE", required = true)]
    pub(crate) scenario: Vec<PathBuf>,
    /// What to begin with, names and connection stay: "local", "demo" or a file
    #[arg(long, value_name = "NAME|FILE", default_value = "demo")]
    pub(crate) scaled_object: String,
    /// Whose settings
    #[arg(long, value_enum, default_value_t = LawName::Stock)]
    pub(crate) law: LawName,
    /// What is best
    #[arg(long, value_enum, default_value_t = ObjectiveName::Balanced)]
    pub(crate) objective: ObjectiveName,
    /// With --objective cost: the age to keep, seconds
    #[arg(long, value_name = "SECONDS", required_if_eq("objective", "cost"))]
    pub(crate) target_age: Option<f64>,
    /// With --objective age: what it may cost, pod-seconds of all scenarios together
    #[arg(long, value_name = "POD_SECONDS")]
    pub(crate) max_pod_seconds: Option<f64>,
    /// Which age counts
    #[arg(long, value_enum, default_value_t = AgeName::P99)]
    pub(crate) age: AgeName,
    /// Configurations to evaluate
    #[arg(long, value_name = "COUNT", default_value_t = 10_000, value_parser = clap::value_parser!(u64).range(1..=10_000_000))]
    pub(crate) configurations: u64,
    /// Seeds of each simulation; the first decides who meets the others
    #[arg(long, value_name = "COUNT", default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..=100))]
    pub(crate) seeds: u64,
    /// Seed of the search
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
    /// Threads [default: one a core]
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u64).range(1..=1024))]
    pub(crate) threads: Option<u64>,
    /// Keep the search's state here after each generation, and go on from it
    #[arg(long, value_name = "FILE")]
    pub(crate) checkpoint: Option<PathBuf>,
    /// Write the manifest here instead of to stdout
    #[arg(long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    /// Print choice and front as JSON; the manifest goes to --output only
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ObjectiveName {
    /// The lowest age, within --max-pod-seconds
    Age,
    /// The lowest cost that keeps --target-age
    Cost,
    /// The lowest product of age and cost
    Balanced,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum AgeName {
    /// The age that 99 % of the records do not exceed
    P99,
    /// The age of the oldest
    Max,
}

const PLAN_EXAMPLES: &str = "\
Examples:
  tidegate plan --scenario config/scenarios/spike.toml --slo 60
  tidegate plan --scenario spike.toml --slo 30 --price 0.04 --sink-rows 20000 --sink-commits 500
  tidegate plan --scenario spike.toml --slo 30 --partitions 48 --max-pods 24
  tidegate plan --scenario spike.toml --slo 30 --json | jq '.binding, .pod_hours'

Partitions, pods over time, what the database has to take, new connections, cost, and the limit
that binds. Each answer was simulated with the slo law and all seeds before it is printed.
Exits 0 when the promise is kept in the simulation, 3 when it is not.";

#[derive(Debug, Clone, Args)]
#[command(after_help = PLAN_EXAMPLES)]
pub(crate) struct PlanArgs {
    /// Traffic and world, TOML or YAML
    #[arg(long, value_name = "FILE")]
    pub(crate) scenario: PathBuf,
    /// The promise: 99 % of the records are stored within this time
    #[arg(long, value_name = "SECONDS", visible_alias = "target-age")]
    pub(crate) slo: f64,
    /// Names, minReplicaCount and cooldown: "local", "demo" or a file
    #[arg(long, value_name = "NAME|FILE", default_value = "demo")]
    pub(crate) scaled_object: String,
    /// Partitions, when they are not to be chosen
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(crate) partitions: Option<u32>,
    /// Most pods
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(i32).range(1..=10_000))]
    pub(crate) max_pods: Option<i32>,
    /// Rows a second that the database takes
    #[arg(long, value_name = "PER_SECOND")]
    pub(crate) sink_rows: Option<f64>,
    /// Commits a second that the database takes
    #[arg(long, value_name = "PER_SECOND")]
    pub(crate) sink_commits: Option<f64>,
    /// New connections a second that a broker accepts (20 with AWS MSK IAM)
    #[arg(long, value_name = "PER_SECOND", default_value_t = tidegate_plan::plan::IAM_CONNECTIONS_PER_S)]
    pub(crate) connections: f64,
    /// Price of a pod for an hour
    #[arg(long, value_name = "AMOUNT")]
    pub(crate) price: Option<f64>,
    /// Seeds of each simulation
    #[arg(long, value_name = "COUNT", default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..=100))]
    pub(crate) seeds: u64,
    /// List all that was tried
    #[arg(long)]
    pub(crate) verbose: bool,
    /// Print the plan as JSON
    #[arg(long)]
    pub(crate) json: bool,
}
