//! `tidegate explain`.

use clap::Args;

const EXAMPLES: &str = "\
Examples:
  tidegate explain decisions.jsonl                 the last decision that changed something
  tidegate explain decisions.jsonl --at 95         the one in force 95 s after the first
  tidegate explain decisions.jsonl --changes       every change, a line each
  tidegate explain http://127.0.0.1:8000 --name trades/orders
  kubectl logs deploy/tidegate-scaler | tidegate explain - --name trades/orders
  tidegate simulate --scenario config/scenarios/spike.toml --law slo --decisions d.jsonl &&
    tidegate explain d.jsonl --at 305

`tidegate up` keeps decisions.jsonl in its run directory. A live scaler is asked over HTTP; the log of one
with --log-format json holds every decision that changed something.";

#[derive(Debug, Clone, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct ExplainArgs {
    /// A decisions.jsonl, the log of a scaler (JSON), "-" for standard input, or http://HOST:PORT of a scaler
    #[arg(value_name = "FILE|URL")]
    pub(crate) source: String,
    /// The decision in force this many seconds after the first one
    #[arg(long, value_name = "SECONDS", conflicts_with = "changes")]
    pub(crate) at: Option<f64>,
    /// One line for every decision that changed something
    #[arg(long)]
    pub(crate) changes: bool,
    /// Which ScaledObject of a scaler
    #[arg(long, value_name = "NAMESPACE/NAME")]
    pub(crate) name: Option<String>,
    /// Print the decision as it was logged, as JSON
    #[arg(long)]
    pub(crate) json: bool,
}
