//! The committed scenarios, and what holds for every run.

use tidegate_autoscale::scaled_object::ScaledObject;
use tidegate_autoscale::series::csv;
use tidegate_sim::{Run, Scenario, simulate, stock_law};

const DEMO: &str = include_str!("../../../config/scaled-object-demo.yaml");
const LOCAL: &str = include_str!("../../../config/scaled-object-local.yaml");

fn run(name: &str, scenario: &str, manifest: &str, seed: u64) -> Run {
    let scenario = Scenario::from_text(name, scenario).expect("a valid scenario");
    let object = ScaledObject::from_yaml(manifest, name).expect("a valid manifest");
    simulate(&scenario, seed, &mut stock_law(object, &scenario.control))
}

fn spike(seed: u64) -> Run {
    run("spike.toml", include_str!("../../../config/scenarios/spike.toml"), DEMO, seed)
}

#[test]
fn the_same_seed_gives_the_same_bytes() {
    let (first, second) = (spike(1), spike(1));
    assert_eq!(csv(&first.seconds), csv(&second.seconds));
    assert_eq!(first, second);
    assert_ne!(csv(&first.seconds), csv(&spike(2).seconds), "the seed matters");
}

#[test]
fn arrived_is_processed_and_waiting() {
    for seed in 1..=5 {
        let summary = spike(seed).summary;
        let once = summary.processed - summary.duplicated;
        assert_eq!(summary.arrived, once + summary.end_backlog as u64, "{summary}");
        assert_eq!(summary.duplicated, 0, "{summary}");
    }
}

#[test]
fn the_local_demo_keeps_up() {
    let text = include_str!("../../../config/scenarios/local-demo.toml");
    let run = run("local-demo.toml", text, LOCAL, 1);
    let summary = &run.summary;
    assert_eq!(summary.end_backlog, 0, "{summary}");
    assert!(summary.max_age_s < 10.0, "{summary}");
    assert_eq!(run.seconds.last().map(|second| second.replicas_current), Some(0), "to zero");
}

#[test]
fn a_day_is_simulated_to_its_end() {
    let text = include_str!("../../../config/scenarios/diurnal.toml");
    let run = run("diurnal.toml", text, DEMO, 1);
    assert_eq!(run.seconds.len(), 86_400);
    let hidden = run.seconds.iter().filter(|second| second.reason.contains("cannot be read"));
    assert!((540..=660).contains(&hidden.count()));
}
