//! Facts that cannot be read, or are old, tell nothing of what pods did meanwhile: at a
//! constant load the slo law comes out of them with the pods it went in with.

use tidegate_autoscale::law::{Decision, Recorder, SloLaw, SloOptions};
use tidegate_autoscale::scaled_object::ScaledObject;
use tidegate_sim::{Scenario, simulate, slo_options};

const DEMO: &str = include_str!("../../../config/scaled-object-demo.yaml");

/// 1,000 a second on 15 pods of 100, for 25 minutes, and what goes wrong at 250 s.
fn decisions(fault: &str, duration_s: u32, seed: u64) -> Vec<Decision> {
    run_with(&format!("kind = '{fault}', at_s = 250.0, duration_s = {duration_s}.0"), seed)
}

fn run_with(fault: &str, seed: u64) -> Vec<Decision> {
    let text = format!(
        "duration_s = 1500\nload.phases = [{{ kind = 'step', rate_per_s = 1000.0, duration_s = 1500.0 }}]\n\
         pod.replicas = 15\npod.jitter = 0.1\n\
         faults = [{{ {fault} }}]"
    );
    let scenario = Scenario::from_text("outage.toml", &text).expect("valid");
    let object = ScaledObject::from_yaml(DEMO, "demo").expect("valid");
    let options = SloOptions { target_age_s: 10.0, ..slo_options(&scenario, &object) };
    let mut law = Recorder::new(SloLaw::new(options, 0).expect("valid"));
    let _ = simulate(&scenario, seed, &mut law);
    law.decisions
}

/// Pods wanted, at each change.
fn changes(decisions: &[Decision]) -> Vec<(i64, i32)> {
    let changed = decisions.iter().filter(|decision| decision.changes());
    changed.map(|decision| (decision.at_ms / 1000, decision.to)).collect()
}

/// What the law takes a pod's rate to be after the fault, least and most.
fn pod_rates(decisions: &[Decision]) -> (f64, f64) {
    let after = decisions.iter().filter(|decision| decision.at_ms > 250_000);
    let rates =
        after.filter_map(|decision| decision.terms.as_ref()).map(|terms| terms.pod_rate_per_s);
    // Without facts there is none.
    rates
        .filter(|rate| *rate > 0.0)
        .fold((f64::MAX, 0.0), |(a, b), rate| (a.min(rate), b.max(rate)))
}

#[test]
fn old_or_missing_facts_change_nothing() {
    for fault in ["stale_metric", "missing_metric"] {
        for (duration_s, seed) in [(2, 1), (7, 2), (40, 3), (300, 4)] {
            let decisions = decisions(fault, duration_s, seed);
            assert_eq!(changes(&decisions), [], "{fault} for {duration_s} s");
            let (least, most) = pod_rates(&decisions);
            assert!(least > 85.0 && most < 115.0, "{fault} {duration_s} s: {least} to {most}");
        }
    }
}

/// What waits after it is worked off; a pod is not taken to have become slow.
#[test]
fn a_broker_that_was_away_makes_no_pod_slow() {
    for (duration_s, seed) in [(3, 1), (12, 2), (40, 3), (120, 4)] {
        let decisions = decisions("broker_pause", duration_s, seed);
        let (least, most) = pod_rates(&decisions);
        assert!(least > 85.0 && most < 115.0, "{duration_s} s: {least} to {most}");
        let changes = changes(&decisions);
        let wanted: Vec<i32> = changes.iter().map(|(_, to)| *to).collect();
        // Up once, if at all, for what waits; then down.
        let is_down = wanted.windows(2).all(|pair| pair[1] < pair[0]);
        let end = decisions.last().map(|decision| decision.to);
        assert!(is_down && end.is_some_and(|end| end <= 20), "{duration_s} s: {changes:?}");
    }
}

/// All pods wait for it alike: more of them would too. Batches that begin while it is away end
/// when it is back.
#[test]
fn a_database_that_was_away_is_no_slow_pod_and_no_reason_for_more() {
    for (away_s, seed) in [(10, 1), (40, 2), (120, 3)] {
        // From 250 s on a batch takes this long; the first of them end then.
        let fault =
            format!("kind = 'slow_sink', at_s = 250.0, duration_s = 1.5, factor = {away_s}.0");
        let decisions = run_with(&fault, seed);
        let (least, most) = pod_rates(&decisions);
        assert!(least > 60.0 && most < 115.0, "{away_s} s: {least} to {most}");
        let changes = changes(&decisions);
        // Batches take a tenth more or less.
        let back_s = 250 + away_s * 9 / 10;
        assert!(changes.iter().all(|(at_s, _)| *at_s >= back_s), "{away_s} s: {changes:?}");
        let told = decisions.iter().any(|decision| decision.binding.contains("no pod has written"));
        assert!(told, "{away_s} s");
        let finite = decisions.iter().filter_map(|decision| decision.terms.as_ref());
        assert!(finite.clone().all(|terms| terms.utilisation.is_finite()), "{away_s} s");
    }
}
