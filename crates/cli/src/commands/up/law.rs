//! Which law decides in `tidegate up`, and what it is told of this machine.

use std::time::Duration;

use tidegate_autoscale::law::SloOptions;
use tidegate_autoscale::scaled_object::ScaledObject;
use tidegate_local::world::LawOptions;

use crate::args::UpArgs;
use crate::commands::scaled_object;
use crate::config::Config;
use crate::exit::bad_input;

/// How long a child process takes to be ready on this machine, and a rebalance of
/// the provisioned broker: guesses, replaced by what is measured.
const LOCAL_POD_START_S: f64 = 1.0;
const LOCAL_REBALANCE_S: f64 = 0.5;
/// Where a pod's work is not simulated, the guess of what one does.
const UNKNOWN_POD_RATE_PER_S: f64 = 5000.0;

/// The law that the arguments ask for.
pub(super) fn chosen(args: &UpArgs, config: &Config) -> anyhow::Result<LawOptions> {
    if let Some(path) = &args.replicas_path {
        let path = path.parse().map_err(|error| bad_input(format!("--replicas-path: {error}")))?;
        return Ok(LawOptions::Path(path));
    }
    let mut object = scaled_object::read(&config.up.scaled_object)?;
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
pub(super) fn pod_capacity(config: &Config) -> Option<f64> {
    let records = config.consume.largest_batch() as f64;
    let seconds =
        config.up.batch_processing_time_s + records * config.consume.message_processing_time_s;
    (seconds > 0.0).then(|| records / seconds)
}
