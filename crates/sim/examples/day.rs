//! A day of traffic under stock KEDA and HPA: `cargo run --release -p tidegate-sim --example day`
#![allow(clippy::print_stdout)]

use std::error::Error;
use std::time::Instant;

use tidegate_autoscale::scaled_object::ScaledObject;
use tidegate_sim::{Scenario, simulate, stock_law};

const SCENARIO: &str = include_str!("../../../config/scenarios/diurnal.toml");
const SCALED_OBJECT: &str = include_str!("../../../config/scaled-object-demo.yaml");

fn main() -> Result<(), Box<dyn Error>> {
    let scenario = Scenario::from_text("diurnal.toml", SCENARIO)?;
    let object = ScaledObject::from_yaml(SCALED_OBJECT, "scaled-object-demo.yaml")?;
    let started = Instant::now();
    let run = simulate(&scenario, 1, &mut stock_law(object, &scenario.control));
    println!("{}", run.summary);
    println!(
        "simulated      {} s in {:.2} s",
        scenario.duration_s,
        started.elapsed().as_secs_f64()
    );
    Ok(())
}
