//! `tidegate up`.

use std::path::PathBuf;

use clap::Args;

use super::{CommonArgs, KafkaArgs, PodArgs};

const EXAMPLES: &str = "\
Examples:
  tidegate up                                         the demo: 10, 1,000, 5,000, then 0 msg/s
  tidegate up --rate 2000 --duration 60               a constant load for a minute
  tidegate up --profile config/profiles/spike.toml --pod-start 5
  tidegate up --scaled-object my-scaledobject.yaml --csv run.csv --json run.json
  tidegate up --dashboard                             charts in the browser while it runs
  tidegate up --html run.html                         the demo, and its charts as a page
  tidegate up --law slo --target-age 3                pods by a promised age instead of KEDA's rules
  tidegate up --replicas-path 0:1,10:6,20:12,30:2     a fixed number of pods over time
  tidegate up --brokers localhost:9092                an existing cluster
  tidegate up --database postgres://me@localhost/new  into PostgreSQL

Ends when the load is over, the backlog is gone and the pods are at zero, then audits every
record that was sent against the database. Ctrl-C drains and audits; a second one stops at once.
Kafka: --brokers, else KAFKA_HOME, else a cached copy that Maven fetches once.";

#[derive(Debug, Clone, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct UpArgs {
    #[command(flatten)]
    pub(crate) common: CommonArgs,
    #[command(flatten)]
    pub(crate) kafka: KafkaArgs,
    #[command(flatten)]
    pub(crate) pod: PodArgs,
    /// Partitions of the topic [default: 24]
    #[arg(long, value_name = "COUNT")]
    pub(crate) partitions: Option<u32>,
    /// A load profile: "demo" or a TOML or YAML file [default: demo]
    #[arg(long, value_name = "FILE")]
    pub(crate) profile: Option<String>,
    /// A constant rate instead of a profile
    #[arg(long, value_name = "PER_SECOND", conflicts_with = "profile", requires = "duration")]
    pub(crate) rate: Option<f64>,
    /// End the load after this many seconds [default: the profile's end]
    #[arg(long, value_name = "SECONDS")]
    pub(crate) duration: Option<f64>,
    /// Seed of keys, trades and arrivals [default: 1, or the profile's]
    #[arg(long, value_name = "NUMBER")]
    pub(crate) seed: Option<u64>,
    /// Who decides the pods: "stock" (KEDA and HPA by the ScaledObject) or "slo" (the least pods
    /// that keep --target-age; bounds, cooldown and names from the ScaledObject) [default: stock]
    #[arg(long, value_name = "LAW")]
    pub(crate) law: Option<String>,
    /// The promise of --law slo: 99 % of the records are stored before they are this old, seconds
    /// [default: 5]
    #[arg(long, value_name = "SECONDS")]
    pub(crate) target_age: Option<f64>,
    /// "local", "demo" (the published one) or a KEDA ScaledObject file [default: local]
    #[arg(long, value_name = "FILE")]
    pub(crate) scaled_object: Option<String>,
    /// Overrides the trigger's lagThreshold, records a pod
    #[arg(long, value_name = "RECORDS", env = "LAG_THRESHOLD")]
    pub(crate) lag_threshold: Option<u64>,
    /// A fixed schedule SECOND:PODS,... instead of an autoscaler
    #[arg(long, value_name = "PATH", conflicts_with_all = ["law", "target_age", "scaled_object", "lag_threshold"])]
    pub(crate) replicas_path: Option<String>,
    /// Where rows, dead letters and positions go [default: a new file in the run directory]
    #[arg(long, value_name = "URL", env = "TIDEGATE_DATABASE", hide_env_values = true)]
    pub(crate) database: Option<String>,
    /// A file with PostgreSQL's password [default: PGPASSWORD]
    #[arg(
        long = "database-password-file",
        value_name = "FILE",
        env = "TIDEGATE_DATABASE_PASSWORD_FILE"
    )]
    pub(crate) password_file: Option<PathBuf>,
    /// Delay a pod's start by this many seconds, as a cluster would [default: 0]
    #[arg(long, value_name = "SECONDS")]
    pub(crate) pod_start: Option<f64>,
    /// Kill a draining pod after this many seconds [default: 30]
    #[arg(long, value_name = "SECONDS")]
    pub(crate) grace_period: Option<f64>,
    /// The HPA's sync period in seconds; Kubernetes' own is 15 [default: 1]
    #[arg(long, value_name = "SECONDS")]
    pub(crate) hpa_sync_period: Option<f64>,
    /// Where everything of this run is kept [default: a new directory under the user's state directory]
    #[arg(long, value_name = "DIR")]
    pub(crate) run_dir: Option<PathBuf>,
    /// Write the report as JSON ("-" for stdout instead of the text)
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
    /// Write the per-second series as CSV; "-" is stdout, and the text goes to stderr
    #[arg(long, value_name = "FILE")]
    pub(crate) csv: Option<PathBuf>,
    /// Serve the run's charts while it goes on, to this machine only [default: a free port]
    #[arg(long, value_name = "127.0.0.1:PORT", num_args = 0..=1, default_missing_value = "127.0.0.1:0")]
    pub(crate) dashboard: Option<String>,
    /// Write the run as one page with charts; it needs no network. "-" as for --csv
    #[arg(long, value_name = "FILE")]
    pub(crate) html: Option<PathBuf>,
}
