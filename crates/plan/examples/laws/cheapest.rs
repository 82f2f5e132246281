//! The cheapest schedule that keeps an age, by search.
//!
//! A schedule here is three counts: before the spike, from some moment after it, and from a
//! later one. The search knows the load. Counts are those at which a pod's partitions get
//! fewer, the moment of the order is tried at several delays, and the moment of coming
//! down is found by halving: later is never worse in age.

use tidegate_autoscale::law::Schedule;
use tidegate_sim::Scenario;

use crate::figures::{Figures, in_parallel, judged};

/// What the schedule must keep.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    pub(crate) max_age_s: f64,
    pub(crate) p99_age_s: f64,
    /// Before the spike.
    pub(crate) steady_p99_s: f64,
    pub(crate) end_backlog: i64,
}

/// Where the search looks.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Space {
    pub(crate) spike_s: usize,
    pub(crate) window_s: (usize, usize),
    pub(crate) max_replicas: i32,
    pub(crate) seed: u64,
}

/// A schedule and what it comes to.
#[derive(Debug, Clone)]
pub(crate) struct Found {
    pub(crate) steps: Vec<(i64, i32)>,
    pub(crate) figures: Figures,
}

/// Moments of the order after the spike, seconds.
const ORDER_AFTER_S: [usize; 3] = [1, 5, 20];
/// Resolution of the moment of coming down, seconds.
const RESOLUTION_S: usize = 4;

/// The cheapest schedule that keeps the limits, and how many were simulated.
pub(crate) fn search(scenario: &Scenario, limits: Limits, space: Space) -> (Option<Found>, usize) {
    let counts = counts(scenario.topic.partitions as i32, space.max_replicas);
    let firsts: Vec<i32> = counts
        .iter()
        .copied()
        .filter(|n| {
            (8..=20).contains(n) && steady_p99_s(scenario, *n, space) <= limits.steady_p99_s
        })
        .collect();
    let mut cases = Vec::new();
    for first in firsts {
        for after_s in ORDER_AFTER_S {
            for most in counts.iter().filter(|n| **n >= 40) {
                for last in counts.iter().filter(|n| **n >= 40 && *n <= most) {
                    cases.push((first, space.spike_s + after_s, *most, *last));
                }
            }
        }
    }
    let found = in_parallel(&cases, |case| least(scenario, limits, space, *case));
    let simulated = found.iter().map(|(_, simulated)| simulated).sum();
    let best = found
        .into_iter()
        .filter_map(|(found, _)| found)
        .min_by(|a, b| a.figures.pod_seconds.total_cmp(&b.figures.pod_seconds));
    (best, simulated)
}

/// Counts at which the fullest pod has fewer partitions than with one pod less.
pub(crate) fn counts(partitions: i32, max: i32) -> Vec<i32> {
    (1..=max.min(partitions))
        .filter(|n| *n == 1 || div_ceil(partitions, *n) < div_ceil(partitions, n - 1))
        .collect()
}

fn div_ceil(a: i32, b: i32) -> i32 {
    (a + b - 1) / b
}

/// p99 of the records before the spike with a fixed count.
fn steady_p99_s(scenario: &Scenario, count: i32, space: Space) -> f64 {
    let mut before = scenario.clone();
    before.duration_s = space.spike_s as u32;
    before.pod.replicas = count as u32;
    judged(&before, space.seed, &mut Schedule::new(vec![(0, count)]), None).p99_age_s
}

/// The earliest moment of coming down that keeps the limits.
fn least(
    scenario: &Scenario,
    limits: Limits,
    space: Space,
    (first, order_s, most, last): (i32, usize, i32, i32),
) -> (Option<Found>, usize) {
    let mut simulated = 0;
    let mut run = |down_s: usize| {
        simulated += 1;
        let mut start = scenario.clone();
        start.pod.replicas = first as u32;
        let steps = vec![(0, first), (order_s as i64 * 1000, most), (down_s as i64 * 1000, last)];
        let figures =
            judged(&start, space.seed, &mut Schedule::new(steps.clone()), Some(space.window_s));
        let keeps = figures.max_age_s <= limits.max_age_s
            && figures.p99_age_s <= limits.p99_age_s
            && figures.end_backlog <= limits.end_backlog;
        (keeps, Found { steps, figures })
    };
    let (mut low, mut high) = (order_s + 1, scenario.duration_s as usize);
    let (keeps, mut best) = run(high);
    if !keeps {
        return (None, simulated);
    }
    if most == last {
        return (Some(best), simulated);
    }
    while high - low > RESOLUTION_S {
        let middle = usize::midpoint(low, high);
        let (keeps, found) = run(middle);
        if keeps {
            (high, best) = (middle, found);
        } else {
            low = middle;
        }
    }
    (Some(best), simulated)
}
