//! What is used of what there is, and which of it binds.
//!
//! Contract: pure. What is used of pods and of the database is never less than what the
//! promise needs of them, so that a bound which the simulation obeyed is seen as too low.

use serde::Serialize;
use tidegate_sim::Scenario;

use super::budget::{commits_per_s, needed_per_s};
use super::partitions::hottest_share;
use super::{Budget, Inputs, Tried, peak_rate_per_s};

/// One limit.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Limit {
    /// Name.
    pub name: &'static str,
    /// Used.
    pub used: f64,
    /// Allowed.
    pub allowed: f64,
    /// Unit of both.
    pub unit: &'static str,
}

impl Limit {
    /// Used of allowed; above 1 is too much.
    pub fn share(&self) -> f64 {
        self.used / self.allowed.max(1e-9)
    }
}

/// What limits are made from.
#[derive(Debug, Clone, Copy)]
pub struct Limits<'a> {
    pub(super) inputs: Inputs<'a>,
    pub(super) world: &'a Scenario,
    pub(super) chosen: &'a Tried,
    pub(super) budget: Budget,
    pub(super) connections_per_s: f64,
}

impl Limits<'_> {
    /// From the order to pods that work: detection, a node if it needs one, start.
    fn delay_s(&self) -> f64 {
        const DETECTION_S: f64 = 3.0;
        let nodes = &self.world.nodes;
        let peak = i64::from(self.chosen.peak_pods);
        let room = i64::from(nodes.capacity_pods) * i64::from(nodes.min);
        let node_s =
            if nodes.capacity_pods > 0 && peak > room { nodes.provision_s.max } else { 0.0 };
        DETECTION_S + node_s + self.world.pod.start_s.max
    }

    /// A record's way through a pod that keeps up: closing its batch, the one before it,
    /// its own.
    fn pipeline_s(&self) -> f64 {
        let pod = &self.world.pod;
        let batch_s = pod.batch_s + pod.record_s * f64::from(pod.batch_size);
        pod.batch_timeout_s + 2.0 * batch_s
    }

    /// The greatest growth of the load within the delay, as a share of its peak.
    fn steepest_share(&self) -> f64 {
        let delay = self.delay_s().ceil() as u32;
        let load = &self.world.load;
        let peak = peak_rate_per_s(self.world).max(1e-9);
        (0..self.world.duration_s)
            .map(|second| {
                let at = |second: u32| load.rate_at(f64::from(second));
                at(second + delay) - at(second)
            })
            .fold(0.0, f64::max)
            / peak
    }

    /// All of them, the tightest first.
    pub(super) fn all(&self) -> Vec<Limit> {
        let wishes = self.inputs.wishes;
        let peak = peak_rate_per_s(self.world);
        let rate = self.world.pod.capacity_per_s();
        let limit = |name, used, allowed, unit| Limit { name, used, allowed, unit };
        let mut all = vec![
            limit("batch time", self.pipeline_s(), wishes.slo_s, "s"),
            limit("hot partition", hottest_share(self.world) * peak, rate, "records/s"),
            limit(
                "partitions",
                f64::from(self.chosen.peak_pods),
                f64::from(self.chosen.partitions),
                "pods",
            ),
            limit(
                "connections",
                self.connections_per_s,
                wishes.connections_per_s,
                "per s and broker",
            ),
        ];
        // A load that never grows waits for no pod.
        if self.steepest_share() > 0.05 && self.chosen.standby_pods < self.chosen.peak_pods {
            all.push(limit("pod start", self.delay_s(), wishes.slo_s, "s"));
        }
        let needed = needed_per_s(self.world, wishes.slo_s);
        let pods = self.chosen.peak_pods.max((needed / rate).ceil() as i32);
        if let Some(max) = wishes.max_pods {
            all.push(limit("most pods", f64::from(pods), f64::from(max), "pods"));
        }
        let rows = self.world.sink.rows_per_s;
        if rows > 0.0 {
            // Batches that end together look like more than the sink takes.
            let used = needed.max(self.budget.rows_per_s.min(rows));
            all.push(limit("database rows", used, rows, "rows/s"));
        }
        if let Some(commits) = wishes.sink_commits_per_s {
            let used = commits_per_s(self.world, pods);
            all.push(limit("database commits", used, commits, "commits/s"));
        }
        all.sort_by(|a, b| b.share().total_cmp(&a.share()));
        all
    }

    /// Whether even the pods of the plan commit more often than the database takes.
    pub(super) fn has_too_many_commits(&self) -> bool {
        let commits = self.inputs.wishes.sink_commits_per_s;
        commits.is_some_and(|commits| self.budget.commits_per_s > commits * (1.0 + 1e-9))
    }

    /// The name of the limit that binds, and what to do about it: of those that are broken,
    /// the tightest that no pod buys off, then a slow start, which pods that stand by buy
    /// off, then connections, which delay a join only; where none is broken, the tightest.
    pub(super) fn binding(&self, all: &[Limit], is_kept: bool) -> (String, String) {
        let rank = |limit: &Limit| match limit.name {
            "connections" => 2,
            "pod start" => 1,
            _ => 0,
        };
        let broken = all.iter().filter(|limit| limit.share() > 1.0);
        let Some(limit) = broken.min_by_key(|limit| rank(limit)).or_else(|| all.first()) else {
            return (String::new(), String::new());
        };
        let (used, allowed, unit) = (short(limit.used), short(limit.allowed), limit.unit);
        let advice = match limit.name {
            "batch time" => format!(
                "a record passes two batches: {used} {unit} of {allowed}; shorter batches (batch_size, batch_s), not more pods"
            ),
            "hot partition" => format!(
                "the hottest partition alone takes {used} {unit} of a pod's {allowed}; more pods cannot help, other keys or more partitions may"
            ),
            "partitions" => format!("{used} of {allowed} partitions have a pod of their own"),
            "connections" => {
                // Pods that start together, spread over as many seconds as the broker needs.
                let advice = if limit.share() > 1.0 {
                    format!("; start_jitter_ms = {} spreads them", limit.share().ceil() * 1_000.0)
                } else {
                    String::new()
                };
                format!(
                    "{used} new connections {unit} at the steepest join, {allowed} are accepted{advice}"
                )
            }
            "pod start" => format!(
                "new pods work up to {used} {unit} after the load grew, {allowed} are promised: {}",
                if self.chosen.standby_pods > 0 {
                    format!("{} pods stand by for that", self.chosen.standby_pods)
                } else {
                    "what waits meanwhile has to be drained in the rest".to_owned()
                }
            ),
            "most pods" => format!("{used} of {allowed} pods"),
            "database rows" => {
                format!("{used} of {allowed} {unit}; neither pods nor larger batches write more")
            }
            _ => format!(
                "{used} of {allowed} {unit}; a larger batch writes the same rows with fewer commits"
            ),
        };
        let verdict = if is_kept { "" } else { "the promise is not kept: " };
        (limit.name.to_owned(), format!("{verdict}{advice}"))
    }
}

pub(super) fn short(value: f64) -> String {
    if value.abs() >= 100.0 { format!("{value:.0}") } else { format!("{value:.1}") }
}
