//! What counts as work that waits.

use super::*;

const PARTITIONS: i32 = 24;
const RATE_PER_S: i64 = 100;

/// Whether the pods' rate was measured after a minute in which `waiting` records of each
/// partition were not committed yet, in `idle` of them a single one.
fn is_measured(waiting: i64, idle: i32) -> bool {
    let options = SloOptions { in_flight_s: 1.0, ..SloOptions::default() };
    let mut estimator = Estimator::new(&options);
    let counts = Counts { spec: 4, status: 4, ready: 4 };
    for second in 1..=60 {
        let end = 10_000 + second * RATE_PER_S;
        let committed = |partition| end - if partition < idle { 1 } else { waiting };
        let offsets: Vec<PartitionOffsets> = (0..PARTITIONS)
            .map(|partition| PartitionOffsets {
                partition,
                committed: Some(committed(partition)),
                end: Some(end),
            })
            .collect();
        estimator.observe(second * 1000, counts, &offsets, &options);
    }
    estimator.estimate(60_000, &options).situation.is_measured
}

/// A second's worth is in flight anyway. Pods are busy, and then show what they can do, when
/// half as much again waits; less is what slow writes look like, and is no measurement.
#[test]
fn pods_are_busy_when_half_as_much_again_waits_as_is_in_flight() {
    assert!(!is_measured(145, 0), "1.45 times what is in flight");
    assert!(is_measured(155, 0), "1.55 times");
}

#[test]
fn pods_are_busy_when_nine_partitions_of_ten_have_work_waiting() {
    assert!(is_measured(300, 2), "22 of 24");
    assert!(!is_measured(300, 3), "21 of 24");
}
