//! `tidegate profile`: measures a pod, writes a scenario.

use std::ffi::OsString;
use std::path::Path;
use std::time::Duration;

use tidegate_load::audit::Database;
use tidegate_local::pods::CommandTemplate;
use tidegate_local::world::RunDir;
use tidegate_measure::{Measuring, Options, scenario};
use tidegate_sim::Scenario;

use super::{outputs, parts};
use crate::args::ProfileArgs;
use crate::config::{BatchSize, Config, Layers};
use crate::exit::{Outcome, bad_input};
use crate::logging;
use crate::signals::StopSignals;

/// Seconds of a step.
const WINDOW_S: u64 = 8;
const QUICK_WINDOW_S: u64 = 2;
/// The simulator knows fixed sizes only: this one where none is given.
const UNSAID_BATCH_SIZE: u64 = 100;

pub(super) fn run(args: &ProfileArgs) -> anyhow::Result<Outcome> {
    let inputs: Vec<_> =
        args.common.config.iter().map(|file| ("--config", file.as_path())).collect();
    outputs::can_write(&inputs, [("--output", args.output.as_ref())])?;
    can_be_read_back(args.output.as_deref())?;
    let config = resolve(args)?;
    let database = args.database.as_deref();
    let password_file = &config.consume.database_password_file;
    let database = database.map(|url| parts::database(url, Some(password_file))).transpose()?;
    logging::init(args.common.log_format);
    let run_dir = RunDir::prepare(args.run_dir.clone())?;
    let options = options(args, &config, &run_dir, database.as_ref())?;
    let mut say = |line: &str| tracing::info!("{line}");
    let measuring = Measuring::start(options.clone(), &mut say)?;
    let is_own_broker = args.kafka.brokers.is_none();
    let measured = parts::runtime()?.block_on(async {
        let mut signals = StopSignals::install()?;
        tokio::select! {
            measured = measuring.run(&mut say) => Ok::<_, anyhow::Error>(Some(measured?)),
            name = signals.next() => {
                tracing::warn!("{name}: stopping, nothing is written");
                Ok(None)
            }
        }
    })?;
    // Outside the runtime: topics and broker go.
    drop(measuring);
    let Some(measured) = measured else { return Ok(Outcome::Interrupted) };
    let text = scenario::toml(&measured, &options, is_own_broker);
    Scenario::from_text("profile.toml", &text)
        .map_err(|error| anyhow::anyhow!("what was measured is no scenario: {error}"))?;
    if let Some(path) = &args.output {
        std::fs::write(path, &text)
            .map_err(|error| anyhow::anyhow!("--output {}: {error}", path.display()))?;
        tracing::info!("try it: tidegate simulate --scenario {}", path.display());
    }
    if args.json {
        anstream::println!("{}", serde_json::to_string_pretty(&measured)?);
    } else if args.output.is_none() {
        anstream::print!("{text}");
    }
    Ok(Outcome::Done)
}

fn resolve(args: &ProfileArgs) -> anyhow::Result<Config> {
    let mut layers = Layers::read(args.common.config.as_deref())?;
    parts::lay_kafka(&mut layers, &args.kafka)?;
    parts::lay_pod(&mut layers, &args.pod)?;
    layers.set(
        "consume",
        "batch_processing_time_s",
        "--batch-processing-time",
        args.pod.batch_processing_time,
    )?;
    parts::lay_password_file(&mut layers, args.password_file.as_deref())?;
    layers.resolve()
}

/// What is written is TOML, and a reader goes by the name. Said before minutes of measuring.
fn can_be_read_back(output: Option<&Path>) -> anyhow::Result<()> {
    let Some(output) = output else { return Ok(()) };
    if Scenario::is_yaml(output) {
        let toml = output.with_extension("toml");
        let (output, toml) = (output.display(), toml.display());
        return Err(bad_input(format!("--output {output}: a scenario is written as TOML: {toml}")));
    }
    Ok(())
}

fn options(
    args: &ProfileArgs,
    config: &Config,
    run_dir: &Path,
    database: Option<&Database>,
) -> anyhow::Result<Options> {
    let consume = &config.consume;
    let batch_size = match consume.batch_size {
        BatchSize::Fixed(records) => records,
        BatchSize::Auto => UNSAID_BATCH_SIZE,
    };
    let mut sizes = if !args.sizes.is_empty() {
        args.sizes.clone()
    } else if args.quick {
        vec![1, 10]
    } else {
        vec![1, 10, 100, 1000]
    };
    sizes.push(batch_size);
    sizes.sort_unstable();
    sizes.dedup();
    let files = run_dir.to_str().ok_or_else(|| bad_input("--run-dir: not UTF-8"))?;
    let window_s = if args.quick { QUICK_WINDOW_S } else { WINDOW_S };
    Ok(Options {
        cluster: parts::cluster(&config.kafka, &args.kafka, "tidegate-profile")?,
        partitions: args.partitions,
        consumer: consumer(args, config, database)?,
        database: database
            .map_or_else(|| format!("sqlite:{files}/{{name}}.db"), parts::database_url),
        batch_size,
        batch_timeout_s: consume.batch_timeout_s,
        commit_interval_s: consume.commit_interval_ms as f64 / 1000.0,
        sizes,
        window: Duration::from_secs(window_s),
        run_dir: run_dir.to_owned(),
        name: format!("tidegate-profile-{}", std::process::id()),
    })
}

/// The same pod as `tidegate up` starts; topic, group and size change from step to step.
fn consumer(
    args: &ProfileArgs,
    config: &Config,
    database: Option<&Database>,
) -> anyhow::Result<CommandTemplate> {
    let consume = &config.consume;
    let mut words: Vec<OsString> =
        ["consume", "--report", "--exit-on-stdin-close"].map(OsString::from).to_vec();
    let pairs: [(&str, String); 11] = [
        ("--brokers", "{brokers}".into()),
        ("--topic", "{topic}".into()),
        ("--group", "{group}".into()),
        ("--protocol", consume.protocol.clone()),
        ("--batch-size", "{batch_size}".into()),
        ("--batch-latency-target", consume.batch_latency_target_s.to_string()),
        ("--batch-timeout-seconds", consume.batch_timeout_s.to_string()),
        ("--database-connections", consume.database_connections.to_string()),
        ("--message-processing-time", consume.message_processing_time_s.to_string()),
        ("--batch-processing-time", consume.batch_processing_time_s.to_string()),
        ("--database", "{database}".into()),
    ];
    for (flag, value) in pairs {
        words.extend([OsString::from(flag), value.into()]);
    }
    words.extend(["--metrics-addr", "127.0.0.1:0"].map(OsString::from));
    if consume.database_pooler {
        words.push("--database-pooler".into());
    }
    if let Some(file) = &args.password_file {
        words.extend(["--database-password-file".into(), file.clone().into_os_string()]);
    }
    if let Some(file) = &args.common.config {
        words.extend(["--config".into(), file.clone().into_os_string()]);
    }
    for (_, flag, value) in args.kafka.security.values() {
        words.extend(value.into_iter().flat_map(|value| [flag.into(), OsString::from(value)]));
    }
    for (key, value) in &args.kafka.kafka_config {
        words.extend(["--kafka-config".into(), format!("{key}={value}").into()]);
    }
    let password = database.map(parts::database_password).transpose()?.flatten();
    Ok(CommandTemplate {
        program: std::env::current_exe()?,
        args: words,
        env: password.into_iter().map(|word| ("PGPASSWORD".into(), word)).collect(),
        ..CommandTemplate::default()
    })
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::args::{Cli, Command};

    /// Every user of the machine can read a command line.
    #[test]
    fn a_password_is_in_a_pods_environment_and_not_on_its_command_line() {
        let Command::Profile(args) = Cli::parse_from(["tidegate", "profile"]).command else {
            panic!("another command")
        };
        let config = resolve(&args).expect("configuration");
        let url = "postgres://me:s3cret@db/x?sslmode=require";
        let database = parts::database(url, None).expect("URL");
        let options = options(&args, &config, Path::new("/run"), Some(&database)).expect("options");
        assert_eq!(options.database, "postgres://me@db/x?sslmode=require");
        assert!(!format!("{:?}", options.consumer.args).contains("s3cret"));
        assert_eq!(options.consumer.env, [("PGPASSWORD".into(), "s3cret".into())]);
    }

    /// What was said of the pods is what is measured.
    #[test]
    fn a_pod_reaches_the_database_as_the_flags_say() {
        let words = |flags: &[&str]| {
            let line = ["tidegate", "profile"].iter().chain(flags);
            let Command::Profile(args) = Cli::parse_from(line).command else {
                panic!("another command")
            };
            let config = resolve(&args).expect("configuration");
            let options = options(&args, &config, Path::new("/run"), None).expect("options");
            let words = options.consumer.args.iter();
            words.map(|word| word.to_string_lossy().into_owned()).collect::<Vec<_>>().join(" ")
        };
        assert!(!words(&[]).contains("--database-pooler"));
        let said = words(&[
            "--database-pooler",
            "--database-connections",
            "4",
            "--batch-latency-target",
            "0.7",
        ]);
        for flag in
            [" --database-pooler", " --database-connections 4 ", " --batch-latency-target 0.7 "]
        {
            assert!(said.contains(flag), "{flag}: {said}");
        }
    }
}
