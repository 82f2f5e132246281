//! The published spike under each law.

use std::error::Error;
use std::fmt::Write as _;
use std::path::Path;

use tidegate_autoscale::law::{Law, Schedule};
use tidegate_autoscale::scaled_object::ScaledObject;
use tidegate_autoscale::series;
use tidegate_plan::trial::{AgeKind, LawSettings, SloSettings, Worlds};
use tidegate_plan::tune::LawKind;
use tidegate_sim::{Run, Scenario, simulate, stock_law};

use crate::cheapest::{Limits, Space, counts, search};
use crate::figures::{Figures, judged, scenario, slo};
use crate::tuned::{self, HELD_OUT, IN_THE_SPIKE, Tuned};

const DEMO: &str = include_str!("../../../../config/scaled-object-demo.yaml");
/// The scenarios' spikes are this long before their ends, seconds ...
const AFTER_SPIKE_S: usize = 1440;
/// ... and the published chart's 24 minutes begin this long before it.
const BEFORE_SPIKE_S: usize = 70;
/// The promise.
const TARGET_AGE_S: f64 = 90.0;
const MAX_REPLICAS: i32 = 100;
const SEED: u64 = 1;
const SEEDS: u64 = 5;
/// Pods that 5,000 a second need at least.
const ENOUGH_PODS: i32 = 50;
/// Detection that the physical bound allows, seconds.
const DETECTION_S: i64 = 5;
/// What is in flight at 5,000 a second and never waits.
const IN_FLIGHT: i64 = 15_000;

fn spike_s(world: &Scenario) -> usize {
    (world.duration_s as usize).saturating_sub(AFTER_SPIKE_S)
}

fn window_s(world: &Scenario) -> (usize, usize) {
    let from_s = spike_s(world) - BEFORE_SPIKE_S;
    (from_s, from_s + 24 * 60)
}

struct Row {
    name: String,
    figures: Figures,
    steady_p99_s: f64,
    drained_s: Option<usize>,
}

/// The table for both numbers of partitions.
pub(crate) fn table(results: Option<&Path>) -> Result<String, Box<dyn Error>> {
    let mut text = String::from("# The published spike, 1,000 to 5,000 records a second\n\n");
    let object = ScaledObject::from_yaml(DEMO, "scaled-object-demo.yaml")?;
    let published = scenario("published.toml")?;
    let mut theirs = row("stock as published, its own consumer", &published, results, &|| {
        Ok(Box::new(stock_law(object.clone(), &published.control)))
    })?;
    // Its steady state is in the same run, which begins there.
    theirs.steady_p99_s = steady(&published, &mut stock_law(object.clone(), &published.control));
    for partitions in [100, 240] {
        let world = scenario(&format!("laws/spike-{partitions}.toml"))?;
        let first = (partitions == 100).then_some(&theirs);
        text.push_str(&part(partitions, &world, &object, first, results)?);
    }
    Ok(text)
}

fn part(
    partitions: i32,
    world: &Scenario,
    object: &ScaledObject,
    theirs: Option<&Row>,
    results: Option<&Path>,
) -> Result<String, Box<dyn Error>> {
    let stock = row(
        &format!("stock as published, tidegate's consumer, {partitions}"),
        world,
        results,
        &|| Ok(Box::new(stock_law(object.clone(), &world.control))),
    )?;
    let ours = row(&format!("slo, {partitions}"), world, results, &|| {
        Ok(Box::new(slo(world, object, TARGET_AGE_S)?))
    })?;
    let cost = Worlds::new(&tuned::named(world), &HELD_OUT)
        .score(
            &LawSettings::Slo(Box::new(object.clone()), SloSettings::new(object, TARGET_AGE_S)),
            AgeKind::Max,
        )?
        .pod_seconds;
    let [same_cost, any_cost] =
        tuned::best(world, LawKind::Stock, AgeKind::Max, IN_THE_SPIKE, [Some(cost), None])?;
    let tune = |name: &str, tuned: &Tuned| {
        row(&format!("{name}, {partitions}"), world, results, &|| {
            let LawSettings::Stock(object) = &tuned.law else { return Err("a stock law".into()) };
            Ok(Box::new(stock_law((**object).clone(), &world.control)))
        })
    };
    let mut rows = vec![stock];
    if same_cost.keeps_bound {
        rows.push(tune("stock tuned, at slo's cost or less", &same_cost)?);
    }
    rows.push(tune("stock tuned, whatever it costs", &any_cost)?);
    rows.push(ours);

    let mut text = format!("## {partitions} partitions\n\n{HEAD}");
    for row in theirs.into_iter().chain(&rows) {
        let _ = writeln!(text, "{}", line(row));
    }
    let _ = writeln!(text);
    let _ = writeln!(text, "- Tuned at slo's cost: {}.", same_cost.settings);
    let _ = writeln!(text, "- Tuned whatever it costs: {}.", any_cost.settings);
    if let Some(ours) = rows.last() {
        text.push_str(&against_the_bounds(partitions, world, object, ours)?);
    }
    text.push('\n');
    Ok(text)
}

const HEAD: &str = "\
| law | oldest record | p99 | p99 before the spike | reversals | backlog gone after enough pods | \
pod-seconds in 24 min |\n|---|---|---|---|---|---|---|\n";

fn line(row: &Row) -> String {
    let Figures { max_age_s, p99_age_s, pod_seconds, reversals, .. } = row.figures;
    let drained = row.drained_s.map_or("never".into(), |after_s| format!("{after_s} s"));
    format!(
        "| {} | {max_age_s:.1} s | {p99_age_s:.1} s | {:.1} s | {reversals} | {drained} | {pod_seconds:.0} |",
        row.name, row.steady_p99_s
    )
}

type MakeLaw<'a> = dyn Fn() -> Result<Box<dyn Law>, Box<dyn Error>> + 'a;

fn row(
    name: &str,
    world: &Scenario,
    results: Option<&Path>,
    law: &MakeLaw<'_>,
) -> Result<Row, Box<dyn Error>> {
    let run = simulate(world, SEED, law()?.as_mut());
    if let Some(results) = results {
        std::fs::create_dir_all(results)?;
        let file: String =
            name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
        std::fs::write(results.join(format!("{file}.csv")), series::csv(&run.seconds))?;
    }
    Ok(Row {
        name: name
            .rsplit_once(", ")
            .filter(|(_, n)| n.parse::<u32>().is_ok())
            .map_or(name, |(name, _)| name)
            .to_owned(),
        figures: Figures::of(&run, Some(window_s(world))),
        steady_p99_s: steady(world, law()?.as_mut()),
        drained_s: drained_s(&run, spike_s(world)),
    })
}

/// p99 of the records before the spike.
fn steady(world: &Scenario, law: &mut dyn Law) -> f64 {
    let mut before = world.clone();
    before.duration_s = spike_s(world) as u32;
    judged(&before, SEED, law, None).p99_age_s
}

/// From enough ready pods after the spike to no backlog, seconds.
fn drained_s(run: &Run, spike_s: usize) -> Option<usize> {
    let after = run.seconds.iter().enumerate().skip(spike_s + 5);
    let (enough, _) = after.clone().find(|(_, second)| second.pods_ready >= ENOUGH_PODS)?;
    let (gone, _) =
        after.skip_while(|(at, _)| *at < enough).find(|(_, s)| s.backlog <= IN_FLIGHT)?;
    Some(gone - enough)
}

fn against_the_bounds(
    partitions: i32,
    world: &Scenario,
    object: &ScaledObject,
    ours: &Row,
) -> Result<String, Box<dyn Error>> {
    let most = counts(partitions, MAX_REPLICAS).last().copied().unwrap_or(1);
    let order_ms = (spike_s(world) as i64 + DETECTION_S) * 1000;
    let bound = judged(world, SEED, &mut Schedule::new(vec![(order_ms, most)]), None).max_age_s;
    let limits = Limits {
        max_age_s: ours.figures.max_age_s,
        p99_age_s: ours.figures.p99_age_s,
        steady_p99_s: ours.steady_p99_s.max(5.0),
        end_backlog: IN_FLIGHT,
    };
    let space = Space {
        spike_s: spike_s(world),
        window_s: window_s(world),
        max_replicas: MAX_REPLICAS,
        seed: SEED,
    };
    let (found, simulated) = search(world, limits, space);
    let mut text = format!(
        "- Physical bound ({most} pods ordered {DETECTION_S} s after the spike): {bound:.1} s; slo {:.2} times that.\n",
        ours.figures.max_age_s / bound
    );
    let cheapest = found.as_ref().map_or(f64::NAN, |found| found.figures.pod_seconds);
    match found {
        Some(found) => {
            let steps: Vec<String> = found
                .steps
                .iter()
                .map(|(at_ms, pods)| format!("{pods} from {} s", at_ms / 1000))
                .collect();
            let _ = writeln!(
                text,
                "- Cheapest schedule with the same ages, of {simulated} simulated: {}; {:.0} pod-seconds; slo {:.3} times that.",
                steps.join(", "),
                found.figures.pod_seconds,
                ours.figures.pod_seconds / found.figures.pod_seconds
            );
        }
        None => {
            let _ = writeln!(text, "- No schedule of {simulated} simulated keeps the same ages.");
        }
    }
    let mut worst = (0.0_f64, 0.0_f64, 0);
    for seed in SEED..SEED + SEEDS {
        let mut law = slo(world, object, TARGET_AGE_S)?;
        let figures = judged(world, seed, &mut law, Some(window_s(world)));
        worst.0 = worst.0.max(figures.max_age_s);
        worst.1 = worst.1.max(figures.pod_seconds);
        worst.2 = worst.2.max(figures.reversals);
    }
    let _ = writeln!(
        text,
        "- slo, worst of {SEEDS} seeds: oldest record {:.1} s, {:.0} pod-seconds ({:.3} times the \
         cheapest), {} reversals.",
        worst.0,
        worst.1,
        worst.1 / cheapest,
        worst.2
    );
    Ok(text)
}
