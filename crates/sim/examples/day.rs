//! How fast the simulator is: a day of traffic under stock KEDA and HPA, and many runs of
//! the 24 minutes around the published spike.
//!
//! `cargo run --release -p tidegate-sim --example day`
#![allow(clippy::print_stdout)]

use std::error::Error;
use std::time::Instant;

use tidegate_autoscale::scaled_object::ScaledObject;
use tidegate_sim::{Prepared, Scenario, stock_law};

const DAY: &str = include_str!("../../../config/scenarios/diurnal.toml");
const PUBLISHED: &str = include_str!("../../../config/scenarios/published.toml");
const SCALED_OBJECT: &str = include_str!("../../../config/scaled-object-demo.yaml");

/// The published run's spike came this long after its window began, and the window was 24
/// minutes, seconds.
const BEFORE_SPIKE_S: u32 = 70;
const WINDOW_S: u32 = 1440;
const RUNS: u32 = 100;

fn main() -> Result<(), Box<dyn Error>> {
    let object = ScaledObject::from_yaml(SCALED_OBJECT, "scaled-object-demo.yaml")?;
    let day = Scenario::from_text("diurnal.toml", DAY)?;
    let started = Instant::now();
    let summary = Prepared::new(&day, 1).summarize(&mut stock_law(object.clone(), &day.control));
    let took_s = started.elapsed().as_secs_f64();
    println!("{summary}");
    println!("a day          in {took_s:.3} s, {:.0} times as fast", 86_400.0 / took_s);

    let window =
        Scenario { duration_s: WINDOW_S, load: spike(PUBLISHED)?.load, ..spike(PUBLISHED)? };
    let started = Instant::now();
    let prepared = Prepared::new(&window, 1);
    let mut pod_seconds = 0.0;
    for _ in 0..RUNS {
        let law = &mut stock_law(object.clone(), &window.control);
        pod_seconds += prepared.summarize(law).pod_seconds;
    }
    let took_ms = started.elapsed().as_secs_f64() * 1e3 / f64::from(RUNS);
    println!(
        "24 minutes     in {took_ms:.2} ms each, {:.0} pod-seconds",
        pod_seconds / f64::from(RUNS)
    );
    Ok(())
}

/// The published scenario with a short time before its spike.
fn spike(text: &str) -> Result<Scenario, Box<dyn Error>> {
    let mut scenario = Scenario::from_text("published.toml", text)?;
    let steady =
        tidegate_profile::Phase::Step { rate_per_s: 1000.0, duration_s: f64::from(BEFORE_SPIKE_S) };
    if let Some(first) = scenario.load.phases.first_mut() {
        *first = steady;
    }
    Ok(scenario)
}
