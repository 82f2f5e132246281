//! `tidegate simulate`: a law against a simulated world.

use std::path::Path;

use tidegate_autoscale::law::{SloLaw, SloOptions};
use tidegate_autoscale::scaled_object::ScaledObject;
use tidegate_autoscale::series;
use tidegate_sim::{Run, Scenario, simulate, stock_law};

use super::{produce, up};
use crate::args::{LawName, SimulateArgs};
use crate::exit::{Outcome, bad_input};

pub(super) fn run(args: &SimulateArgs) -> anyhow::Result<Outcome> {
    let scenario = scenario(args)?;
    let object = up::scaled_object(&args.scaled_object)?;
    let run = match args.law {
        LawName::Stock => simulate(&scenario, args.seed, &mut stock_law(object, &scenario.control)),
        LawName::Slo => {
            let options =
                SloOptions { target_age_s: args.target_age, ..slo_options(&scenario, &object) };
            let mut law = SloLaw::new(options, 0)
                .map_err(|error| bad_input(format!("--law slo: {error}")))?;
            simulate(&scenario, args.seed, &mut law)
        }
    };
    write(args, &run)?;
    Ok(Outcome::Done)
}

/// The law is told of a pod what its operator would know; the rest it measures.
fn slo_options(scenario: &Scenario, object: &ScaledObject) -> SloOptions {
    let pod = &scenario.pod;
    let batch_s = pod.batch_s + pod.record_s * f64::from(pod.batch_size);
    SloOptions {
        pod_rate_per_s: pod.capacity_per_s(),
        pod_start_s: pod.start_s.max + pod.ready_s,
        rebalance_s: scenario.group.times().settle_s.max,
        // A record waits for its batch, for the one being written, and for the commit.
        in_flight_s: 2.0 * batch_s + pod.batch_timeout_s + scenario.group.commit_interval_s,
        ..SloOptions::for_object(object)
    }
}

/// A scenario file.
pub(super) fn read_scenario(path: &Path) -> anyhow::Result<Scenario> {
    let name = path.display().to_string();
    let text = std::fs::read_to_string(path)
        .map_err(|error| bad_input(format!("--scenario {name}: {error}")))?;
    Scenario::from_text(&name, &text).map_err(|error| bad_input(error.to_string()))
}

fn scenario(args: &SimulateArgs) -> anyhow::Result<Scenario> {
    let mut scenario = read_scenario(&args.scenario)?;
    if let Some(profile) = &args.profile {
        scenario.load = produce::profile(Some(profile), None, None, None)?;
    }
    Ok(scenario)
}

fn write(args: &SimulateArgs, run: &Run) -> anyhow::Result<()> {
    if let Some(path) = &args.csv {
        std::fs::write(path, series::csv(&run.seconds))
            .map_err(|error| anyhow::anyhow!("--csv {}: {error}", path.display()))?;
    }
    if args.json {
        anstream::println!("{}", serde_json::to_string_pretty(&run.summary)?);
    } else {
        anstream::println!("{}", run.summary);
    }
    Ok(())
}
