//! `tidegate produce`.

use std::path::PathBuf;

use clap::Args;

use super::{CommonArgs, KafkaArgs};

const EXAMPLES: &str = "\
Examples:
  tidegate produce --rate 1000 --brokers localhost:9092
  tidegate produce --profile demo --ledger ./ledger
  tidegate produce --profile config/profiles/spike.toml --seed 7
  tidegate produce --rate max --records 5000000
  MESSAGES_PER_SECOND=10 KAFKA_TOPIC=trade-tx tidegate produce

The generator is open-loop: a record's timestamp is when it should have been sent, so a
stalled producer cannot hide delay. Rate 0 pauses (nothing is sent) until stopped.";

#[derive(Debug, Clone, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct ProduceArgs {
    #[command(flatten)]
    pub(crate) common: CommonArgs,
    #[command(flatten)]
    pub(crate) kafka: KafkaArgs,
    /// Records a second, at a constant rate, or "max": as fast as possible, without a
    /// schedule [default: 0 = paused]
    #[arg(long, value_name = "PER_SECOND", env = "MESSAGES_PER_SECOND", value_parser = rate)]
    pub(crate) rate: Option<f64>,
    /// With --rate max: stop after this many records [default: no bound]
    #[arg(long, value_name = "COUNT", requires = "rate")]
    pub(crate) records: Option<u64>,
    /// A load profile: "demo" or a TOML or YAML file (not with --rate)
    #[arg(long, value_name = "FILE", conflicts_with = "rate")]
    pub(crate) profile: Option<String>,
    /// Stop after this many seconds [default: the profile's end, or never]
    #[arg(long, value_name = "SECONDS")]
    pub(crate) duration: Option<f64>,
    /// Seed of keys, trades and arrivals [default: 1, or the profile's]
    #[arg(long, value_name = "NUMBER")]
    pub(crate) seed: Option<u64>,
    /// Record what was acknowledged in this new directory, for `tidegate audit`
    #[arg(long, value_name = "DIR")]
    pub(crate) ledger: Option<PathBuf>,
    /// Where /metrics, /healthz, /readyz listen, or "off" [default: 127.0.0.1:8001]
    #[arg(long, value_name = "HOST:PORT", env = "TIDEGATE_METRICS_ADDR")]
    pub(crate) metrics_addr: Option<String>,
    /// Print one JSON line a second about this producer on stdout
    #[arg(long)]
    pub(crate) report: bool,
    /// Flush and exit when stdin closes: for a supervisor that holds the pipe
    #[arg(long)]
    pub(crate) exit_on_stdin_close: bool,
}

/// `max` is infinite.
fn rate(text: &str) -> Result<f64, String> {
    match text {
        "max" => Ok(f64::INFINITY),
        _ => text.parse().map_err(|_| "allowed is max, or a number of records a second".into()),
    }
}
