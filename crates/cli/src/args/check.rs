//! `tidegate check`.

use std::path::PathBuf;

use clap::Args;

const EXAMPLES: &str = "\
Examples:
  tidegate check my-scaledobject.yaml
  tidegate check manifests/*.yaml --scenario scenario.toml --target-age 10
  tidegate check my-scaledobject.yaml --partitions 24 --pod-rate 500
  helm template deploy/helm/tidegate | tidegate check -
  tidegate check my-scaledobject.yaml --json | jq -r '.findings[].rule'
  tidegate check manifests/*.yaml --deny-warnings --sarif check.sarif
  tidegate check --explain TG020

Files are YAML with any number of documents (ScaledObject, Deployment, PodDisruptionBudget,
Service) or scenarios (TOML); what belongs together is checked against each other.

Exits 0 when there is no error (with --deny-warnings: and no warning), 4 when there is, 2 when
a file cannot be read. Rules: docs/rules/README.md.";

#[derive(Debug, Clone, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct CheckArgs {
    /// Manifests and scenarios; "-" is standard input
    #[arg(value_name = "FILE", required_unless_present_any = ["explain", "scenario"])]
    pub(crate) files: Vec<PathBuf>,
    /// A scenario file more, repeatable (it may as well be among FILE)
    #[arg(long, value_name = "FILE")]
    pub(crate) scenario: Vec<PathBuf>,
    /// Partitions of the topic [default: the scenario's]
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(crate) partitions: Option<u32>,
    /// Records a second one pod does [default: from the scenario, or BATCH_SIZE and
    /// BATCH_PROCESSING_TIME of the Deployment]
    #[arg(long, value_name = "PER_SECOND")]
    pub(crate) pod_rate: Option<f64>,
    /// How old a record may get before it is stored [default: 10]
    #[arg(long, value_name = "SECONDS")]
    pub(crate) target_age: Option<f64>,
    /// Leave out a rule, repeatable
    #[arg(long, value_name = "RULE")]
    pub(crate) allow: Vec<String>,
    /// Exit with 4 on warnings too
    #[arg(long)]
    pub(crate) deny_warnings: bool,
    /// Print the findings as JSON
    #[arg(long)]
    pub(crate) json: bool,
    /// Write the findings as SARIF 2.1.0
    #[arg(long, value_name = "FILE")]
    pub(crate) sarif: Option<PathBuf>,
    /// Print the page of a rule
    #[arg(long, value_name = "RULE", conflicts_with_all = ["files", "json", "sarif"])]
    pub(crate) explain: Option<String>,
}
