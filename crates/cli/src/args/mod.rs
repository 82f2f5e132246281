//! What can be typed. Pure: nothing here reads a file or the network; clap
//! reads the environment variables named with each flag.
//!
//! # Layout
//! - `parse`: what was typed as a [`Cli`], or one line that says what is wrong
//! - `common`: connection, logging and config-file flags
//! - `check`, `consume`, `explain`, `produce`, `profile`, `report`, `scaler`, `tables`,
//!   `tune`, `up`, `tools`: one struct a command

mod check;
mod common;
mod consume;
mod explain;
mod parse;
mod produce;
mod profile;
mod report;
mod scaler;
mod tables;
mod tools;
mod tune;
mod up;

pub(crate) use check::CheckArgs;
pub(crate) use common::{CommonArgs, KafkaArgs, LogFormat};
pub(crate) use consume::{ConsumeArgs, PodArgs};
pub(crate) use explain::ExplainArgs;
pub(crate) use parse::parse;
pub(crate) use produce::ProduceArgs;
pub(crate) use profile::ProfileArgs;
pub(crate) use report::ReportArgs;
pub(crate) use scaler::{KubernetesArgs, ReplayArgs, ScalerArgs, ScalerCommand};
pub(crate) use tables::{
    DatabaseArgs, DeadLettersArgs, DeadLettersCommand, FilterArgs, LettersListArgs,
    LettersReplayArgs, LettersShowArgs, TableArgs, TableCheckArgs, TableCommand, TableCreateArgs,
};
pub(crate) use tools::{
    AuditArgs, CompletionsArgs, ExecGuardedArgs, GetArgs, GetWhat, LawName, ManArgs, SimulateArgs,
};
pub(crate) use tune::{AgeName, ObjectiveName, PlanArgs, TuneArgs};
pub(crate) use up::UpArgs;

use clap::{Parser, Subcommand};

const AFTER_HELP: &str = "\
Examples:
  tidegate up                              the whole loop on this machine, about four minutes
  tidegate get hpa                         what the autoscaler of the running loop sees
  tidegate produce --rate 1000 --brokers localhost:9092
  tidegate consume --brokers localhost:9092 --database sqlite:trades.db
  tidegate audit --ledger DIR --database sqlite:trades.db
  tidegate simulate --scenario config/scenarios/published.toml
  tidegate explain decisions.jsonl --at 95

Exit codes:
  0 done, every promise kept    1 failed while running    2 bad input
  3 records lost, duplicated or out of order              4 check found something
  130 interrupted";

/// Writes what arrives on Kafka into a database, each record's effect exactly
/// once, with the number of consumers always where it has to be.
#[derive(Debug, Parser)]
#[command(name = "tidegate", version, about, after_help = AFTER_HELP, max_term_width = 100)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the whole loop on this machine: load, Kafka, autoscaled consumers, database, audit
    Up(UpArgs),
    /// Write a topic's records into a database, exactly once
    Consume(ConsumeArgs),
    /// Send trades to a topic along a load profile
    Produce(ProduceArgs),
    /// Compare what was sent with what the database holds
    Audit(AuditArgs),
    /// Create the table of a mapping, or compare it
    Table(TableArgs),
    /// See and replay records that could not be stored
    DeadLetters(DeadLettersArgs),
    /// Run an autoscaler against a simulated world: a day takes a second
    Simulate(SimulateArgs),
    /// Say in plain words why an autoscaler decided what it did
    Explain(ExplainArgs),
    /// Draw a run that `--csv` kept as one HTML page
    Report(ReportArgs),
    /// Check ScaledObject, Deployment and scenario against each other
    Check(CheckArgs),
    /// Search the settings of an autoscaler for scenarios
    Tune(TuneArgs),
    /// Plan partitions, pods, database and cost for a promise
    Plan(PlanArgs),
    /// Measure a consumer pod on a real Kafka, and write the scenario
    Profile(ProfileArgs),
    /// Tell KEDA how many pods there should be: an external scaler
    Scaler(ScalerArgs),
    /// Look at the running loop
    Get(GetArgs),
    /// Print a shell's completion script
    Completions(CompletionsArgs),
    /// Write the manual pages
    Man(ManArgs),
    /// Run a command that dies with this process' parent
    #[command(hide = true)]
    ExecGuarded(ExecGuardedArgs),
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_well_formed() {
        super::Cli::command().debug_assert();
    }

    /// A database's URL may hold its password.
    #[test]
    fn no_help_shows_a_database_from_the_environment() {
        fn of(command: &clap::Command) -> usize {
            let is_url = |arg: &&clap::Arg| arg.get_env().is_some_and(|e| e == "TIDEGATE_DATABASE");
            let urls: Vec<_> = command.get_arguments().filter(is_url).collect();
            let shown = urls.iter().filter(|arg| !arg.is_hide_env_values_set());
            assert_eq!(shown.count(), 0, "{}", command.get_name());
            urls.len() + command.get_subcommands().map(of).sum::<usize>()
        }
        assert!(of(&super::Cli::command()) >= 5);
    }

    /// What a refused client setting names is a flag, or at least a key of a file, or a variable.
    #[test]
    fn what_a_refused_setting_names_is_there() {
        let defaults = include_str!("../../../../config/default.toml");
        let defaults: toml::Table = defaults.parse().expect("TOML");
        let is_key = |name: &str| {
            ["kafka", "consume", "produce"]
                .iter()
                .any(|section| defaults[*section].get(name).is_some())
        };
        let mut command = super::Cli::command();
        let consume = command.find_subcommand_mut("consume").expect("consume");
        let help = consume.render_long_help().to_string();
        let is_flag = |name: &str| {
            let flag = name.replace('_', "-");
            consume.get_arguments().any(|arg| arg.get_long() == Some(&flag))
        };
        let settings: Vec<_> = tidegate_kafka::refused_settings().collect();
        assert!(settings.len() > 50);
        for (key, options) in settings {
            for name in options {
                let is_there = is_flag(name) || is_key(name) || help.contains(&format!("{name}]"));
                assert!(is_there, "{key}: there is no {name}");
            }
            let connection = tidegate_kafka::ConnectionOptions {
                librdkafka: [(key.to_owned(), "x".to_owned())].into(),
                ..Default::default()
            };
            let said = connection.validate().expect_err(key).to_string();
            assert!(options.iter().all(|name| said.contains(name)), "{said}");
        }
    }

    #[test]
    fn every_command_that_users_see_has_examples() {
        for command in super::Cli::command().get_subcommands().filter(|c| !c.is_hide_set()) {
            let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            assert!(help.contains("Examples:"), "{} has no examples", command.get_name());
        }
    }
}
