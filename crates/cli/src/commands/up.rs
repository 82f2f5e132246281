//! `tidegate up`: the whole loop on this machine.

mod children;
mod conclusion;
mod law;

use std::net::TcpListener;
use std::path::Path;
use std::time::Duration;

use tidegate_load::LoadProfile;
use tidegate_load::audit::{Database, audit};
use tidegate_local::series;
use tidegate_local::world::{
    RunDir, Snapshot, StopLevel, World, WorldEnd, WorldOptions, runs_root,
};
use tidegate_web::Live;
use tokio::sync::mpsc;

use self::children::Files;
use self::conclusion::{conclude, page};
use super::{dashboard, outputs, parts, produce};
use crate::args::UpArgs;
use crate::config::{Config, Layers};
use crate::exit::{Outcome, bad_input};
use crate::logging;
use crate::signals::StopSignals;
use crate::status::StatusView;

pub(super) fn run(args: &UpArgs) -> anyhow::Result<Outcome> {
    let config = resolve(args)?;
    let mut inputs = vec![
        ("--profile", Path::new(&config.up.profile)),
        ("--scaled-object", Path::new(&config.up.scaled_object)),
    ];
    inputs.extend(args.common.config.as_deref().map(|file| ("--config", file)));
    let files = [
        ("--csv", args.csv.as_ref()),
        ("--html", args.html.as_ref()),
        ("--json", args.json.as_ref()),
    ];
    outputs::can_write_or_print(&inputs, files)?;
    let profile = load_profile(args, &config)?;
    let law = law::chosen(args, &config)?;
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
        database_url: parts::database_url(&database),
        database_password: parts::database_password(&database)?,
    };
    std::fs::write(&files.profile, toml::to_string(&profile)?)?;

    let options = WorldOptions {
        cluster,
        topic: config.kafka.topic.clone(),
        partitions: config.up.partitions,
        group: config.consume.group.clone(),
        producer: children::producer(args, &config, &files)?,
        consumer: children::consumer(args, &config, &files)?,
        law,
        pod_start: Duration::from_secs_f64(config.up.pod_start_s),
        grace_period: Duration::from_secs_f64(config.up.grace_period_s),
        pod_capacity_per_s: law::pod_capacity(&config),
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
        outputs::write("--csv", path, &series::csv(&end.seconds))?;
    }
    let audit = audit(&files.ledger, &database)?;
    if let Some(path) = &args.html {
        outputs::write("--html", path, &page(&config, &end, &audit).html())?;
    }
    conclude(args, &end, &audit, &run_dir, &files)
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

fn load_profile(args: &UpArgs, config: &Config) -> anyhow::Result<LoadProfile> {
    let named = args.rate.is_none().then_some(config.up.profile.as_str());
    let profile = produce::profile(named, args.rate, args.duration, args.seed)?;
    if profile.duration_s().is_infinite() {
        return Err(bad_input("--rate needs --duration"));
    }
    Ok(profile)
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
