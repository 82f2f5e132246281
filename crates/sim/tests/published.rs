//! The published run, simulated from its configuration. Its figures were read off the
//! published chart; which parameters of the scenario were calibrated against them, and
//! which figures are not reached, is in `docs/fidelity.md`.
//!
//! One run is a draw from what may happen. Of eight seeds every figure of seven lies within
//! the bounds; the eighth misses two, which are named in the last test.

use tidegate_autoscale::scaled_object::ScaledObject;
use tidegate_sim::{Scenario, simulate, stock_law};

#[path = "support/published.rs"]
mod published;

use published::Figures;

/// When the load goes from 1,000 to 5,000, seconds.
const SPIKE_S: usize = 3600;
const SEEDS: [u64; 7] = [1, 2, 3, 4, 6, 7, 8];
const ODD_SEED: u64 = 5;

fn figures(seed: u64) -> Figures {
    let text = include_str!("../../../config/scenarios/published.toml");
    let scenario = Scenario::from_text("published.toml", text).expect("a valid scenario");
    let manifest = include_str!("../../../config/scaled-object-demo.yaml");
    let object = ScaledObject::from_yaml(manifest, "demo").expect("a valid manifest");
    let run = simulate(&scenario, seed, &mut stock_law(object, &scenario.control));
    Figures::new(&run, SPIKE_S)
}

/// What the calibration looked at. The bounds were set before it.
fn assert_calibrated(figures: &Figures) {
    assert!((86..=94).contains(&figures.peak_pods), "peak 90: {figures:?}");
    assert!((475..=565).contains(&figures.peak_at_s), "at 8:40 +- 0:45: {figures:?}");
    assert!((64..=72).contains(&figures.settled_pods), "settled 68 +- 4: {figures:?}");
    assert!((9.5..=10.5).contains(&figures.climb), "10 a minute: {figures:?}");
    assert!((196.2..=239.8).contains(&figures.max_age_s), "218 s +- 10 %: {figures:?}");
    assert!((102.8..=139.2).contains(&figures.settled_age_s), "121 s +- 15 %: {figures:?}");
    assert!((567_000..=693_000).contains(&figures.settled_backlog), "630,000: {figures:?}");
    let drift = figures.drift.abs() as f64 / figures.settled_backlog as f64;
    assert!(drift < 0.05, "the backlog stays, though the pods could do more: {figures:?}");
}

/// What it did not: at a constant load the pods never rest, because ten are a little too
/// few and each one that goes is a crash; what the run cost; the metric's cap at partitions
/// times threshold.
fn assert_held_out(figures: &Figures) {
    let steady = &figures.steady;
    assert!(steady.least_pods >= 9 && steady.most_pods <= 13, "9 to 13 pods: {steady:?}");
    assert!((87.8..=107.4).contains(&steady.age_s), "98 s +- 10 %: {steady:?}");
    assert!((5..=8).contains(&steady.reversals), "6 changes of direction: {steady:?}");
    assert!(steady.least_lag > 65_000 && steady.most_lag < 135_000, "74k to 127k: {steady:?}");
    assert!((80_009..=88_431).contains(&figures.pod_seconds), "84,220 +- 5 %: {figures:?}");
    assert!((1_000_000..1_010_000).contains(&figures.max_lag_metric), "1.0 M: {figures:?}");
    assert!((1_017_000..=1_243_000).contains(&figures.max_backlog), "1.13 M: {figures:?}");
    assert!(figures.dip_per_s <= 1300.0, "a minute at 0 to 1,300: {figures:?}");
}

#[test]
fn its_figures_are_reached() {
    for seed in SEEDS {
        let figures = figures(seed);
        println!("seed {seed}: {figures:?}");
        assert_calibrated(&figures);
        assert!((54..=62).contains(&figures.trough_pods), "trough 58 +- 4: {figures:?}");
        assert_held_out(&figures);
        assert_eq!(figures.reversals, 2, "down, then up again: {figures:?}");
    }
}

/// Nothing was calibrated against it.
#[test]
fn its_age_has_a_second_peak() {
    let peaks: Vec<f64> = (1..=8).map(|seed| figures(seed).second_age_peak_s).collect();
    let mean_s = peaks.iter().sum::<f64>() / peaks.len() as f64;
    assert!((130.3..=159.3).contains(&mean_s), "144.8 s +- 10 %: {mean_s}: {peaks:?}");
}

/// Named here so that nobody takes it for reached.
#[test]
fn one_seed_of_eight_goes_too_far_down() {
    let figures = figures(ODD_SEED);
    assert_calibrated(&figures);
    assert_held_out(&figures);
    assert_eq!((figures.trough_pods, figures.reversals), (52, 3), "{figures:?}");
}
