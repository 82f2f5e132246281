//! Numbers of partitions worth trying: those that many counts of pods divide.

use tidegate_sim::{Scenario, partition_weights};

/// Numbers with more divisors than any smaller one, and some between them.
const ROUND: &[u32] = &[
    1, 2, 4, 6, 12, 24, 36, 48, 60, 72, 96, 120, 144, 180, 240, 360, 480, 720, 840, 1260, 1680,
    2520, 5040, 7560, 10_000,
];

/// Options tried at most.
const MOST: usize = 5;

/// The divisors of a number.
pub(super) fn divisors(number: u32) -> Vec<u32> {
    (1..=number).filter(|divisor| number.is_multiple_of(*divisor)).collect()
}

/// A scenario with another number of partitions; given weights go, since they are one a
/// partition.
pub(super) fn with_partitions(scenario: &Scenario, partitions: u32) -> Scenario {
    let mut other = scenario.clone();
    if other.topic.partitions != partitions {
        other.topic.partitions = partitions;
        other.topic.weights.clear();
    }
    other
}

/// The share of the load on the hottest partition.
pub(super) fn hottest_share(scenario: &Scenario) -> f64 {
    partition_weights(&scenario.topic, &scenario.load).into_iter().fold(0.0, f64::max)
}

/// The least that carry the load by arithmetic, and some more; the scenario's own among them.
pub(super) fn options(scenario: &Scenario, peak_per_s: f64, pod_rate_per_s: f64) -> Vec<u32> {
    let needed = (peak_per_s / pod_rate_per_s).ceil().max(1.0) as u32;
    let own = scenario.topic.partitions;
    let mut options: Vec<u32> =
        ROUND.iter().copied().filter(|count| *count >= needed).take(MOST - 1).collect();
    if own >= needed || options.is_empty() {
        options.push(own);
    }
    options.sort_unstable();
    options.dedup();
    options
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_carry_the_load_and_hold_the_scenarios_own() {
        let text = "duration_s = 60\ntopic.partitions = 100\n\
            load.phases = [{ kind = 'step', rate_per_s = 5000.0, duration_s = 60.0 }]";
        let scenario = Scenario::from_text("a.toml", text).expect("scenario");
        assert_eq!(options(&scenario, 5000.0, 100.0), [60, 72, 96, 100, 120]);
        assert_eq!(options(&scenario, 50_000.0, 100.0), [720, 840, 1260, 1680]);
        assert_eq!(divisors(24), [1, 2, 3, 4, 6, 8, 12, 24]);
        assert!((hottest_share(&scenario) - 0.01).abs() < 1e-12);
    }
}
