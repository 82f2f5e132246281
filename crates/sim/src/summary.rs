//! What a run was worth: figures derived from its seconds.

use std::fmt;

use serde::Serialize;
use tidegate_autoscale::series::{Second, perfect_follower_pods};

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
    /// Age of the oldest of them, seconds.
    pub end_age_s: f64,
    /// Rebalances of the group; with blind members its generations.
    pub rebalances: u64,
    /// Partitions that changed their owner.
    pub partitions_moved: u64,
    /// Records deleted before anybody processed them.
    pub expired: u64,
    /// Sum over all seconds of nodes.
    pub node_seconds: f64,
}

/// What the world counts.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Counts {
    pub(crate) arrived: u64,
    pub(crate) processed: u64,
    pub(crate) duplicated: u64,
    pub(crate) expired: u64,
    pub(crate) rebalances: u64,
    pub(crate) moves: u64,
}

impl Counts {
    /// Records that are done with: written, or deleted before.
    pub(crate) fn written(&self) -> u64 {
        self.processed + self.expired - self.duplicated
    }
}

/// Sums and extremes of the seconds so far.
#[derive(Debug, Clone)]
pub(crate) struct Tally {
    partitions: u32,
    capacity_per_s: f64,
    seconds: u32,
    pod_seconds: i64,
    perfect_pod_seconds: u64,
    node_seconds: u64,
    peak_replicas: i32,
    max_backlog: i64,
    end_backlog: i64,
    waiting_s: f64,
    desired: Option<i32>,
    direction: i32,
    reversals: u32,
}

impl Tally {
    pub(crate) fn new(scenario: &Scenario) -> Self {
        Self {
            partitions: scenario.topic.partitions,
            capacity_per_s: scenario.pod.capacity_per_s(),
            seconds: 0,
            pod_seconds: 0,
            perfect_pod_seconds: 0,
            node_seconds: 0,
            peak_replicas: 0,
            max_backlog: 0,
            end_backlog: 0,
            waiting_s: 0.0,
            desired: None,
            direction: 0,
            reversals: 0,
        }
    }

    pub(crate) fn seconds(&self) -> u32 {
        self.seconds
    }

    pub(crate) fn add(&mut self, second: &Second) {
        let perfect =
            perfect_follower_pods(second.arrival_per_s, self.partitions, self.capacity_per_s);
        self.seconds += 1;
        self.pod_seconds += i64::from(second.replicas_current);
        self.perfect_pod_seconds += u64::from(perfect);
        self.node_seconds += u64::from(second.nodes);
        self.peak_replicas = self.peak_replicas.max(second.replicas_current);
        self.max_backlog = self.max_backlog.max(second.backlog);
        self.end_backlog = second.backlog;
        self.waiting_s = second.oldest_age_s;
        let before = self.desired.replace(second.replicas_desired);
        let direction = before.map_or(0, |before| (second.replicas_desired - before).signum());
        if direction != 0 {
            self.reversals += u32::from(self.direction == -direction);
            self.direction = direction;
        }
    }
}

/// What is certain of a run before its end.
#[derive(Debug, Clone, Copy)]
pub struct SoFar<'a> {
    pub(crate) tally: &'a Tally,
    pub(crate) ages: &'a Ages,
    /// Records of the whole run.
    pub(crate) expected: f64,
}

/// So many records for each that arrives are processed at most, those that are processed
/// again included; or else [`SoFar::p99_age_s`] is no bound.
const MOST_AGAIN: f64 = 1.5;

impl SoFar<'_> {
    /// Pod-seconds up to now.
    pub fn pod_seconds(&self) -> f64 {
        self.tally.pod_seconds as f64
    }

    /// The oldest record of the run will be at least this old, seconds.
    pub fn max_age_s(&self) -> f64 {
        self.ages.max_s.max(self.tally.waiting_s)
    }

    /// At least this will be the age that 99 % of the run's records do not exceed, seconds:
    /// more than one in a hundred of all that will be processed was older already. It is
    /// taken for granted that a run processes at most one and a half times what arrives.
    pub fn p99_age_s(&self) -> f64 {
        self.ages.exceeded_s(0.01 * MOST_AGAIN * self.expected)
    }
}

impl Summary {
    /// Whether 99 % of the records were stored within this time, and what waits at the end is
    /// too young or too little to change that: it is in the pods' hands.
    pub fn keeps(&self, promise_s: f64) -> bool {
        let in_hands = self.arrived as f64 / f64::from(self.duration_s.max(1)) * promise_s;
        self.p99_age_s <= promise_s
            && (self.end_age_s <= promise_s || self.end_backlog as f64 <= in_hands)
    }

    pub(crate) fn new(scenario: &Scenario, tally: &Tally, ages: &Ages, counts: Counts) -> Self {
        Self {
            duration_s: scenario.duration_s,
            arrived: counts.arrived,
            processed: counts.processed,
            duplicated: counts.duplicated,
            max_age_s: ages.max_s.max(tally.waiting_s),
            p99_age_s: ages.quantile_s(0.99),
            p50_age_s: ages.quantile_s(0.5),
            pod_seconds: tally.pod_seconds as f64,
            perfect_pod_seconds: tally.perfect_pod_seconds as f64,
            pod_capacity_per_s: tally.capacity_per_s,
            peak_replicas: tally.peak_replicas,
            direction_reversals: tally.reversals,
            max_backlog: tally.max_backlog,
            end_backlog: tally.end_backlog,
            end_age_s: tally.waiting_s,
            rebalances: counts.rebalances,
            partitions_moved: counts.moves,
            expired: counts.expired,
            node_seconds: tally.node_seconds as f64,
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
        if self.expired > 0 {
            writeln!(f, "lost           {} records deleted before they were read", self.expired)?;
        }
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
