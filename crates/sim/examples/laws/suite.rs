//! Twelve further scenarios: the slo law against stock KEDA tuned for each of them.

use std::error::Error;
use std::fmt::Write as _;
use std::path::Path;

use tidegate_autoscale::law::{Compared, Recorder};
use tidegate_autoscale::scaled_object::ScaledObject;
use tidegate_sim::{Scenario, simulate, stock_law};

use crate::figures::{Figures, in_parallel, judged, scenario, slo};
use crate::promises::SUITE;
use crate::settings::{Settings, candidates};

const DEMO: &str = include_str!("../../../../config/scaled-object-demo.yaml");
const MAX_REPLICAS: u32 = 100;
const SEED: u64 = 1;
const CANDIDATES: usize = 60;
/// Who tunes knows the load of so many seconds, and may keep pods for it at all times.
const KNOWN_S: f64 = 60.0;
/// Ages this near to each other are even, a share of them.
const EVEN: f64 = 0.02;

/// The scenarios.
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    SUITE.iter().map(|(name, _)| *name)
}

/// The table of all scenarios, or of one.
pub(crate) fn table(one: Option<&str>, results: Option<&Path>) -> Result<String, Box<dyn Error>> {
    let mut text = format!(
        "# Twelve scenarios\n\nStock is the best of {CANDIDATES} settings for each scenario, chosen with \
         hindsight: the least p99 at slo's cost or less, and the least p99 at any cost.\n\n\
         | scenario | promise | slo p99 / oldest | reversals | pod-seconds | stock at slo's cost: p99 / oldest | \
         pod-seconds | stock at any cost: p99 / oldest | pod-seconds | as published: p99 | verdict |\n\
         |---|---|---|---|---|---|---|---|---|---|---|\n"
    );
    for (name, target_age_s) in
        SUITE.into_iter().filter(|(name, _)| one.is_none_or(|one| one == *name))
    {
        let line = row(name, target_age_s, results)?;
        eprint_progress(name);
        text.push_str(&line);
    }
    Ok(text)
}

#[allow(clippy::print_stderr)]
fn eprint_progress(name: &str) {
    eprintln!("{name} done");
}

fn row(name: &str, target_age_s: f64, results: Option<&Path>) -> Result<String, Box<dyn Error>> {
    let world = scenario(&format!("suite/{name}.toml"))?;
    let demo = ScaledObject::from_yaml(DEMO, "scaled-object-demo.yaml")?;
    let law = slo(&world, &demo, target_age_s)?;
    let mut law =
        Recorder::new(Compared::new(law, stock_law(demo.clone(), &world.control), "stock"));
    let run = simulate(&world, SEED, &mut law);
    let ours = Figures::of(&run, None);
    if let Some(results) = results {
        std::fs::create_dir_all(results)?;
        let changes: Vec<String> = law
            .decisions
            .iter()
            .filter(|decision| decision.changes())
            .map(|d| format!("{:>6.0} s  {}", d.at_ms as f64 / 1000.0, d.explanation()))
            .collect();
        std::fs::write(results.join(format!("{name}.changes.txt")), changes.join("\n") + "\n")?;
    }
    let published = judged(&world, SEED, &mut stock_law(demo, &world.control), None);
    let tuned = tuned(&world);
    let at_cost = tuned
        .iter()
        .filter(|(_, figures)| figures.pod_seconds <= ours.pod_seconds)
        .min_by(|a, b| by_age(&a.1, &b.1));
    let at_any = tuned.iter().min_by(|a, b| by_age(&a.1, &b.1));
    let verdict = match at_cost {
        Some((_, stock)) if stock.p99_age_s < ours.p99_age_s * (1.0 - EVEN) - 0.1 => {
            "**stock is better**"
        }
        Some((_, stock)) if stock.p99_age_s < ours.p99_age_s * (1.0 + EVEN) + 0.1 => "even",
        Some(_) => "slo",
        None => "slo (stock is dearer)",
    };
    let mut text = format!(
        "| {name} | {target_age_s:.0} s | {:.1} / {:.1} s | {} | {:.0} |",
        ours.p99_age_s, ours.max_age_s, ours.reversals, ours.pod_seconds
    );
    for stock in [at_cost, at_any] {
        match stock {
            Some((_, figures)) => {
                let Figures { p99_age_s, max_age_s, pod_seconds, .. } = figures;
                let _ = write!(text, " {p99_age_s:.1} / {max_age_s:.1} s | {pod_seconds:.0} |");
            }
            None => text.push_str(" none | |"),
        }
    }
    let _ = writeln!(text, " {:.1} s | {verdict} |", published.p99_age_s);
    Ok(text)
}

fn by_age(a: &Figures, b: &Figures) -> std::cmp::Ordering {
    a.p99_age_s.total_cmp(&b.p99_age_s).then(a.pod_seconds.total_cmp(&b.pod_seconds))
}

fn tuned(world: &Scenario) -> Vec<(Settings, Figures)> {
    let now_per_s = world.load.cumulative(KNOWN_S) / KNOWN_S;
    let candidates = candidates(CANDIDATES, now_per_s / world.pod.capacity_per_s());
    let figures = in_parallel(&candidates, |settings| {
        let object = settings.object(MAX_REPLICAS).ok()?;
        Some(judged(world, SEED, &mut stock_law(object, &world.control), None))
    });
    candidates.into_iter().zip(figures).filter_map(|(s, figures)| Some((s, figures?))).collect()
}
