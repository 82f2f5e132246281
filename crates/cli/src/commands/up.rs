//! `tidegate up`: the whole loop on this machine.

use std::ffi::OsString;
use std::net::TcpListener;
use std::os::unix::ffi::OsStringExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Serialize;
use tidegate_autoscale::law::SloOptions;
use tidegate_autoscale::scaled_object::ScaledObject;
use tidegate_load::LoadProfile;
use tidegate_load::audit::{AuditReport, Database, audit};
use tidegate_local::pods::CommandTemplate;
use tidegate_local::report::WorldReport;
use tidegate_local::series;
use tidegate_local::world::{
    LawOptions, RunDir, Snapshot, StopLevel, World, WorldEnd, WorldOptions, runs_root,
};
use tidegate_web::{Live, Report as WebReport};
use tokio::sync::mpsc;

use super::{dashboard, parts, produce, report};
use crate::args::UpArgs;
use crate::config::{Config, Layers};
use crate::exit::{Outcome, bad_input};
use crate::logging;
use crate::signals::StopSignals;
use crate::status::StatusView;

const LOCAL_SCALED_OBJECT: &str = include_str!("../../../../config/scaled-object-local.yaml");
const DEMO_SCALED_OBJECT: &str = include_str!("../../../../config/scaled-object-demo.yaml");

/// What `--json` writes.
#[derive(Debug, Serialize)]
struct Report<'a> {
    passed: bool,
    audit: &'a AuditReport,
    world: &'a WorldReport,
    run_dir: &'a Path,
    database: &'a str,
}

pub(super) fn run(args: &UpArgs) -> anyhow::Result<Outcome> {
    parts::can_write([
        ("--csv", args.csv.as_ref()),
        ("--html", args.html.as_ref()),
        ("--json", args.json.as_ref()),
    ])?;
    let config = resolve(args)?;
    let profile = load_profile(args, &config)?;
    let law = law(args, &config)?;
    let password_file = &config.consume.database_password_file;
    let database = args.database.as_deref();
    let database = database.map(|url| parts::database(url, Some(password_file))).transpose()?;
    let cluster = parts::cluster(&config.kafka, &args.kafka, "tidegate-up")?;
    let dashboard = args.dashboard.as_deref().map(dashboard::listen).transpose()?;
    logging::init(args.common.log_format);

    RunDir::clean_up_dead_worlds(&runs_root()?);
    let run_dir = RunDir::prepare(args.run_dir.clone())?;
    let database = database.unwrap_or_else(|| Database::Sqlite(run_dir.join("trades.db")));
    refuse_used_database(&database)?;
    let files = Files {
        profile: run_dir.join("profile.toml"),
        ledger: run_dir.join("ledger"),
        database_url: database_url(&database),
        database_password: database_password(&database)?,
    };
    std::fs::write(&files.profile, toml::to_string(&profile)?)?;

    let options = WorldOptions {
        cluster,
        topic: config.kafka.topic.clone(),
        partitions: config.up.partitions,
        group: config.consume.group.clone(),
        producer: producer_command(args, &config, &files)?,
        consumer: consumer_command(args, &config, &files)?,
        law,
        pod_start: Duration::from_secs_f64(config.up.pod_start_s),
        grace_period: Duration::from_secs_f64(config.up.grace_period_s),
        pod_capacity_per_s: pod_capacity(&config),
        run_dir: run_dir.clone(),
    };
    let world = World::start(options, &mut |line| tracing::info!("{line}"))?;
    tracing::info!("run directory {}", run_dir.display());
    let live = dashboard.map(|listener| (listener, dashboard::live(&config)));
    let end = parts::runtime()?.block_on(watch(world, live))?;
    if end.killed {
        return Ok(Outcome::Interrupted);
    }
    if let Some(path) = &args.csv {
        std::fs::write(path, series::csv(&end.seconds))
            .map_err(|error| anyhow::anyhow!("--csv {}: {error}", path.display()))?;
    }
    let audit = audit(&files.ledger, &database)?;
    if let Some(path) = &args.html {
        report::write(path, "--html", &page(&config, &end, &audit))?;
    }
    conclude(args, &end, &audit, &run_dir, &files)
}

/// What a run passes to its children.
struct Files {
    profile: PathBuf,
    ledger: PathBuf,
    database_url: String,
    database_password: Option<OsString>,
}

fn resolve(args: &UpArgs) -> anyhow::Result<Config> {
    let mut layers = Layers::read(args.common.config.as_deref())?;
    parts::lay_kafka(&mut layers, &args.kafka)?;
    parts::lay_pod(&mut layers, &args.pod)?;
    layers.consume_as_in_up("batch_size");
    let pod = &args.pod;
    layers.set(
        "up",
        "batch_processing_time_s",
        "--batch-processing-time",
        pod.batch_processing_time,
    )?;
    parts::lay_password_file(&mut layers, args.password_file.as_deref())?;
    layers.set("up", "partitions", "--partitions", args.partitions)?;
    layers.set("up", "profile", "--profile", args.profile.clone())?;
    layers.set("up", "law", "--law", args.law.clone())?;
    layers.set("up", "target_age_s", "--target-age", args.target_age)?;
    layers.set("up", "scaled_object", "--scaled-object", args.scaled_object.clone())?;
    layers.set("up", "pod_start_s", "--pod-start", args.pod_start)?;
    layers.set("up", "grace_period_s", "--grace-period", args.grace_period)?;
    layers.set("up", "hpa_sync_period_s", "--hpa-sync-period", args.hpa_sync_period)?;
    layers.set("produce", "rate", "--rate", args.rate)?;
    layers.resolve()
}

/// A ScaledObject by name or file.
pub(super) fn scaled_object(named: &str) -> anyhow::Result<ScaledObject> {
    let (name, text) = scaled_object_text(named)?;
    ScaledObject::from_yaml(&text, &name).map_err(|error| bad_input(error.to_string()))
}

/// The name and text of a ScaledObject by name or file.
pub(super) fn scaled_object_text(named: &str) -> anyhow::Result<(String, String)> {
    Ok(match named {
        "local" => ("scaled-object-local.yaml".to_owned(), LOCAL_SCALED_OBJECT.to_owned()),
        "demo" => ("scaled-object-demo.yaml".to_owned(), DEMO_SCALED_OBJECT.to_owned()),
        file => {
            let text = std::fs::read_to_string(file)
                .map_err(|error| bad_input(format!("--scaled-object {file}: {error}")))?;
            (file.to_owned(), text)
        }
    })
}

fn load_profile(args: &UpArgs, config: &Config) -> anyhow::Result<LoadProfile> {
    let named = args.rate.is_none().then_some(config.up.profile.as_str());
    let profile = produce::profile(named, args.rate, args.duration, args.seed)?;
    if profile.duration_s().is_infinite() {
        return Err(bad_input("--rate needs --duration"));
    }
    Ok(profile)
}

fn law(args: &UpArgs, config: &Config) -> anyhow::Result<LawOptions> {
    if let Some(path) = &args.replicas_path {
        let path = path.parse().map_err(|error| bad_input(format!("--replicas-path: {error}")))?;
        return Ok(LawOptions::Path(path));
    }
    let mut object = scaled_object(&config.up.scaled_object)?;
    if let Some(threshold) = args.lag_threshold {
        object
            .set_lag_threshold(threshold)
            .map_err(|error| bad_input(format!("--lag-threshold: {error}")))?;
    }
    if config.up.law == "slo" {
        let options = slo_options(config, &object);
        options.check().map_err(|error| bad_input(format!("--law slo: {error}")))?;
        return Ok(LawOptions::Slo {
            options: Box::new(options),
            scaled_object: Box::new(object),
            hpa_sync_period: Duration::from_secs_f64(config.up.hpa_sync_period_s),
        });
    }
    Ok(LawOptions::Stock {
        scaled_object: Box::new(object),
        hpa_sync_period: Duration::from_secs_f64(config.up.hpa_sync_period_s),
    })
}

/// How long a child process takes to be ready on this machine, and a rebalance of
/// the provisioned broker: guesses, replaced by what is measured.
const LOCAL_POD_START_S: f64 = 1.0;
const LOCAL_REBALANCE_S: f64 = 0.5;
/// Where a pod's work is not simulated, the guess of what one does.
const UNKNOWN_POD_RATE_PER_S: f64 = 5000.0;

fn slo_options(config: &Config, object: &ScaledObject) -> SloOptions {
    let consume = &config.consume;
    let batch_s = config.up.batch_processing_time_s
        + consume.largest_batch() as f64 * consume.message_processing_time_s;
    // A record waits for its batch, for the one being written, and for the commit.
    let in_flight_s =
        2.0 * batch_s + consume.batch_timeout_s + consume.commit_interval_ms as f64 / 1000.0;
    SloOptions {
        target_age_s: config.up.target_age_s,
        pod_rate_per_s: pod_capacity(config).unwrap_or(UNKNOWN_POD_RATE_PER_S),
        pod_start_s: config.up.pod_start_s + LOCAL_POD_START_S,
        rebalance_s: LOCAL_REBALANCE_S,
        in_flight_s: in_flight_s.min(600.0),
        ..SloOptions::for_object(object)
    }
}

/// What a pod can do when its work is simulated; measured otherwise.
fn pod_capacity(config: &Config) -> Option<f64> {
    let records = config.consume.largest_batch() as f64;
    let seconds =
        config.up.batch_processing_time_s + records * config.consume.message_processing_time_s;
    (seconds > 0.0).then(|| records / seconds)
}

/// A database that holds positions of another run's topic would make this run
/// start where that one ended.
fn refuse_used_database(database: &Database) -> anyhow::Result<()> {
    if database.is_used()? {
        return Err(bad_input(format!(
            "database {database}: it exists already; name a new one, so that this run is audited on its own"
        )));
    }
    Ok(())
}

/// Without the password: every user of the machine can read a command line.
fn database_url(database: &Database) -> String {
    match database {
        Database::Sqlite(_) => database.to_string(),
        Database::Postgres(options) => options.url.without_password(),
    }
}

/// The pods get it in their environment.
fn database_password(database: &Database) -> anyhow::Result<Option<OsString>> {
    match database {
        Database::Sqlite(_) => Ok(None),
        Database::Postgres(options) => Ok(options.password()?.map(OsString::from_vec)),
    }
}

fn producer_command(
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

fn consumer_command(
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

/// Runs the world, shows it, and turns signals into stop levels.
async fn watch(world: World, dashboard: Option<(TcpListener, Live)>) -> anyhow::Result<WorldEnd> {
    let mut signals = StopSignals::install()?;
    let live = dashboard.map(|(listener, live)| dashboard::serve(listener, live)).transpose()?;
    let (stop, level) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        let name = signals.next().await;
        tracing::warn!("{name}: draining; interrupt again to stop at once");
        let _ = stop.send(StopLevel::Drain);
        signals.next().await;
        let _ = stop.send(StopLevel::Now);
        std::future::pending::<()>().await;
    });
    let mut view = StatusView::new();
    let show = |snapshot: &Snapshot| {
        view.show(snapshot);
        if let Some(live) = &live {
            live.push(snapshot.second.clone());
        }
    };
    let end = world.run(level, show).await?;
    Ok(end)
}

fn page<'a>(config: &Config, end: &'a WorldEnd, audit: &AuditReport) -> WebReport<'a> {
    WebReport {
        title: dashboard::title(config),
        subtitle: dashboard::subtitle(config),
        seconds: &end.seconds,
        promise_s: dashboard::promise_s(config),
        figures: WebReport::figures_from(&format!("{}\n{audit}", end.report)),
    }
}

fn conclude(
    args: &UpArgs,
    end: &WorldEnd,
    audit: &AuditReport,
    run_dir: &Path,
    files: &Files,
) -> anyhow::Result<Outcome> {
    // A run that ended by itself has consumed everything.
    let passed = audit.passed() && (audit.pending == 0 || !end.report.completed);
    let report =
        Report { passed, audit, world: &end.report, run_dir, database: &files.database_url };
    let json = serde_json::to_string_pretty(&report)?;
    match &args.json {
        Some(path) if path.as_os_str() == "-" => anstream::println!("{json}"),
        path => {
            if let Some(path) = path {
                std::fs::write(path, json)
                    .map_err(|error| anyhow::anyhow!("--json {}: {error}", path.display()))?;
            }
            anstream::println!("\n{}\n{audit}", end.report);
            anstream::println!("kept           {}", run_dir.display());
        }
    }
    Ok(if passed { Outcome::Done } else { Outcome::PromiseBroken })
}
