//! `tidegate produce`: load along a profile.

use std::io::Write;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use prometheus_client::registry::Registry;
use tidegate_kafka::ProducerOptions;
use tidegate_load::LoadProfile;
use tidegate_load::produce::{Produce, ProduceHandle, ProduceOptions};
use tidegate_local::world::ProducerReport;
use tidegate_pipeline::Probes;
use tokio::time::{MissedTickBehavior, interval};

use super::parts;
use crate::args::ProduceArgs;
use crate::config::{Config, Layers};
use crate::exit::{Outcome, bad_input};
use crate::logging;
use crate::signals::{StopSignals, service_stop};

pub(super) fn run(args: &ProduceArgs) -> anyhow::Result<Outcome> {
    let config = resolve(args)?;
    let profile = profile(
        args.profile.as_deref(),
        Some(config.produce.rate),
        args.duration,
        args.seed.or(args.profile.is_none().then_some(config.produce.seed)),
    )?;
    let full_speed = is_full_speed(args).then(|| args.records.unwrap_or(u64::MAX));
    if args.records.is_some() && full_speed.is_none() {
        return Err(bad_input("--records: needs --rate max; end a schedule with --duration"));
    }
    let options = ProduceOptions {
        full_speed,
        connection: parts::connection(&config.kafka, &args.kafka, "tidegate-produce")?,
        topic: config.kafka.topic.clone(),
        client: ProducerOptions {
            linger_ms: config.produce.linger_ms,
            compression: config.produce.compression.clone(),
            ..ProducerOptions::default()
        },
        profile,
        ledger: args.ledger.clone(),
    };
    logging::init(args.common.log_format);
    parts::runtime()?.block_on(async {
        let signals = StopSignals::install()?;
        let mut registry = Registry::default();
        let produce = Produce::new(options, &mut registry);
        let handle = produce.handle();
        parts::serve_metrics(&config.produce.metrics_addr, registry, Alive).await?;
        if args.report {
            tokio::spawn(print_reports(handle.clone()));
        }
        let summary = produce
            .run(async {
                service_stop(signals, args.exit_on_stdin_close).await;
            })
            .await?;
        if args.report {
            // A supervisor judges by the report and the audit.
            print_report(&handle);
        } else if summary.failed > 0 {
            anyhow::bail!("{} of {} records were not acknowledged", summary.failed, summary.sent);
        }
        Ok(Outcome::Done)
    })
}

fn is_full_speed(args: &ProduceArgs) -> bool {
    args.rate == Some(f64::INFINITY)
}

fn resolve(args: &ProduceArgs) -> anyhow::Result<Config> {
    let mut layers = Layers::read(args.common.config.as_deref())?;
    parts::lay_kafka(&mut layers, &args.kafka)?;
    let scheduled = args.rate.filter(|_| !is_full_speed(args));
    layers.set("produce", "rate", "--rate", scheduled)?;
    layers.set("produce", "seed", "--seed", args.seed)?;
    layers.set("produce", "metrics_addr", "--metrics-addr", args.metrics_addr.clone())?;
    layers.resolve()
}

/// The load that the flags ask for: a profile by name or file, else a constant rate.
pub(super) fn profile(
    named: Option<&str>,
    rate: Option<f64>,
    duration_s: Option<f64>,
    seed: Option<u64>,
) -> anyhow::Result<LoadProfile> {
    if let Some(seconds) = duration_s.filter(|seconds| !(*seconds > 0.0 && *seconds <= 1e8)) {
        return Err(bad_input(format!(
            "--duration: {seconds}: allowed is above 0 to 100000000 seconds"
        )));
    }
    let mut profile = match named {
        None => LoadProfile::constant(rate.unwrap_or(0.0), duration_s),
        Some("demo") => LoadProfile::demo()?,
        Some(file) => {
            let text = std::fs::read_to_string(Path::new(file))
                .map_err(|error| bad_input(format!("--profile {file}: {error}")))?;
            LoadProfile::from_text(file, &text).map_err(|error| bad_input(error.to_string()))?
        }
    };
    if let (Some(seconds), Some(_)) = (duration_s, named) {
        profile = profile.limited_to(seconds);
    }
    if let Some(seed) = seed {
        profile = profile.with_seed(seed);
    }
    Ok(profile)
}

/// A producer that answers is alive, and ready.
struct Alive;

impl Probes for Alive {
    fn healthy(&self) -> Result<(), String> {
        Ok(())
    }

    fn ready(&self) -> Result<(), String> {
        Ok(())
    }
}

async fn print_reports(handle: ProduceHandle) {
    let mut timer = interval(Duration::from_secs(1));
    timer.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        timer.tick().await;
        print_report(&handle);
    }
}

fn print_report(handle: &ProduceHandle) {
    let summary = handle.summary();
    let report = ProducerReport {
        t_ms: SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |since| since.as_millis() as i64),
        sent: summary.sent,
        acked: summary.acked,
        failed: summary.failed,
        target_rate_per_s: handle.target_rate_per_s(),
        done: handle.is_done(),
    };
    if let Ok(line) = serde_json::to_string(&report) {
        let mut stdout = std::io::stdout().lock();
        let _ = writeln!(stdout, "{line}");
        let _ = stdout.flush();
    }
}
