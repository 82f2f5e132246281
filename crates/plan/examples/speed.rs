//! How fast `tune` evaluates configurations of the published run, its 24 minutes from five
//! before the spike on: `cargo run --release -p tidegate-plan --example speed [COUNT]`
#![allow(clippy::print_stdout)]

use std::error::Error;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use tidegate_plan::trial::{AgeKind, NamedScenario};
use tidegate_plan::tune::{Base, LawKind, Options, Search};
use tidegate_sim::Scenario;

const SCENARIO: &str = include_str!("../../../config/scenarios/published-24min.toml");
const DEMO: &str = include_str!("../../../config/scaled-object-demo.yaml");

fn main() -> Result<(), Box<dyn Error>> {
    let configurations = std::env::args().nth(1).map_or(Ok(10_000), |count| count.parse())?;
    let threads = std::thread::available_parallelism()?.get();
    let scenario = Scenario::from_text("published-24min.toml", SCENARIO)?;
    let scenarios = [NamedScenario { name: "published".into(), scenario }];
    let base = Base::from_yaml("demo", DEMO)?;
    let options =
        Options { configurations, seed: 1, seeds: vec![1, 2, 3], threads, age: AgeKind::P99 };
    let stop = AtomicBool::new(false);
    let mut search = Search::new(&base, &scenarios, LawKind::Stock, options, None)?;
    let began = Instant::now();
    while search.step(&stop)? {}
    let progress = search.progress();
    let took_s = began.elapsed().as_secs_f64();
    println!(
        "{} configurations, {} simulations of {} s, {threads} threads: {took_s:.1} s, {:.2} ms of a thread a simulation",
        progress.evaluated,
        progress.simulations,
        scenarios[0].scenario.duration_s,
        1000.0 * took_s * threads as f64 / progress.simulations as f64
    );
    Ok(())
}
