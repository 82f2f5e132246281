//! `tidegate report`.

use std::path::PathBuf;

use clap::Args;

const EXAMPLES: &str = "\
Examples:
  tidegate report run.csv                             writes run.html beside it
  tidegate report run.csv --output page.html --promise 5
  tidegate simulate --scenario config/scenarios/spike.toml --html spike.html   without the detour

The page asks the network for nothing.";

#[derive(Debug, Clone, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct ReportArgs {
    /// A series that `simulate --csv` or `up --csv` wrote
    #[arg(value_name = "FILE")]
    pub(crate) series: PathBuf,
    /// The page [default: FILE with the ending html]
    #[arg(long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    /// The promised age, drawn as a line
    #[arg(long, value_name = "SECONDS")]
    pub(crate) promise: Option<f64>,
}
