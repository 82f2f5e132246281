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
    pub(crate) counts: &'a Counts,
    pub(crate) expected: &'a Expected,
}

/// What every run of a scenario with one seed will have.
#[derive(Debug, Clone)]
pub(crate) struct Expected {
    /// Records, the initial backlog included.
    pub(crate) records: f64,
    /// How old, at the end, the oldest of the latest [`LEFT`] of them are, seconds.
    pub(crate) latest_s: [f64; LEFT.len()],
}

/// A run ends with a share of its records waiting that lies between two of these.
pub(crate) const LEFT: [f64; 8] = [0.0, 0.01, 0.02, 0.05, 0.1, 0.2, 0.4, 1.0];

/// A way in which a run may end, and what is certain of it then.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ending {
    /// More than one in a hundred of its records wait at the end.
    pub many_wait: bool,
    /// Its oldest record is at least this old, seconds.
    pub max_age_s: f64,
    /// It costs at least this.
    pub pod_seconds: f64,
}

/// So many records for each that arrives are processed at most, those that are processed
/// again included; or else [`SoFar::p99_age_s`] is no bound.
const MOST_AGAIN: f64 = 1.5;

/// Pods that were told to stop may go on for a while and are not counted any more: a
/// pod-second does at most this many times what a pod does in a second, or else
/// [`SoFar::endings`] are no bounds.
const MOST_UNCOUNTED: f64 = 1.25;

impl SoFar<'_> {
    /// Every way in which the run may end: the more is left, the less it may cost, and the
    /// older is what waits. What is not left has to be processed by pods that are still to
    /// be counted. It is taken for granted that those who are told to stop do at most a
    /// quarter more.
    pub fn endings(&self) -> impl Iterator<Item = Ending> {
        let Counts { processed, duplicated, expired, .. } = *self.counts;
        let done = (processed - duplicated.min(processed) + expired) as f64;
        let to_do = (self.expected.records - done).max(0.0);
        let (records, max_age_s) = (self.expected.records, self.max_age_s());
        let rate = MOST_UNCOUNTED * self.tally.capacity_per_s;
        let (pod_seconds, latest_s) = (self.pod_seconds(), self.expected.latest_s);
        (1..LEFT.len()).map(move |most| {
            let left_to_do = (to_do - LEFT[most] * records).max(0.0);
            Ending {
                many_wait: most > 1,
                max_age_s: max_age_s.max(latest_s[most - 1]),
                pod_seconds: pod_seconds + left_to_do / rate,
            }
        })
    }

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
        self.ages.exceeded_s(0.01 * MOST_AGAIN * self.expected.records)
    }
}

impl Summary {
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
