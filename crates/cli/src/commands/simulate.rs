//! `tidegate simulate`: a law against a simulated world.

use serde::Serialize;
use tidegate_autoscale::law::{SloLaw, SloOptions};
use tidegate_autoscale::scaled_object::ScaledObject;
use tidegate_autoscale::series::{self, Second};
use tidegate_sim::{Run, Scenario, Summary, simulate, stock_law};
use tidegate_web::Report;

use super::{produce, report, up};
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
    write(args, &scenario, &run)?;
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

fn scenario(args: &SimulateArgs) -> anyhow::Result<Scenario> {
    let name = args.scenario.display().to_string();
    let text = std::fs::read_to_string(&args.scenario)
        .map_err(|error| bad_input(format!("--scenario {name}: {error}")))?;
    let mut scenario =
        Scenario::from_text(&name, &text).map_err(|error| bad_input(error.to_string()))?;
    if let Some(profile) = &args.profile {
        scenario.load = produce::profile(Some(profile), None, None, None)?;
    }
    Ok(scenario)
}

/// What `--json --series` prints.
#[derive(Debug, Serialize)]
struct WithSeries<'a> {
    #[serde(flatten)]
    summary: &'a Summary,
    series: &'a [Second],
}

fn write(args: &SimulateArgs, scenario: &Scenario, run: &Run) -> anyhow::Result<()> {
    if let Some(path) = &args.csv {
        std::fs::write(path, series::csv(&run.seconds))
            .map_err(|error| anyhow::anyhow!("--csv {}: {error}", path.display()))?;
    }
    if let Some(path) = &args.html {
        report::write(path, "--html", &page(args, scenario, run))?;
    }
    if args.json && args.series {
        let all = WithSeries { summary: &run.summary, series: &run.seconds };
        anstream::println!("{}", serde_json::to_string(&all)?);
    } else if args.json {
        anstream::println!("{}", serde_json::to_string_pretty(&run.summary)?);
    } else {
        anstream::println!("{}", run.summary);
    }
    Ok(())
}

fn page<'a>(args: &SimulateArgs, scenario: &Scenario, run: &'a Run) -> Report<'a> {
    let name = args.scenario.display().to_string();
    let title = if scenario.description.is_empty() { &name } else { &scenario.description };
    let (law, promise_s) = match args.law {
        LawName::Stock => (format!("KEDA and HPA by {}", args.scaled_object), None),
        LawName::Slo => (format!("slo, {} s", args.target_age), Some(args.target_age)),
    };
    Report {
        title: format!("Simulated: {title}"),
        subtitle: format!("{name} · law: {law} · seed {}", args.seed),
        seconds: &run.seconds,
        promise_s,
        figures: Report::figures_from(&run.summary.to_string()),
    }
}
