//! What a run was worth: figures derived from its seconds.

use std::fmt;

use serde::Serialize;
use tidegate_autoscale::series::{Second, perfect_follower_pods, reversals};

use crate::scenario::Scenario;
use crate::world::Ages;

/// Figures of a run.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Summary {
    /// Length, seconds.
    pub duration_s: u32,
    /// Records that arrived, the initial backlog included.
    pub arrived: u64,
    /// Records processed, those processed again included.
    pub processed: u64,
    /// Records processed more than once, each time but the last.
    pub duplicated: u64,
    /// Age of the oldest record, when it was written or at the end, seconds.
    pub max_age_s: f64,
    /// The age that 99 % of the records did not exceed when they were written, seconds.
    pub p99_age_s: f64,
    /// The same of half of them.
    pub p50_age_s: f64,
    /// Sum over all seconds of pods not on their way out.
    pub pod_seconds: f64,
    /// The same of the perfect follower; see [`perfect_follower_pods`]. It takes the load
    /// as spread evenly over the partitions.
    pub perfect_pod_seconds: f64,
    /// Records a second one pod can do, as used for the perfect follower.
    pub pod_capacity_per_s: f64,
    /// Most pods at any time.
    pub peak_replicas: i32,
    /// How often the wanted number changed direction.
    pub direction_reversals: u32,
    /// Most records waiting.
    pub max_backlog: i64,
    /// Records waiting at the end.
    pub end_backlog: i64,
    /// Rebalances of the group; with blind members its generations.
    pub rebalances: u64,
    /// Partitions that changed their owner.
    pub partitions_moved: u64,
}

/// What the world counts.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Counts {
    pub(crate) arrived: u64,
    pub(crate) processed: u64,
    pub(crate) duplicated: u64,
    /// Records processed that need not be processed again.
    pub(crate) written: u64,
    pub(crate) rebalances: u64,
    pub(crate) moves: u64,
}

impl Summary {
    pub(crate) fn new(
        scenario: &Scenario,
        seconds: &[Second],
        ages: &Ages,
        counts: Counts,
    ) -> Self {
        let capacity = scenario.pod.capacity_per_s();
        let partitions = scenario.topic.partitions;
        let perfect =
            |second: &Second| perfect_follower_pods(second.arrival_per_s, partitions, capacity);
        let last = seconds.last();
        let waiting_s = last.map_or(0.0, |second| second.oldest_age_s);
        Self {
            duration_s: scenario.duration_s,
            arrived: counts.arrived,
            processed: counts.processed,
            duplicated: counts.duplicated,
            max_age_s: ages.max_s.max(waiting_s),
            p99_age_s: ages.quantile_s(0.99),
            p50_age_s: ages.quantile_s(0.5),
            pod_seconds: seconds.iter().map(|second| f64::from(second.replicas_current)).sum(),
            perfect_pod_seconds: seconds.iter().map(|second| f64::from(perfect(second))).sum(),
            pod_capacity_per_s: capacity,
            peak_replicas: seconds.iter().map(|second| second.replicas_current).max().unwrap_or(0),
            direction_reversals: reversals(seconds),
            max_backlog: seconds.iter().map(|second| second.backlog).max().unwrap_or(0),
            end_backlog: last.map_or(0, |second| second.backlog),
            rebalances: counts.rebalances,
            partitions_moved: counts.moves,
        }
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let share = self.pod_seconds / self.perfect_pod_seconds.max(1.0);
        writeln!(
            f,
            "run            {} s, {} records arrived, {} processed, {} of them again",
            self.duration_s, self.arrived, self.processed, self.duplicated
        )?;
        writeln!(
            f,
            "age            half within {:.1} s, 99 % within {:.1} s, oldest {:.1} s",
            self.p50_age_s, self.p99_age_s, self.max_age_s
        )?;
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
        writeln!(
            f,
            "backlog        at most {} records, {} at the end",
            self.max_backlog, self.end_backlog
        )?;
        write!(
            f,
            "group          {} rebalances, {} partitions moved",
            self.rebalances, self.partitions_moved
        )
    }
}
