//! Pods, partitions, load.

use super::numbers::{short, thousands};
use super::{BEHAVIOR, Scaling};
use crate::Severity;
use crate::finding::Findings;

const ABOVE: (&str, Severity) = ("TG010", Severity::Warning);
const BELOW: (&str, Severity) = ("TG012", Severity::Warning);
const CAP: (&str, Severity) = ("TG013", Severity::Warning);

pub(super) fn check(scaling: &Scaling<'_>, out: &mut Findings) {
    let Some(partitions) = scaling.facts.partitions() else { return };
    above_partitions(scaling, partitions, out);
    counts_without_effect(scaling, partitions, out);
    below_load(scaling, partitions, out);
    metric_cap(scaling, partitions, out);
}

fn above_partitions(scaling: &Scaling<'_>, partitions: i64, out: &mut Findings) {
    let max = scaling.max();
    // Lifted caps are TG025's.
    if max <= partitions || scaling.flag("allowIdleConsumers") {
        return;
    }
    out.add(
        ABOVE,
        scaling.object,
        "spec.maxReplicaCount",
        format!(
            "maxReplicaCount {max} on {partitions} partitions: a partition has one reader, so {} pods would have none",
            max - partitions
        ),
        format!("maxReplicaCount: {partitions}, or more partitions"),
    );
}

/// The widest range of counts that all carry the same: from its first to its last.
fn widest_dead_range(partitions: i64, max: i64) -> (i64, i64) {
    let top = max.min(partitions).max(1);
    let share = |pods: i64| (partitions + pods - 1) / pods;
    let mut widest = (1, 1);
    let mut first = 1;
    for pods in 1..=top {
        if share(pods) != share(first) {
            first = pods;
        }
        if pods - first > widest.1 - widest.0 {
            widest = (first, pods);
        }
    }
    widest
}

fn counts_without_effect(scaling: &Scaling<'_>, partitions: i64, out: &mut Findings) {
    let max = scaling.max();
    if scaling.kafka().is_none() || scaling.flag("ensureEvenDistributionOfPartitions") {
        return;
    }
    let (first, last) = widest_dead_range(partitions, max);
    let dead = last - first;
    if dead == 0 {
        return;
    }
    // More than a third of all counts: likely to be hit and stayed at.
    let severity = if 3 * dead > max { Severity::Warning } else { Severity::Note };
    let share = (partitions + first - 1) / first;
    out.add(
        ("TG011", severity),
        scaling.object,
        "spec.maxReplicaCount",
        format!(
            "{partitions} partitions on {} to {last} pods: some pod still reads {share} of them (ceil({partitions}/n) = {share}), so any of these counts carries exactly what {first} do, and the lag trigger does not know",
            first + 1
        ),
        "ensureEvenDistributionOfPartitions: \"true\" in the trigger (KEDA 2.18 or later): only divisors of the partitions are asked for",
    );
}

fn below_load(scaling: &Scaling<'_>, partitions: i64, out: &mut Findings) {
    let (Some(scenario), Some(rate)) = (scaling.facts.scenario, scaling.facts.pod_rate_per_s())
    else {
        return;
    };
    let peak = peak_rate_per_s(scenario);
    let max = scaling.max().min(partitions).max(1);
    let share = (partitions + max - 1) / max;
    let carried = rate * partitions as f64 / share as f64;
    if carried >= peak {
        return;
    }
    out.add(
        BELOW,
        scaling.object,
        "spec.maxReplicaCount",
        format!(
            "{max} pods at {} records a second carry {} ({share} partitions on a pod); the scenario's load reaches {}: the backlog grows as long as it lasts",
            short(rate),
            short(carried),
            short(peak)
        ),
        format!(
            "at least {} partitions and maxReplicaCount {}, or faster pods (a larger batch)",
            thousands((peak / rate).ceil() as i64),
            thousands((peak / rate).ceil() as i64)
        ),
    );
}

/// The highest rate of a scenario's load, sampled every second.
fn peak_rate_per_s(scenario: &tidegate_sim::Scenario) -> f64 {
    (0..scenario.duration_s)
        .map(|second| scenario.load.rate_at(f64::from(second)))
        .fold(0.0, f64::max)
}

/// KEDA caps the metric at partitions × threshold; inside the tolerance the HPA then stops
/// short of the cap.
fn metric_cap(scaling: &Scaling<'_>, partitions: i64, out: &mut Findings) {
    let Some(threshold) = scaling.lag_threshold() else { return };
    if scaling.flag("allowIdleConsumers") {
        return;
    }
    let max = scaling.max();
    let tolerance = scaling.tolerance_up();
    let stops_at = (partitions as f64 / (1.0 + tolerance) - 1e-9).ceil() as i64;
    if stops_at >= max.min(partitions) {
        return;
    }
    out.add(
        CAP,
        scaling.object,
        &scaling.trigger_path("metadata.lagThreshold"),
        format!(
            "KEDA caps the metric at {partitions} × {} = {} records; above, a growing backlog looks the same, and with a tolerance of {} the HPA stops at {stops_at} of {} pods ({partitions}/{stops_at} is within it)",
            thousands(threshold),
            thousands(partitions.saturating_mul(threshold)),
            short(tolerance),
            max.min(partitions)
        ),
        format!("{BEHAVIOR}.scaleUp.tolerance: 0 (Kubernetes 1.35; 1.33 with its gate), or more partitions than maxReplicaCount"),
    );
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_published_partitions_waste_every_count_from_51_to_99() {
        assert_eq!(widest_dead_range(100, 100), (50, 99));
        assert_eq!(widest_dead_range(24, 16), (12, 16));
        assert_eq!(widest_dead_range(1, 1), (1, 1));
        assert_eq!(widest_dead_range(100, 1), (1, 1));
    }

    proptest! {
        #[test]
        fn every_count_of_the_range_carries_the_same(partitions in 1_i64..400, max in 1_i64..500) {
            let (first, last) = widest_dead_range(partitions, max);
            prop_assert!(1 <= first && first <= last && last <= max.min(partitions));
            prop_assert_eq!((partitions + first - 1) / first, (partitions + last - 1) / last);
        }
    }
}
