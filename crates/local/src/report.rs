//! What a run was worth: derived from its seconds. Pure.

use std::fmt;

use serde::Serialize;

use crate::pods::PodTotals;
use crate::series::{Second, perfect_follower_pods, reversals};

/// Seconds after a rescale that count as its effect.
const RESCALE_WINDOW_S: usize = 10;
/// Width of the windows whose worst is reported.
const DIP_WIDTH_S: usize = 3;

/// Figures of a run; the audit of ledger against database is not among them.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct WorldReport {
    /// Seconds from the start of the load to the end.
    pub duration_s: f64,
    /// Partitions of the topic.
    pub partitions: u32,
    /// Seconds from the start of `up` to the first stored record.
    pub first_stored_after_s: Option<f64>,
    /// Sum over all seconds of pods not on their way out.
    pub pod_seconds: f64,
    /// The same of the perfect follower; see [`perfect_follower_pods`].
    pub perfect_pod_seconds: f64,
    /// Records a second one pod can do, as used for the perfect follower.
    pub pod_capacity_per_s: f64,
    /// Most pods at any time.
    pub peak_replicas: i32,
    /// How often the wanted number changed direction.
    pub direction_reversals: u32,
    /// Most records waiting.
    pub max_backlog: i64,
    /// Records processed in the worst three seconds within ten after a rescale, as a
    /// share of what arrived in them; `None` without a rescale under load.
    pub worst_rescale_dip: Option<f64>,
    /// Pods started again after they died.
    pub restarts: u64,
    /// Dead pods fenced out of the group.
    pub fenced: u64,
    /// Pods killed after the grace period.
    pub killed: u64,
    /// Commits the broker refused.
    pub commit_failures: u64,
    /// Writes refused because another owner was ahead.
    pub fenced_writes: u64,
    /// Whether it ended by itself: load over, backlog gone, pods gone.
    pub completed: bool,
}

/// What the figures are derived from.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Inputs<'a> {
    pub(crate) seconds: &'a [Second],
    pub(crate) partitions: u32,
    pub(crate) pod_capacity_per_s: Option<f64>,
    pub(crate) first_stored_after_s: Option<f64>,
    pub(crate) totals: PodTotals,
    pub(crate) completed: bool,
}

impl WorldReport {
    pub(crate) fn new(inputs: Inputs<'_>) -> Self {
        let Inputs { seconds, partitions, totals, .. } = inputs;
        let capacity = inputs.pod_capacity_per_s.unwrap_or_else(|| measured_capacity(seconds));
        let perfect =
            |second: &Second| perfect_follower_pods(second.arrival_per_s, partitions, capacity);
        Self {
            duration_s: seconds.len() as f64,
            partitions,
            first_stored_after_s: inputs.first_stored_after_s,
            pod_seconds: seconds.iter().map(|second| f64::from(second.replicas_current)).sum(),
            perfect_pod_seconds: seconds.iter().map(|second| f64::from(perfect(second))).sum(),
            pod_capacity_per_s: capacity,
            peak_replicas: seconds.iter().map(|second| second.replicas_current).max().unwrap_or(0),
            direction_reversals: reversals(seconds),
            max_backlog: seconds.iter().map(|second| second.backlog).max().unwrap_or(0),
            worst_rescale_dip: worst_dip(seconds),
            restarts: totals.restarts,
            fenced: totals.fenced,
            killed: totals.killed,
            commit_failures: totals.commit_failures,
            fenced_writes: totals.fenced_writes,
            completed: inputs.completed,
        }
    }
}

/// The best five seconds of any ready pod, records a second.
fn measured_capacity(seconds: &[Second]) -> f64 {
    seconds
        .windows(5)
        .filter_map(|window| {
            let pods: i32 = window.iter().map(|second| second.pods_ready).sum();
            let done: f64 = window.iter().map(|second| second.processed_per_s).sum();
            (pods > 0).then(|| done / f64::from(pods))
        })
        .fold(0.0, f64::max)
}

fn worst_dip(seconds: &[Second]) -> Option<f64> {
    let rescales = (1..seconds.len()).filter(|t| {
        seconds[*t].replicas_current != seconds[t - 1].replicas_current
            && seconds[t - 1].pods_ready > 0
    });
    rescales
        .flat_map(|t| seconds[t..(t + RESCALE_WINDOW_S).min(seconds.len())].windows(DIP_WIDTH_S))
        .filter_map(|window| {
            let arrived: f64 = window.iter().map(|second| second.arrival_per_s).sum();
            let done: f64 = window.iter().map(|second| second.processed_per_s).sum();
            (arrived > 0.0).then(|| done / arrived)
        })
        .min_by(f64::total_cmp)
}

impl fmt::Display for WorldReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let share = self.pod_seconds / self.perfect_pod_seconds.max(1.0);
        writeln!(f, "run            {:.0} s, {} partitions", self.duration_s, self.partitions)?;
        if let Some(first) = self.first_stored_after_s {
            writeln!(f, "first stored   {first:.1} s after the start of up")?;
        }
        writeln!(
            f,
            "pods           peak {}, {} direction reversals",
            self.peak_replicas, self.direction_reversals
        )?;
        writeln!(
            f,
            "pod-seconds    {:.0}, the perfect follower {:.0} ({share:.2} times) at {:.0} msg/s a pod",
            self.pod_seconds, self.perfect_pod_seconds, self.pod_capacity_per_s
        )?;
        writeln!(f, "backlog        at most {} records", self.max_backlog)?;
        if let Some(dip) = self.worst_rescale_dip {
            writeln!(f, "rescaling      worst 3 s at {:.0} % of the load", dip * 100.0)?;
        }
        write!(
            f,
            "trouble        {} restarts, {} fenced, {} killed, {} refused commits",
            self.restarts, self.fenced, self.killed, self.commit_failures
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn second(arrival: f64, processed: f64, desired: i32, current: i32) -> Second {
        Second {
            arrival_per_s: arrival,
            processed_per_s: processed,
            replicas_desired: desired,
            replicas_current: current,
            pods_ready: current,
            ..Second::default()
        }
    }

    #[test]
    fn the_dip_is_the_worst_three_seconds_after_a_rescale() {
        let mut seconds = vec![second(100.0, 10.0, 2, 2); 5];
        seconds.push(second(100.0, 50.0, 3, 3));
        seconds.extend([second(100.0, 20.0, 3, 3), second(100.0, 80.0, 3, 3)]);
        seconds.extend(vec![second(100.0, 100.0, 3, 3); 5]);
        assert_eq!(worst_dip(&seconds), Some(0.5));
        assert_eq!(worst_dip(&seconds[..5]), None, "no rescale");
    }

    #[test]
    fn capacity_is_the_best_five_seconds_of_a_pod() {
        let mut seconds = vec![second(0.0, 300.0, 2, 2); 5];
        seconds.extend(vec![second(0.0, 1000.0, 4, 4); 5]);
        assert_eq!(measured_capacity(&seconds), 250.0);
    }
}
