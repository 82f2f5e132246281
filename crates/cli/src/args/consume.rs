//! `tidegate consume`.

use std::path::PathBuf;

use clap::Args;

use super::{CommonArgs, KafkaArgs};
use crate::config::BatchSize;

const EXAMPLES: &str = "\
Examples:
  tidegate consume --brokers localhost:9092 --database sqlite:trades.db
  tidegate consume --database 'postgres://me@db/trades?sslmode=verify-full' --batch-size 10000
  tidegate consume --mapping config/tables/trade.toml --database postgres://me@db/trades
  tidegate consume --database postgres://me@db/trades --database-connections 4
  tidegate consume --database postgres://me@db/trades --dead-letter-topic trade-tx-dead
  tidegate consume --database none --metrics-addr off   reads and decodes, and drops
  tidegate consume --batch-size 1000 --batch-timeout-seconds 0.5
  KAFKA_BOOTSTRAP_SERVERS=localhost:9092 BATCH_SIZE=100 BATCH_PROCESSING_TIME=1 tidegate consume
  tidegate consume --log-format json --metrics-addr 0.0.0.0:8000
  KAFKA_SASL_PASSWORD=... tidegate consume --sasl-mechanism SCRAM-SHA-512 --sasl-username me
  AWS_REGION=eu-west-1 tidegate consume --brokers b-1...:9098 --sasl-mechanism AWS_MSK_IAM

Stops on SIGTERM or Ctrl-C: finishes the batch in flight, commits, leaves the group, exits 0.
A second Ctrl-C ends it at once; the database stays consistent.";

#[derive(Debug, Clone, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct ConsumeArgs {
    #[command(flatten)]
    pub(crate) common: CommonArgs,
    #[command(flatten)]
    pub(crate) kafka: KafkaArgs,
    #[command(flatten)]
    pub(crate) pod: PodArgs,
    /// Where rows, dead letters and positions go; "none" decodes and drops, to measure reading
    /// [default: sqlite:tidegate.db]
    // A URL may carry a password: --help never shows the variable's value.
    #[arg(long, value_name = "URL", env = "TIDEGATE_DATABASE", hide_env_values = true)]
    pub(crate) database: Option<String>,
    /// A file with PostgreSQL's password [default: PGPASSWORD]
    #[arg(
        long = "database-password-file",
        value_name = "FILE",
        env = "TIDEGATE_DATABASE_PASSWORD_FILE"
    )]
    pub(crate) password_file: Option<PathBuf>,
    /// Static membership: an id only this consumer has, kept over restarts
    #[arg(long, value_name = "ID", env = "TIDEGATE_INSTANCE_ID")]
    pub(crate) instance_id: Option<String>,
    /// What SIGTERM means to the group: auto, leave or stay [default: auto = stay with an
    /// instance id]
    #[arg(long, value_name = "WHAT")]
    pub(crate) on_terminate: Option<String>,
    /// Rack (availability zone id) of this consumer, to read from a near replica
    #[arg(long, value_name = "RACK", env = "TIDEGATE_CLIENT_RACK")]
    pub(crate) client_rack: Option<String>,
    /// What the platform grants between SIGTERM and SIGKILL; only checked [default: 30]
    #[arg(long, value_name = "SECONDS", env = "TIDEGATE_GRACE_PERIOD")]
    pub(crate) grace_period: Option<f64>,
    /// Which JSON fields become which columns (TOML, YAML) [default: the trades]
    #[arg(long, value_name = "FILE", env = "TIDEGATE_MAPPING")]
    pub(crate) mapping: Option<PathBuf>,
    /// A topic that gets dead letters as well as the table, at least once [default: none]
    #[arg(long, value_name = "TOPIC", env = "TIDEGATE_DEAD_LETTER_TOPIC")]
    pub(crate) dead_letter_topic: Option<String>,
    /// Where /metrics, /healthz, /readyz listen, or "off" [default: 127.0.0.1:8000]
    #[arg(long, value_name = "HOST:PORT", env = "TIDEGATE_METRICS_ADDR")]
    pub(crate) metrics_addr: Option<String>,
    /// Print one JSON line a second about this consumer on stdout
    #[arg(long)]
    pub(crate) report: bool,
    /// Drain and exit when stdin closes: for a supervisor that holds the pipe
    #[arg(long)]
    pub(crate) exit_on_stdin_close: bool,
}

/// What shapes a consumer's work; `tidegate up` passes the same to its pods.
#[derive(Debug, Clone, Args)]
pub(crate) struct PodArgs {
    /// Consumer group [default: tx-trade-workers]
    #[arg(long, value_name = "NAME", env = "CONSUMER_GROUP")]
    pub(crate) group: Option<String>,
    /// auto, consumer (KIP-848) or classic [default: auto]
    #[arg(long, value_name = "PROTOCOL")]
    pub(crate) protocol: Option<String>,
    /// Records a batch, or "auto": what the database's writes cost decides [default: auto; `up`: 100]
    #[arg(long, value_name = "RECORDS", env = "BATCH_SIZE")]
    pub(crate) batch_size: Option<BatchSize>,
    /// A batch of automatic size shall not take longer to write [default: 2]
    #[arg(long, value_name = "SECONDS", env = "TIDEGATE_BATCH_LATENCY_TARGET")]
    pub(crate) batch_latency_target: Option<f64>,
    /// A batch closes when its first record has waited this long [default: 0.1]
    #[arg(long, value_name = "SECONDS", env = "BATCH_TIMEOUT_SECONDS")]
    pub(crate) batch_timeout_seconds: Option<f64>,
    /// Connections to PostgreSQL, and so writes at once, 1 to 64 [default: 1]
    #[arg(long, value_name = "COUNT", env = "TIDEGATE_DATABASE_CONNECTIONS")]
    pub(crate) database_connections: Option<u64>,
    /// PostgreSQL is reached through a pooler in transaction mode (PgBouncer)
    #[arg(long = "database-pooler")]
    pub(crate) database_pooler: bool,
    /// Simulated work on each record [default: 0]
    #[arg(long, value_name = "SECONDS", env = "MESSAGE_PROCESSING_TIME")]
    pub(crate) message_processing_time: Option<f64>,
    /// Simulated database write of a batch [default: 0; `up`: 0.2]
    #[arg(long, value_name = "SECONDS", env = "BATCH_PROCESSING_TIME")]
    pub(crate) batch_processing_time: Option<f64>,
}
