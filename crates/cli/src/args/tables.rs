//! `tidegate table` and `tidegate dead-letters`; the database of every tool.

use std::path::PathBuf;

use clap::{Args, Subcommand};

/// A database, and how to reach it.
#[derive(Debug, Clone, Args)]
pub(crate) struct DatabaseArgs {
    /// sqlite:PATH or postgres://USER@HOST/DATABASE
    // A URL may carry a password: --help never shows the variable's value.
    #[arg(long, value_name = "URL", env = "TIDEGATE_DATABASE", hide_env_values = true)]
    pub(crate) database: String,
    /// A file with PostgreSQL's password [default: PGPASSWORD]
    #[arg(
        long = "database-password-file",
        value_name = "FILE",
        env = "TIDEGATE_DATABASE_PASSWORD_FILE"
    )]
    pub(crate) password_file: Option<PathBuf>,
    /// PostgreSQL is reached through a pooler in transaction mode (PgBouncer)
    #[arg(long = "database-pooler")]
    pub(crate) pooler: bool,
}

const TABLE_EXAMPLES: &str = "\
Examples:
  tidegate table create --mapping orders.toml --database postgres://me@db/shop
  tidegate table create --mapping orders.toml --database postgres://me@db/shop --apply
  tidegate table check --mapping orders.toml --database postgres://me@db/shop

Exit codes: 0 the table fits, 1 it does not (one line for each column), 2 bad input.";

#[derive(Debug, Clone, Args)]
#[command(after_help = TABLE_EXAMPLES)]
pub(crate) struct TableArgs {
    #[command(subcommand)]
    pub(crate) what: TableCommand,
}

#[derive(Debug, Clone, Subcommand)]
pub(crate) enum TableCommand {
    /// Print the SQL that makes the tables, or run it
    #[command(after_help = TABLE_EXAMPLES)]
    Create(TableCreateArgs),
    /// Compare the real table with the mapping, column by column
    #[command(after_help = TABLE_EXAMPLES)]
    Check(TableCheckArgs),
}

#[derive(Debug, Clone, Args)]
pub(crate) struct TableCreateArgs {
    #[command(flatten)]
    pub(crate) database: DatabaseArgs,
    /// Which JSON fields become which columns (TOML, YAML) [default: the trades]
    #[arg(long, value_name = "FILE", env = "TIDEGATE_MAPPING")]
    pub(crate) mapping: Option<PathBuf>,
    /// Run the SQL instead of printing it
    #[arg(long)]
    pub(crate) apply: bool,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct TableCheckArgs {
    #[command(flatten)]
    pub(crate) database: DatabaseArgs,
    /// Which JSON fields become which columns (TOML, YAML) [default: the trades]
    #[arg(long, value_name = "FILE", env = "TIDEGATE_MAPPING")]
    pub(crate) mapping: Option<PathBuf>,
    /// Print the differences as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

const LETTERS_EXAMPLES: &str = "\
Examples:
  tidegate dead-letters list --database sqlite:trades.db
  tidegate dead-letters list --database postgres://me@db/trades --reason bad_json --since 2026-01-31T00:00:00Z
  tidegate dead-letters show 17 --database sqlite:trades.db
  tidegate dead-letters replay --database sqlite:trades.db --reason rejected_by_database
  tidegate dead-letters list --database sqlite:trades.db --json | jq -r .reason_code | sort | uniq -c

A replay stores a letter's row and removes the letter in one transaction. What is refused
again stays, with the new reason; then the exit code is 1.";

#[derive(Debug, Clone, Args)]
#[command(after_help = LETTERS_EXAMPLES)]
pub(crate) struct DeadLettersArgs {
    #[command(subcommand)]
    pub(crate) what: DeadLettersCommand,
}

#[derive(Debug, Clone, Subcommand)]
pub(crate) enum DeadLettersCommand {
    /// One line for each dead letter
    #[command(after_help = LETTERS_EXAMPLES)]
    List(LettersListArgs),
    /// Everything about one dead letter
    #[command(after_help = LETTERS_EXAMPLES)]
    Show(LettersShowArgs),
    /// Decode and store the records again
    #[command(after_help = LETTERS_EXAMPLES)]
    Replay(LettersReplayArgs),
}

/// Which dead letters.
#[derive(Debug, Clone, Args)]
pub(crate) struct FilterArgs {
    /// A reason's code, for example bad_json
    #[arg(long, value_name = "CODE")]
    pub(crate) reason: Option<String>,
    /// Topic of the record
    #[arg(long, value_name = "NAME")]
    pub(crate) topic: Option<String>,
    /// Written at or after this time, for example 2026-01-31T12:00:00Z
    #[arg(long, value_name = "TIME")]
    pub(crate) since: Option<jiff::Timestamp>,
    /// Written before this time
    #[arg(long, value_name = "TIME")]
    pub(crate) until: Option<jiff::Timestamp>,
    /// At most so many, the oldest first
    #[arg(long, value_name = "LETTERS")]
    pub(crate) limit: Option<u64>,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct LettersListArgs {
    #[command(flatten)]
    pub(crate) database: DatabaseArgs,
    #[command(flatten)]
    pub(crate) filter: FilterArgs,
    /// Print one JSON object a line
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct LettersShowArgs {
    /// Number of the dead letter
    pub(crate) id: i64,
    #[command(flatten)]
    pub(crate) database: DatabaseArgs,
    /// Print it as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct LettersReplayArgs {
    /// Numbers of the dead letters [default: all that the filter chooses]
    pub(crate) ids: Vec<i64>,
    #[command(flatten)]
    pub(crate) database: DatabaseArgs,
    #[command(flatten)]
    pub(crate) filter: FilterArgs,
    /// Replay letters of several topics into the one table
    #[arg(long, conflicts_with = "topic")]
    pub(crate) all_topics: bool,
    /// Which JSON fields become which columns (TOML, YAML) [default: the trades]
    #[arg(long, value_name = "FILE", env = "TIDEGATE_MAPPING")]
    pub(crate) mapping: Option<PathBuf>,
    /// Print what was done as JSON
    #[arg(long)]
    pub(crate) json: bool,
}
