//! `tidegate simulate`: a law against a simulated world.

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
    };
    write(args, &run)?;
    Ok(Outcome::Done)
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
