//! The smaller commands.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, ValueEnum};

const AUDIT_EXAMPLES: &str = "\
Examples:
  tidegate audit --ledger ./ledger --database sqlite:trades.db
  tidegate audit --ledger ./ledger --database sqlite:trades.db --json | jq .lost
  tidegate audit --ledger ./ledger --database postgres://me@db/trades

Exits 0 when nothing was lost, duplicated or reordered, 3 when something was.";

#[derive(Debug, Clone, Args)]
#[command(after_help = AUDIT_EXAMPLES)]
pub(crate) struct AuditArgs {
    /// The ledger that `produce --ledger` or `up` wrote
    #[arg(long, value_name = "DIR")]
    pub(crate) ledger: PathBuf,
    /// The database that `consume` or `up` wrote
    #[arg(long, value_name = "URL", env = "TIDEGATE_DATABASE")]
    pub(crate) database: String,
    /// A file with PostgreSQL's password [default: PGPASSWORD]
    #[arg(
        long = "database-password-file",
        value_name = "FILE",
        env = "TIDEGATE_DATABASE_PASSWORD_FILE"
    )]
    pub(crate) password_file: Option<PathBuf>,
    /// Print the result as JSON
    #[arg(long)]
    pub(crate) json: bool,
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
