//! Twelve further scenarios: the slo law against stock KEDA tuned for each of them.

use std::error::Error;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use tidegate_autoscale::law::{Compared, Recorder};
use tidegate_autoscale::scaled_object::ScaledObject;
use tidegate_plan::trial::{AgeKind, LawSettings, Score, SloSettings, Worlds};
use tidegate_plan::tune::LawKind;
use tidegate_sim::{Scenario, simulate, stock_law};

use crate::figures::{scenario, slo};
use crate::keep;
use crate::promises::SUITE;
use crate::tuned::{self, DEMO, HELD_OUT, Tries};

/// Of the run whose decisions are kept.
const SEED: u64 = 1;
/// Ages this near to each other are even, a share of them.
const EVEN: f64 = 0.02;

/// The scenarios.
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    SUITE.iter().map(|(name, _)| *name)
}

/// The table of the named scenarios; written after each, since a search takes long.
pub(crate) fn table(
    named: &[&str],
    tries: Tries,
    results: Option<&Path>,
) -> Result<String, Box<dyn Error>> {
    let Tries { stock, slo } = tries;
    let mut text = format!(
        "# Twelve scenarios\n\nThe worst of {} seeds in age, their mean in pod-seconds. Tuned is the best of \
         {stock} configurations ({slo} of the slo law) for each scenario by the search of `tidegate tune`, with other \
         seeds: the least p99 at slo's cost or less.\n\n\
         | scenario | promise | slo: p99 / oldest | reversals | pod-seconds | stock tuned: p99 / oldest | \
         pod-seconds | slo tuned: p99 / oldest | pod-seconds | stock tuned at any cost: p99 | pod-seconds | \
         as published: p99 | slo as it is | slo tuned |\n\
         |---|---|---|---|---|---|---|---|---|---|---|---|---|---|\n",
        HELD_OUT.len()
    );
    for (name, target_age_s) in
        SUITE.into_iter().filter(|(name, _)| named.iter().any(|named| named == name))
    {
        let line = row(name, target_age_s, tries, results)?;
        progress(&line);
        text.push_str(&line);
        keep(results, "suite.md", &text)?;
    }
    Ok(text)
}

#[allow(clippy::print_stderr)]
fn progress(line: &str) {
    eprint!("{line}");
}

fn row(
    name: &str,
    target_age_s: f64,
    tries: Tries,
    results: Option<&Path>,
) -> Result<String, Box<dyn Error>> {
    let world = scenario(&format!("suite/{name}.toml"))?;
    let demo = ScaledObject::from_yaml(DEMO, "scaled-object-demo.yaml")?;
    if let Some(results) = results {
        keep_changes(name, &world, &demo, target_age_s, results)?;
    }
    let named = tuned::named(&world);
    let worlds = Worlds::new(&named, &HELD_OUT);
    let ours = LawSettings::Slo(Box::new(demo.clone()), SloSettings::new(&demo, target_age_s));
    let ours = worlds.score(&ours, AgeKind::P99)?;
    let published = worlds.score(&LawSettings::Stock(Box::new(demo)), AgeKind::P99)?;
    let cost = Some(ours.pod_seconds);
    let [stock, any] =
        tuned::best(&world, LawKind::Stock, AgeKind::P99, tries.stock, [cost, None])?;
    let [best] = tuned::best(&world, LawKind::Slo, AgeKind::P99, tries.slo, [cost])?;
    if let Some(results) = results {
        for (law, tuned) in [("stock", &stock), ("stock-any-cost", &any), ("slo", &best)] {
            fs::write(results.join(format!("{name}.{law}.yaml")), &tuned.yaml)?;
        }
    }
    let theirs = stock.keeps_bound.then_some(stock.held_out);
    let mut text = format!(
        "| {name} | {target_age_s:.0} s | {:.1} / {:.1} s | {:.1} | {:.0} |",
        ours.age_s, ours.max_age_s, ours.reversals, ours.pod_seconds
    );
    for tuned in [theirs, best.keeps_bound.then_some(best.held_out)] {
        match tuned {
            Some(Score { age_s, max_age_s, pod_seconds, .. }) => {
                let _ = write!(text, " {age_s:.1} / {max_age_s:.1} s | {pod_seconds:.0} |");
            }
            None => text.push_str(" none | |"),
        }
    }
    let _ = writeln!(
        text,
        " {:.1} s | {:.0} | {:.1} s | {} | {} |",
        any.held_out.age_s,
        any.held_out.pod_seconds,
        published.age_s,
        verdict(&ours, theirs),
        verdict(&best.held_out, theirs),
    );
    Ok(text)
}

fn verdict(ours: &Score, stock: Option<Score>) -> &'static str {
    match stock {
        Some(stock) if stock.age_s < ours.age_s * (1.0 - EVEN) - 0.1 => "**stock is better**",
        Some(stock) if stock.age_s < ours.age_s * (1.0 + EVEN) + 0.1 => "even",
        Some(_) => "slo",
        None => "slo (stock is dearer)",
    }
}

/// Every change that the law makes, in words.
fn keep_changes(
    name: &str,
    world: &Scenario,
    demo: &ScaledObject,
    target_age_s: f64,
    results: &Path,
) -> Result<(), Box<dyn Error>> {
    let law = slo(world, demo, target_age_s)?;
    let mut law =
        Recorder::new(Compared::new(law, stock_law(demo.clone(), &world.control), "stock"));
    simulate(world, SEED, &mut law);
    let changes: Vec<String> = law
        .decisions
        .iter()
        .filter(|decision| decision.changes())
        .map(|d| format!("{:>6.0} s  {}", d.at_ms as f64 / 1000.0, d.explanation()))
        .collect();
    fs::create_dir_all(results)?;
    fs::write(results.join(format!("{name}.changes.txt")), changes.join("\n") + "\n")?;
    Ok(())
}
