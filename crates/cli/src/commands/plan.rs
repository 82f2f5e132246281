//! `tidegate plan`.

use tidegate_plan::plan::{Inputs, Wishes, plan, text};

use super::{scaled_object, simulate, tune};
use crate::args::PlanArgs;
use crate::exit::{Outcome, bad_input};
use crate::signals;

pub(super) fn run(args: &PlanArgs) -> anyhow::Result<Outcome> {
    let scenario = simulate::read_scenario(&args.scenario)?;
    let object = scaled_object::read_either(&args.scaled_object)?.object;
    for (flag, value) in [
        ("--slo", Some(args.slo)),
        ("--sink-rows", args.sink_rows),
        ("--sink-commits", args.sink_commits),
        ("--connections", Some(args.connections)),
        ("--price", args.price),
    ] {
        if let Some(value) = value.filter(|value| !(value.is_finite() && *value > 0.0)) {
            return Err(bad_input(format!("{flag} {value}: allowed is more than 0")));
        }
    }
    let wishes = Wishes {
        slo_s: args.slo,
        partitions: args.partitions,
        max_pods: args.max_pods,
        sink_rows_per_s: args.sink_rows,
        sink_commits_per_s: args.sink_commits,
        connections_per_s: args.connections,
        price_per_pod_hour: args.price,
        seeds: (1..=args.seeds).collect(),
        threads: tune::threads(None),
    };
    let inputs = Inputs { scenario: &scenario, object: &object, wishes: &wishes };
    let stop = signals::stop_flag()?;
    let Some(plan) = plan(inputs, &stop).map_err(bad_input)? else {
        return Ok(Outcome::Interrupted);
    };
    if args.json {
        anstream::println!("{}", serde_json::to_string_pretty(&plan)?);
    } else {
        anstream::print!("{}", text(&plan, &args.scenario.display().to_string(), args.verbose));
    }
    Ok(if plan.is_kept { Outcome::Done } else { Outcome::PromiseBroken })
}
