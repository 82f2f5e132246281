//! The command lines of producer and pods: this binary, with what `tidegate up` was told.
//!
//! Contract: the database's password is in the pods' environment and on no command line,
//! which every user of the machine can read.

use std::ffi::OsString;
use std::path::PathBuf;

use tidegate_local::pods::CommandTemplate;

use crate::args::UpArgs;
use crate::config::Config;

/// What a run passes to its children.
pub(super) struct Files {
    pub(super) profile: PathBuf,
    pub(super) ledger: PathBuf,
    pub(super) database_url: String,
    pub(super) database_password: Option<OsString>,
}

pub(super) fn producer(
    args: &UpArgs,
    config: &Config,
    files: &Files,
) -> anyhow::Result<CommandTemplate> {
    let mut command = own_command(args, "produce")?;
    command.args.extend(kafka_flags(config));
    command.args.extend(flags([
        ("--profile", files.profile.clone().into_os_string()),
        ("--ledger", files.ledger.clone().into_os_string()),
        ("--metrics-addr", "off".into()),
    ]));
    Ok(command)
}

pub(super) fn consumer(
    args: &UpArgs,
    config: &Config,
    files: &Files,
) -> anyhow::Result<CommandTemplate> {
    let mut command = own_command(args, "consume")?;
    let consume = &config.consume;
    command.args.extend(kafka_flags(config));
    command.args.extend(flags([
        ("--group", consume.group.clone().into()),
        ("--protocol", consume.protocol.clone().into()),
        ("--batch-size", consume.batch_size.to_string().into()),
        ("--batch-latency-target", consume.batch_latency_target_s.to_string().into()),
        ("--batch-timeout-seconds", consume.batch_timeout_s.to_string().into()),
        ("--database-connections", consume.database_connections.to_string().into()),
        ("--message-processing-time", consume.message_processing_time_s.to_string().into()),
        ("--batch-processing-time", config.up.batch_processing_time_s.to_string().into()),
        ("--database", files.database_url.clone().into()),
        ("--metrics-addr", "127.0.0.1:0".into()),
    ]));
    if consume.database_pooler {
        command.args.push("--database-pooler".into());
    }
    command.env.extend(files.database_password.clone().map(|word| ("PGPASSWORD".into(), word)));
    Ok(command)
}

/// This binary with a command, its reports on stdout and its life tied to ours.
fn own_command(args: &UpArgs, command: &str) -> anyhow::Result<CommandTemplate> {
    let mut words: Vec<OsString> =
        vec![command.into(), "--report".into(), "--exit-on-stdin-close".into()];
    words.extend(flags([("--brokers", "{brokers}".into())]));
    if let Some(config) = &args.common.config {
        words.extend(flags([("--config", config.clone().into_os_string())]));
    }
    for (_, flag, value) in args.kafka.security.values() {
        words.extend(value.into_iter().flat_map(|value| [flag.into(), OsString::from(value)]));
    }
    for (key, value) in &args.kafka.kafka_config {
        words.extend(flags([("--kafka-config", format!("{key}={value}").into())]));
    }
    Ok(CommandTemplate {
        program: std::env::current_exe()?,
        args: words,
        // Flags say everything; a variable must not add a conflicting one.
        env_remove: vec!["MESSAGES_PER_SECOND".into()],
        ..CommandTemplate::default()
    })
}

fn kafka_flags(config: &Config) -> Vec<OsString> {
    flags([("--topic", config.kafka.topic.clone().into())])
}

fn flags<const N: usize>(pairs: [(&str, OsString); N]) -> Vec<OsString> {
    pairs.into_iter().flat_map(|(flag, value)| [OsString::from(flag), value]).collect()
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::super::resolve;
    use super::*;
    use crate::args::{Cli, Command};

    #[test]
    fn pods_are_told_of_a_pooler() {
        let line = |flags: &[&str]| {
            let Command::Up(args) = Cli::parse_from(["tidegate", "up"].iter().chain(flags)).command
            else {
                panic!("another command")
            };
            let config = resolve(&args).expect("configuration");
            let files = Files {
                profile: "profile.toml".into(),
                ledger: "ledger".into(),
                database_url: "postgres://me@db/x".into(),
                database_password: None,
            };
            consumer(&args, &config, &files).expect("a command").args
        };
        let pooler = OsString::from("--database-pooler");
        assert!(line(&["--database-pooler"]).contains(&pooler));
        assert!(!line(&[]).contains(&pooler));
    }
}
