//! What counts as work that waits.

use super::*;

const PARTITIONS: i32 = 24;
const RATE_PER_S: i64 = 100;

/// Whether the pods' rate was measured then.
fn is_measured(waiting: i64, idle: i32) -> bool {
    after_a_minute(1.0, waiting, idle).is_measured
}

/// What is seen after a minute in which `waiting` records of each partition were not committed
/// yet, in `idle` of them a single one.
fn after_a_minute(in_flight_s: f64, waiting: i64, idle: i32) -> Situation {
    let options = SloOptions { in_flight_s, ..SloOptions::default() };
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
    estimator.estimate(60_000, &options).situation
}

/// A second's worth is in flight anyway. Pods are busy, and then show what they can do, when
/// half as much again waits; less is what slow writes look like, and is no measurement.
#[test]
fn pods_are_busy_when_half_as_much_again_waits_as_is_in_flight() {
    assert!(!is_measured(145, 0), "1.45 times what is in flight");
    assert!(is_measured(155, 0), "1.55 times");
}

/// What is in flight is as many seconds' worth as the pods take for a record.
#[test]
fn what_is_in_flight_grows_with_the_time_a_record_takes() {
    for in_flight_s in [0.5, 3.0] {
        let records = |factor: f64| (RATE_PER_S as f64 * in_flight_s * factor) as i64;
        let [less, more] =
            [1.4, 1.6].map(|factor| after_a_minute(in_flight_s, records(factor), 0).is_measured);
        assert!(!less && more, "{in_flight_s} s in flight: {less} {more}");
    }
}

#[test]
fn what_is_in_flight_is_no_backlog() {
    for (in_flight_s, waiting, backlog) in [(3.0, 400, 100.0), (3.0, 250, 0.0), (0.5, 150, 100.0)] {
        let backlogs = after_a_minute(in_flight_s, waiting, 0).backlogs;
        assert_eq!(backlogs.len(), 24);
        let near = |seen: &f64| (seen - backlog).abs() < 5.0;
        assert!(backlogs.iter().all(near), "{waiting} of {in_flight_s} s: {backlogs:?}");
    }
}

/// Sixteen pods have 24 partitions: eight have two each, which are more than half busy, and
/// somewhat more comes to them than they do.
#[test]
fn where_the_fullest_pods_fall_behind_a_pod_does_less_than_they_are_given() {
    let rate_after = |busy: i32| {
        let options = SloOptions { pod_rate_per_s: 500.0, ..SloOptions::default() };
        let mut estimator = Estimator::new(&options);
        let counts = Counts { spec: 16, status: 16, ready: 16 };
        for second in 1..=60 {
            let end = 10_000 + second * RATE_PER_S;
            let waiting = |partition| if partition < busy { 300 + 10 * second } else { 1 };
            let offsets: Vec<PartitionOffsets> = (0..PARTITIONS)
                .map(|partition| PartitionOffsets {
                    partition,
                    committed: Some(end - waiting(partition)),
                    end: Some(end),
                })
                .collect();
            estimator.observe(second * 1000, counts, &offsets, &options);
        }
        estimator.pod_rate_per_s()
    };
    let fallen = rate_after(8);
    // 100 a second come to each partition, and 90 are done.
    assert!((179.0..190.0).contains(&fallen), "two partitions' worth: {fallen}");
    assert_eq!(rate_after(7), 500.0, "less than half of the fullest pods' partitions");
}

/// Without pods nothing moves either, and the facts are fresh.
#[test]
fn facts_are_old_when_nothing_moves_though_pods_are_there() {
    let frozen_s = |pods: i32| {
        let options = SloOptions::default();
        let mut estimator = Estimator::new(&options);
        for second in 1..=70 {
            let ready = if second <= 60 { 4 } else { pods };
            let counts = Counts { spec: ready, status: ready, ready };
            let end = 10_000 + second.min(60) * RATE_PER_S;
            let offsets: Vec<PartitionOffsets> = (0..PARTITIONS)
                .map(|partition| PartitionOffsets {
                    partition,
                    committed: Some(end - 50),
                    end: Some(end),
                })
                .collect();
            estimator.observe(second * 1000, counts, &offsets, &options);
        }
        estimator.estimate(70_000, &options).frozen_s
    };
    assert_eq!((frozen_s(4), frozen_s(0)), (Some(10.0), None));
}

#[test]
fn pods_are_busy_when_nine_partitions_of_ten_have_work_waiting() {
    assert!(is_measured(300, 2), "22 of 24");
    assert!(!is_measured(300, 3), "21 of 24");
}

/// A topic that is deleted and made again with fewer partitions: what waited in the others is
/// gone with them. It had kept pods for as long as the scaler ran.
#[test]
fn partitions_that_are_no_more_have_no_backlog() {
    let options = SloOptions::default();
    let mut estimator = Estimator::new(&options);
    let counts = Counts { spec: 4, status: 4, ready: 4 };
    let mut look = |second: i64, partitions: i32, end: i64| {
        let offsets: Vec<PartitionOffsets> = (0..partitions)
            .map(|partition| PartitionOffsets { partition, committed: Some(0), end: Some(end) })
            .collect();
        estimator.observe(second * 1000, counts, &offsets, &options);
        let seen = estimator.estimate(second * 1000, &options);
        (seen.backlog, seen.situation.backlogs.len())
    };
    assert_eq!(look(1, 4, 2000), (8000.0, 4));
    assert_eq!(look(2, 2, 0), (0.0, 2), "made again, empty");
    assert_eq!(look(3, 6, 100), (600.0, 6), "and has more since");
}
