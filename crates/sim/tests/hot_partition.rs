//! One partition that needs about a pod, or more: whatever count the law begins with, it keeps
//! the promise where any count does, and does no harm where none does.

use tidegate_autoscale::law::{Decision, Recorder, SloLaw, SloOptions};
use tidegate_autoscale::scaled_object::ScaledObject;
use tidegate_sim::{Run, Scenario, simulate, slo_options};

const DEMO: &str = include_str!("../../../config/scaled-object-demo.yaml");
const TARGET_AGE_S: f64 = 30.0;

/// 600 records a second, pods of 100; partition 7 has `weight` times the share of another.
fn run(partitions: usize, weight: f64, replicas: u32) -> (Run, Vec<Decision>) {
    let mut weights = vec![1.0; partitions];
    weights[7] = weight;
    let text = format!(
        "duration_s = 1200
        [load]
        phases = [{{ kind = 'step', rate_per_s = 600.0, duration_s = 1200.0 }}]
        [topic]
        partitions = {partitions}
        weights = {weights:?}
        [pod]
        replicas = {replicas}
        jitter = 0.02"
    );
    let scenario = Scenario::from_text("hot", &text).expect("valid");
    let object = ScaledObject::from_yaml(DEMO, "demo").expect("valid");
    let options = SloOptions { target_age_s: TARGET_AGE_S, ..slo_options(&scenario, &object) };
    let mut law = Recorder::new(SloLaw::new(options, 0).expect("valid"));
    let run = simulate(&scenario, 1, &mut law);
    (run, law.decisions)
}

#[test]
fn a_partition_of_nearly_a_pod_gets_one_for_itself() {
    // 0.93 to 0.98 of a pod; with neighbours it falls behind.
    for weight in [4.2, 4.3, 4.4, 4.5] {
        for replicas in [4, 8, 10, 12, 16, 24] {
            let (run, decisions) = run(24, weight, replicas);
            let last = decisions.last().expect("decided");
            let told = format!("{weight}, {replicas}: {}; {}", run.summary, last.explanation());
            assert_eq!(run.seconds[1100].replicas_current, 24, "{told}");
            assert!(run.seconds[1100].oldest_age_s < TARGET_AGE_S, "{told}");
        }
    }
}

#[test]
fn a_partition_of_more_than_a_pod_is_not_given_more_neighbours() {
    for (weight, pods) in [(3.35, "1.4"), (5.0, "1.9")] {
        let (run, decisions) = run(12, weight, 8);
        assert!(decisions.iter().all(|decision| decision.to >= 8), "{weight}: {}", run.summary);
        let sentence = format!("partition 7 alone needs {pods} pods; more pods cannot help");
        let last = decisions.last().expect("decided");
        assert!(last.binding.contains(&sentence), "{}", last.explanation());
    }
}

#[test]
fn where_all_partitions_are_alike_none_is_called_hot() {
    let (_, decisions) = run(12, 1.0, 4);
    assert!(decisions.iter().all(|decision| !decision.binding.contains("alone needs")));
}
