//! How fast the simulator and the search on top of it are: a day of 216 million records on
//! 100 partitions under stock KEDA and HPA, and 10,000 configurations of the published
//! run's 24 minutes. In this process, without files and without a broker.

use std::fmt::Write as _;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use anyhow::Context;
use tidegate_autoscale::scaled_object::ScaledObject;
use tidegate_plan::trial::{AgeKind, NamedScenario};
use tidegate_plan::tune::{Base, LawKind, Options, Search};
use tidegate_sim::{Prepared, Scenario, stock_law};

use super::median;
use crate::findings::{Finding, Target};
use crate::run::Bench;

const DAY: &str = include_str!("../../../config/scenarios/diurnal.toml");
const WINDOW: &str = include_str!("../../../config/scenarios/published-24min.toml");
const OBJECT: &str = include_str!("../../../config/scaled-object-demo.yaml");
/// A day this many times; the median counts.
const DAYS: usize = 9;
const CONFIGURATIONS: u64 = 10_000;
const THREADS: usize = 2;

pub(super) fn run(bench: &Bench) -> anyhow::Result<Vec<Finding>> {
    let mut raw = String::new();
    let mut findings = day(&mut raw)?;
    findings.extend(tune(&mut raw)?);
    let directory = bench.results.join("sim");
    std::fs::create_dir_all(&directory)?;
    std::fs::write(directory.join("raw.txt"), raw)?;
    Ok(findings)
}

fn day(raw: &mut String) -> anyhow::Result<Vec<Finding>> {
    let object = ScaledObject::from_yaml(OBJECT, "scaled-object-demo.yaml")?;
    let scenario = Scenario::from_text("diurnal.toml", DAY)?;
    let mut took_ms = Vec::new();
    for _ in 0..DAYS {
        // Everything from the scenario's text on counts: also its arrivals.
        let began = Instant::now();
        let law = &mut stock_law(object.clone(), &scenario.control);
        let summary = Prepared::new(&scenario, 1).summarize(law);
        took_ms.push(began.elapsed().as_secs_f64() * 1e3);
        let _ = writeln!(raw, "day: {:.1} ms\n{summary}", took_ms[took_ms.len() - 1]);
    }
    let day_ms = f64::from(scenario.duration_s) * 1e3;
    let took_ms = median(&mut took_ms);
    Ok(vec![
        Finding::new("a day of 100 partitions, one core", took_ms, "ms", Target::AtMost(1000.0)),
        Finding::new("times real time", day_ms / took_ms, "", Target::AtLeast(1e6)),
    ])
}

fn tune(raw: &mut String) -> anyhow::Result<Vec<Finding>> {
    let scenario = Scenario::from_text("published-24min.toml", WINDOW)?;
    let scenarios = [NamedScenario { name: "published-24min.toml".into(), scenario }];
    let base = Base::from_yaml("scaled-object-demo.yaml", OBJECT)?;
    let options = Options {
        configurations: CONFIGURATIONS,
        seed: 1,
        seeds: vec![1, 2, 3],
        threads: THREADS,
        age: AgeKind::P99,
    };
    let began = Instant::now();
    let mut search = Search::new(&base, &scenarios, LawKind::Stock, options, None)?;
    let stop = AtomicBool::new(false);
    while search.step(&stop)? {
        let progress = search.progress();
        let _ = writeln!(raw, "tune: {:.2} s {progress:?}", began.elapsed().as_secs_f64());
    }
    let took_s = began.elapsed().as_secs_f64();
    let progress = search.progress();
    let _ = writeln!(raw, "tune: {took_s:.2} s {progress:?}");
    let best = search.front().points().first().context("nothing was found")?;
    let evaluated = progress.evaluated as f64;
    Ok(vec![
        Finding::new("configurations of 24 minutes", evaluated, "", Target::AtLeast(10_000.0)),
        Finding::new("... on two threads", took_s, "s", Target::AtMost(60.0)),
        Finding::new("... a second", evaluated / took_s, "", Target::Told),
        Finding::new("simulations", progress.simulations as f64, "", Target::Told),
        Finding::new("least p99 age found", best.score.age_s, "s", Target::Told),
    ])
}
