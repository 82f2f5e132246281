//! The published run's figures in a simulation of a scenario file:
//! `cargo run --release -p tidegate-sim --example published [SCENARIO [SPIKE_S [SEEDS]]]`
#![allow(clippy::print_stdout)]

use std::error::Error;

use tidegate_autoscale::scaled_object::ScaledObject;
use tidegate_sim::{Scenario, simulate, stock_law};

#[path = "../tests/support/published.rs"]
mod published;

const SCENARIO: &str = "config/scenarios/published.toml";
const SPIKE_S: usize = 3600;
const SCALED_OBJECT: &str = include_str!("../../../config/scaled-object-demo.yaml");

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let path = args.next().unwrap_or_else(|| SCENARIO.into());
    let spike_s = args.next().map_or(Ok(SPIKE_S), |text| text.parse())?;
    let seeds: u64 = args.next().map_or(Ok(8), |text| text.parse())?;
    let scenario = Scenario::from_text(&path, &std::fs::read_to_string(&path)?)?;
    let object = ScaledObject::from_yaml(SCALED_OBJECT, "scaled-object-demo.yaml")?;
    for seed in 1..=seeds {
        let law = &mut stock_law(object.clone(), &scenario.control);
        let run = simulate(&scenario, seed, law);
        println!("seed {seed}: {:?}", published::Figures::new(&run, spike_s));
    }
    Ok(())
}
