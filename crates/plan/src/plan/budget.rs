//! What the database has to take, and what is said that it takes.
//!
//! Contract: pure. The rows that it takes are a part of the simulated world. Its commits are
//! not simulated: they bound the pods, since each of them commits one batch after the other.

use tidegate_sim::{Run, Scenario};

use super::{Budget, Tried, Wishes};

/// A scenario whose sink takes no more than is wished; the tighter of both counts.
pub(super) fn with_sink(scenario: &Scenario, wishes: &Wishes) -> Scenario {
    let mut other = scenario.clone();
    let own = Some(scenario.sink.rows_per_s).filter(|rows| *rows > 0.0);
    let rows = own.into_iter().chain(wishes.sink_rows_per_s).reduce(f64::min);
    other.sink.rows_per_s = rows.unwrap_or_default();
    other
}

/// Most commits a second of one pod: a batch follows the other; a small one still takes its
/// fixed time.
fn pod_commits_per_s(world: &Scenario) -> f64 {
    let pod = &world.pod;
    1.0 / (pod.batch_s + pod.record_s).max(pod.batch_timeout_s).max(1e-3)
}

/// Most commits a second of so many pods.
pub(super) fn commits_per_s(world: &Scenario, pods: i32) -> f64 {
    f64::from(pods) * pod_commits_per_s(world)
}

/// Most pods whose commits the database takes.
pub(super) fn pods_within(world: &Scenario, wishes: &Wishes) -> i32 {
    // A quotient that is a whole number but for its rounding is that number.
    let pods = |commits: f64| (commits / pod_commits_per_s(world) + 1e-9).floor() as i32;
    wishes.sink_commits_per_s.map_or(i32::MAX, pods)
}

/// The database's part in a run.
pub(super) fn budget(world: &Scenario, run: &Run, chosen: &Tried) -> Budget {
    const WINDOW_S: usize = 10;
    let rates: Vec<f64> = run.seconds.iter().map(|second| second.processed_per_s).collect();
    let rows = rates
        .windows(WINDOW_S.min(rates.len()).max(1))
        .map(|window| window.iter().sum::<f64>() / window.len() as f64)
        .fold(0.0, f64::max);
    Budget {
        rows_per_s: rows,
        commits_per_s: commits_per_s(world, chosen.peak_pods),
        connections: chosen.peak_pods,
    }
}

/// The least steady rate that stores every record of the load within the promise: that at
/// which no backlog is longer than what is stored in that time. By halving.
pub(super) fn needed_per_s(world: &Scenario, slo_s: f64) -> f64 {
    let load = &world.load;
    let arrivals: Vec<f64> = (0..world.duration_s)
        .map(|second| load.cumulative(f64::from(second) + 1.0) - load.cumulative(f64::from(second)))
        .collect();
    let keeps = |rate: f64| {
        let mut backlog = 0.0_f64;
        arrivals.iter().all(|arrived| {
            backlog = (backlog + arrived - rate).max(0.0);
            backlog <= rate * slo_s
        })
    };
    let (mut low, mut high) = (0.0, arrivals.iter().copied().fold(0.0, f64::max));
    for _ in 0..40 {
        let middle = f64::midpoint(low, high);
        if keeps(middle) { high = middle } else { low = middle }
    }
    high
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 100 s of 600 records/s after 100 s of nothing.
    fn burst() -> Scenario {
        let text = "duration_s = 300\npod.batch_s = 0.5\npod.batch_timeout_s = 0.0\n\
            load.phases = [{ kind = 'step', rate_per_s = 0.0, duration_s = 100.0 },\n\
                           { kind = 'step', rate_per_s = 600.0, duration_s = 100.0 }]";
        Scenario::from_text("a.toml", text).expect("scenario")
    }

    #[test]
    fn what_may_wait_needs_a_lower_rate() {
        let needed = |slo_s| needed_per_s(&burst(), slo_s);
        assert!((needed(20.0) - 60_000.0 / 120.0).abs() < 1e-3, "{}", needed(20.0));
        assert!((needed(0.0) - 600.0).abs() < 1e-3, "{}", needed(0.0));
    }
}
