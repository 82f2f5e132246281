//! `tidegate simulate`: a law against a simulated world.

use std::path::Path;

use serde::Serialize;
use tidegate_autoscale::law::{Compared, Decision, Law, Recorder, SloLaw, SloOptions};
use tidegate_autoscale::scaled_object::ScaledObject;
use tidegate_autoscale::series::{self, Second};
use tidegate_sim::{Run, Scenario, Summary, simulate, slo_options, stock_law, through_keda};
use tidegate_web::Report;

use super::scaled_object::Asked;
use super::{outputs, produce, scaled_object};
use crate::args::{LawName, SimulateArgs};
use crate::exit::{Outcome, bad_input};

pub(super) fn run(args: &SimulateArgs) -> anyhow::Result<Outcome> {
    let inputs = [
        ("--scenario", args.scenario.as_path()),
        ("--scaled-object", Path::new(&args.scaled_object)),
        ("--profile", Path::new(args.profile.as_deref().unwrap_or_default())),
    ];
    let files = [
        ("--csv", args.csv.as_ref()),
        ("--html", args.html.as_ref()),
        ("--decisions", args.decisions.as_ref()),
    ];
    let printed = outputs::can_write_or_print(&inputs, files)?;
    if let (Some(flag), true) = (printed, args.json) {
        return Err(bad_input(format!("{flag} -: not with --json, which is on stdout too")));
    }
    let scenario = scenario(args)?;
    let (run, promise_s) = match args.law {
        LawName::Stock if args.through_keda => {
            return Err(bad_input("--through-keda: only with --law slo; stock is KEDA itself"));
        }
        LawName::Stock if args.target_age.is_some() => {
            return Err(bad_input("--target-age: only with --law slo; stock promises no age"));
        }
        LawName::Stock => {
            let object = scaled_object::read(&args.scaled_object)?;
            (stock_run(args, &scenario, &object)?, None)
        }
        LawName::Slo => {
            let asked = scaled_object::read_either(&args.scaled_object)?;
            let options = told(args, &scenario, &asked);
            let promise_s = options.target_age_s;
            (slo_run(args, &scenario, options, asked)?, Some(promise_s))
        }
    };
    write(args, &scenario, &run, promise_s, printed.is_some())?;
    Ok(Outcome::Done)
}

fn stock_run(
    args: &SimulateArgs,
    scenario: &Scenario,
    object: &ScaledObject,
) -> anyhow::Result<Run> {
    let stock = stock_law(object.clone(), &scenario.control);
    let slo = slo_law(slo_options(scenario, object))?;
    recorded(args, scenario, stock, Some((slo, "slo")))
}

fn slo_run(
    args: &SimulateArgs,
    scenario: &Scenario,
    options: SloOptions,
    asked: Asked,
) -> anyhow::Result<Run> {
    let law = slo_law(options)?;
    let keda = args.through_keda.then(|| asked.object.clone());
    // An external trigger has no threshold that the stock law could decide by.
    let other = asked.slo.is_none().then(|| (stock_law(asked.object, &scenario.control), "stock"));
    match keda {
        Some(object) => {
            let law = through_keda(law, &object, &scenario.control);
            recorded(args, scenario, law, other)
        }
        None => recorded(args, scenario, law, other),
    }
}

/// What the slo law is told: by the external trigger, or by the world and the bounds.
fn told(args: &SimulateArgs, scenario: &Scenario, asked: &Asked) -> SloOptions {
    let options = match &asked.slo {
        Some(options) => (**options).clone(),
        None => slo_options(scenario, &asked.object),
    };
    SloOptions { target_age_s: args.target_age.unwrap_or(options.target_age_s), ..options }
}

fn slo_law(options: SloOptions) -> anyhow::Result<SloLaw> {
    SloLaw::new(options, 0).map_err(|error| bad_input(format!("--law slo: {error}")))
}

/// Runs the law; where decisions are wanted, the other one, if any, is asked beside it.
fn recorded<L: Law, O: Law>(
    args: &SimulateArgs,
    scenario: &Scenario,
    mut law: L,
    other: Option<(O, &'static str)>,
) -> anyhow::Result<Run> {
    let Some(path) = &args.decisions else { return Ok(simulate(scenario, args.seed, &mut law)) };
    let (run, decisions) = match other {
        Some((other, name)) => {
            let mut law = Recorder::new(Compared::new(law, other, name));
            (simulate(scenario, args.seed, &mut law), law.decisions)
        }
        None => {
            let mut law = Recorder::new(law);
            (simulate(scenario, args.seed, &mut law), law.decisions)
        }
    };
    let lines: Vec<String> =
        decisions.iter().map(serde_json::to_string::<Decision>).collect::<Result<_, _>>()?;
    outputs::write("--decisions", path, &(lines.join("\n") + "\n"))?;
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

fn write(
    args: &SimulateArgs,
    scenario: &Scenario,
    run: &Run,
    promise_s: Option<f64>,
    prints_file: bool,
) -> anyhow::Result<()> {
    if let Some(path) = &args.csv {
        outputs::write("--csv", path, &series::csv(&run.seconds))?;
    }
    if let Some(path) = &args.html {
        outputs::write("--html", path, &page(args, scenario, run, promise_s).html())?;
    }
    if args.json && args.series {
        let all = WithSeries { summary: &run.summary, series: &run.seconds };
        anstream::println!("{}", serde_json::to_string(&all)?);
    } else if args.json {
        anstream::println!("{}", serde_json::to_string_pretty(&run.summary)?);
    } else {
        let figures = figures(&run.summary, promise_s);
        if prints_file {
            anstream::eprintln!("{figures}");
        } else {
            anstream::println!("{figures}");
        }
    }
    Ok(())
}

/// The summary; of the slo law also whether it kept its promise.
fn figures(summary: &Summary, promise_s: Option<f64>) -> String {
    let Some(promise_s) = promise_s else { return summary.to_string() };
    let verdict = if summary.keeps(promise_s) { "kept" } else { "NOT KEPT" };
    format!(
        "{summary}\nlaw            slo, 99 % of the records stored within {promise_s} s: {verdict}"
    )
}

fn page<'a>(
    args: &SimulateArgs,
    scenario: &Scenario,
    run: &'a Run,
    promise_s: Option<f64>,
) -> Report<'a> {
    let name = args.scenario.display().to_string();
    let title = if scenario.description.is_empty() { &name } else { &scenario.description };
    let law = match promise_s {
        None => format!("KEDA and HPA by {}", args.scaled_object),
        Some(promise_s) => format!("slo, {promise_s} s"),
    };
    Report {
        title: format!("Simulated: {title}"),
        subtitle: format!("{name} · law: {law} · seed {}", args.seed),
        seconds: &run.seconds,
        promise_s,
        figures: Report::figures_from(&run.summary.to_string()),
    }
}
