//! `tidegate simulate`: a law against a simulated world.

use std::path::Path;

use serde::Serialize;
use tidegate_autoscale::law::{Compared, Decision, Law, Recorder, SloLaw, SloOptions};
use tidegate_autoscale::scaled_object::ScaledObject;
use tidegate_autoscale::series::{self, Second};
use tidegate_sim::{Run, Scenario, Summary, simulate, slo_options, stock_law, through_keda};
use tidegate_web::Report;

use super::{parts, produce, report, scaled_object};
use crate::args::{LawName, SimulateArgs};
use crate::exit::{Outcome, bad_input};

pub(super) fn run(args: &SimulateArgs) -> anyhow::Result<Outcome> {
    parts::can_write([
        ("--csv", args.csv.as_ref()),
        ("--html", args.html.as_ref()),
        ("--decisions", args.decisions.as_ref()),
    ])?;
    let scenario = scenario(args)?;
    let object = scaled_object::read(&args.scaled_object)?;
    let run = match args.law {
        LawName::Stock if args.through_keda => {
            return Err(bad_input("--through-keda: only with --law slo; stock is KEDA itself"));
        }
        LawName::Stock => stock_run(args, &scenario, &object)?,
        LawName::Slo => slo_run(args, &scenario, object)?,
    };
    write(args, &scenario, &run)?;
    Ok(Outcome::Done)
}

fn stock_run(
    args: &SimulateArgs,
    scenario: &Scenario,
    object: &ScaledObject,
) -> anyhow::Result<Run> {
    let stock = stock_law(object.clone(), &scenario.control);
    recorded(args, scenario, stock, slo_law(args, scenario, object)?, "slo")
}

fn slo_run(args: &SimulateArgs, scenario: &Scenario, object: ScaledObject) -> anyhow::Result<Run> {
    let law = slo_law(args, scenario, &object)?;
    if args.through_keda {
        let law = through_keda(law, &object, &scenario.control);
        return recorded(args, scenario, law, stock_law(object, &scenario.control), "stock");
    }
    recorded(args, scenario, law, stock_law(object, &scenario.control), "stock")
}

fn slo_law(
    args: &SimulateArgs,
    scenario: &Scenario,
    object: &ScaledObject,
) -> anyhow::Result<SloLaw> {
    let options = SloOptions { target_age_s: args.target_age, ..slo_options(scenario, object) };
    SloLaw::new(options, 0).map_err(|error| bad_input(format!("--law slo: {error}")))
}

/// Runs the law; where decisions are wanted, the other one is asked beside it.
fn recorded<L: Law, O: Law>(
    args: &SimulateArgs,
    scenario: &Scenario,
    mut law: L,
    other: O,
    other_name: &'static str,
) -> anyhow::Result<Run> {
    let Some(path) = &args.decisions else { return Ok(simulate(scenario, args.seed, &mut law)) };
    let mut law = Recorder::new(Compared::new(law, other, other_name));
    let run = simulate(scenario, args.seed, &mut law);
    let lines: Vec<String> =
        law.decisions.iter().map(serde_json::to_string::<Decision>).collect::<Result<_, _>>()?;
    std::fs::write(path, lines.join("\n") + "\n")
        .map_err(|error| anyhow::anyhow!("--decisions {}: {error}", path.display()))?;
    Ok(run)
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
