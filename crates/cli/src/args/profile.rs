//! `tidegate profile`.

use std::path::PathBuf;

use clap::Args;

use super::{CommonArgs, KafkaArgs, PodArgs};

const EXAMPLES: &str = "\
Examples:
  tidegate profile --output scenario.toml                 a broker of its own, SQLite
  tidegate profile --brokers kafka:9092 --database postgres://me@db/scratch --output scenario.toml
  tidegate profile --batch-size 1000 --sizes 1,10,100,1000,5000
  tidegate profile --quick --output scenario.toml         half a minute instead of two
  tidegate simulate --scenario scenario.toml

Measures one consumer pod: batch service curve, highest rate, ramp-up, start, rebalance; writes
the scenario that `simulate`, `tune`, `plan` and `check` read. It creates topics of its own,
named tidegate-profile-..., and deletes them; the rows it writes into --database stay.
Ctrl-C stops pods and broker and writes nothing.";

#[derive(Debug, Clone, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct ProfileArgs {
    #[command(flatten)]
    pub(crate) common: CommonArgs,
    #[command(flatten)]
    pub(crate) kafka: KafkaArgs,
    #[command(flatten)]
    pub(crate) pod: PodArgs,
    /// Partitions of the topics it creates
    #[arg(long, value_name = "COUNT", default_value_t = 12, value_parser = clap::value_parser!(u32).range(4..=1000))]
    pub(crate) partitions: u32,
    /// Batch sizes at which the service curve is measured [default: 1, 10, 100, 1000 and --batch-size]
    #[arg(long, value_name = "RECORDS,...", value_delimiter = ',', value_parser = clap::value_parser!(u64).range(1..=100_000))]
    pub(crate) sizes: Vec<u64>,
    /// Where rows go [default: a SQLite file each step]; use a scratch database
    #[arg(long, value_name = "URL", env = "TIDEGATE_DATABASE", hide_env_values = true)]
    pub(crate) database: Option<String>,
    /// A file with PostgreSQL's password [default: PGPASSWORD]
    #[arg(
        long = "database-password-file",
        value_name = "FILE",
        env = "TIDEGATE_DATABASE_PASSWORD_FILE"
    )]
    pub(crate) password_file: Option<PathBuf>,
    /// Two seconds a step instead of eight, fewer sizes: less exact
    #[arg(long)]
    pub(crate) quick: bool,
    /// Write the scenario here instead of to stdout
    #[arg(long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    /// Print the measurements as JSON; the scenario goes to --output only
    #[arg(long)]
    pub(crate) json: bool,
    /// Where broker, databases and logs are kept [default: a new directory under the user's state directory]
    #[arg(long, value_name = "DIR")]
    pub(crate) run_dir: Option<PathBuf>,
}
