//! The scenario: the traffic and the world, without the law that scales it.
//!
//! Contract: plain data from TOML or YAML. Every field is optional except `duration_s` and
//! `load.phases`; unknown keys are refused. Times are seconds since the start. `load` is a
//! profile of `tidegate produce` and `tidegate up`, field for field.

mod check;
mod group;
mod parse;
mod range;
#[cfg(test)]
mod tests;

pub use group::{Assignor, Blind, Group, GroupTimes, Protocol};
pub use parse::ScenarioError;
pub use range::Range;

use serde::{Deserialize, Serialize};
use tidegate_profile::LoadProfile;

/// Traffic and world of one simulation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// One sentence that says what this is.
    #[serde(default)]
    pub description: String,
    /// Length, whole seconds, 1 to 2,592,000 (30 days).
    pub duration_s: u32,
    /// Records over time. After its last phase the rate is 0.
    pub load: LoadProfile,
    /// The topic they go to.
    #[serde(default)]
    pub topic: Topic,
    /// One consumer pod.
    #[serde(default)]
    pub pod: Pod,
    /// How the consumer group hands out partitions, and what that costs.
    #[serde(default)]
    pub group: Group,
    /// The nodes pods run on.
    #[serde(default)]
    pub nodes: Nodes,
    /// The database that all pods share.
    #[serde(default)]
    pub sink: Sink,
    /// When the law looks, and how fast its orders take effect.
    #[serde(default)]
    pub control: Control,
    /// What goes wrong, and when.
    #[serde(default)]
    pub faults: Vec<Fault>,
}

/// The topic.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Topic {
    /// Partitions, 1 to 10,000.
    pub partitions: u32,
    /// Share of the load each partition gets, unless `weights` says so.
    pub spread: Spread,
    /// Relative share of each partition, above 0: none, or one value a partition.
    pub weights: Vec<f64>,
    /// Records that wait at the start, 0 to 10⁹.
    pub backlog_records: u32,
    /// They arrived evenly in this time before the start, seconds.
    pub backlog_age_s: f64,
    /// Records are deleted when they are this old, seconds, 0 to 30 days; 0 is never.
    pub retention_s: f64,
}

impl Default for Topic {
    fn default() -> Self {
        Self {
            partitions: 100,
            spread: Spread::Even,
            weights: Vec::new(),
            backlog_records: 0,
            backlog_age_s: 60.0,
            retention_s: 0.0,
        }
    }
}

/// How records spread over partitions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Spread {
    /// Every partition gets the same.
    #[default]
    Even,
    /// By the load's keys and their Zipf law, hashed as the producer does.
    Keys,
}

/// One consumer pod.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Pod {
    /// Pods that run at the start, 0 to 1000.
    pub replicas: u32,
    /// Records in a batch at most, 1 to 1,000,000.
    pub batch_size: u32,
    /// A batch closes when its first record has waited this long, seconds, 0 to 60.
    pub batch_timeout_s: f64,
    /// Time of a batch, whatever its size, seconds.
    pub batch_s: f64,
    /// Further time for each of its records, seconds.
    pub record_s: f64,
    /// Above 0, batches are as large as keeps their time below this, seconds, 0 to 3600, and
    /// at most `batch_size`; 0 is a fixed size.
    pub batch_latency_s: f64,
    /// Each batch takes up to this share more or less, 0 to 0.9.
    pub jitter: f64,
    /// From having a node until the process joins the group, seconds.
    pub start_s: Range,
    /// From joining until the pod is Ready, seconds. Consuming does not wait for it.
    pub ready_s: f64,
    /// A new pod's speed rises evenly to full over this time, seconds ...
    pub ramp_up_s: Range,
    /// ... from this share of it, 0.01 to 1.
    pub ramp_up_from: f64,
    /// What a pod does when told to stop.
    pub on_stop: OnStop,
    /// From the order to stop until a process that does not end is killed, seconds.
    pub grace_s: Range,
}

impl Default for Pod {
    fn default() -> Self {
        Self {
            replicas: 0,
            batch_size: 100,
            batch_timeout_s: 0.1,
            batch_s: 1.0,
            record_s: 0.0,
            batch_latency_s: 0.0,
            jitter: 0.0,
            start_s: Range { min: 2.0, max: 4.0 },
            ready_s: 0.0,
            ramp_up_s: Range { min: 0.0, max: 0.0 },
            ramp_up_from: 1.0,
            on_stop: OnStop::Drain,
            grace_s: Range { min: 30.0, max: 32.0 },
        }
    }
}

impl Pod {
    /// Records a second with full batches, without jitter and after ramp-up.
    pub fn capacity_per_s(&self) -> f64 {
        let size = f64::from(self.batch_size);
        size / (self.batch_s + self.record_s * size)
    }
}

/// What a pod does when told to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnStop {
    /// Writes its batch, commits, leaves the group.
    #[default]
    Drain,
    /// Goes on until it is killed; the group notices after the session timeout.
    Ignore,
    /// Is gone at once and leaves the group: an emulated consumer.
    Vanish,
}

/// The nodes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Nodes {
    /// Pods that fit on a node, 0 to 1000; 0 is one node without limit.
    pub capacity_pods: u32,
    /// Nodes that stay when they are empty, 1 to 1000.
    pub min: u32,
    /// From the first pod that does not fit until a node is there, seconds.
    pub provision_s: Range,
    /// An empty node is removed after this time, seconds.
    pub remove_after_s: f64,
    /// A node whose pods have fitted on the others for this long is emptied: they are stopped
    /// and replaced there. Seconds; 0 is never.
    pub consolidate_after_s: f64,
    /// Nodes that are counted but have no room for pods, 0 to 1000.
    pub other: u32,
}

impl Default for Nodes {
    fn default() -> Self {
        Self {
            capacity_pods: 0,
            min: 1,
            provision_s: Range { min: 30.0, max: 60.0 },
            remove_after_s: 60.0,
            consolidate_after_s: 0.0,
            other: 0,
        }
    }
}

/// What all pods write to.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Sink {
    /// Rows a second that it takes from all pods together, in the order in which their
    /// batches start, 0 to 10⁹; 0 is without limit.
    pub rows_per_s: f64,
}

/// When the law looks, and how fast its orders take effect.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Control {
    /// First KEDA poll, seconds after the start.
    pub poll_offset_s: f64,
    /// First HPA sync, seconds after the start and one sync period.
    pub sync_offset_s: f64,
    /// HPA sync period, seconds, 1 to 3600.
    pub sync_period_s: f64,
    /// From an order until its pods exist or are told to stop, seconds.
    pub reconcile_s: f64,
}

impl Default for Control {
    fn default() -> Self {
        Self { poll_offset_s: 0.0, sync_offset_s: 0.0, sync_period_s: 15.0, reconcile_s: 0.1 }
    }
}

/// Something that goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Fault {
    /// Processes die without leaving the group, the oldest first; new pods replace them.
    PodCrash {
        /// When.
        at_s: f64,
        /// How many.
        pods: u32,
    },
    /// The law cannot read the offsets.
    MissingMetric {
        /// From.
        at_s: f64,
        /// For.
        duration_s: f64,
    },
    /// The law sees the offsets as they were when it began.
    StaleMetric {
        /// From.
        at_s: f64,
        /// For.
        duration_s: f64,
    },
    /// The broker does not answer: producers wait, nothing is read, the group stands still,
    /// the law cannot read the offsets. Batches in flight are written.
    BrokerPause {
        /// From.
        at_s: f64,
        /// For.
        duration_s: f64,
    },
    /// Batches take longer, and the shared sink with them.
    SlowSink {
        /// From.
        at_s: f64,
        /// For.
        duration_s: f64,
        /// This many times as long, 1 to 1000.
        factor: f64,
    },
}

impl Fault {
    /// Start and length, seconds; `None` of what happens in a moment.
    pub fn window_s(&self) -> Option<(f64, f64)> {
        match *self {
            Self::PodCrash { .. } => None,
            Self::MissingMetric { at_s, duration_s }
            | Self::StaleMetric { at_s, duration_s }
            | Self::BrokerPause { at_s, duration_s }
            | Self::SlowSink { at_s, duration_s, .. } => Some((at_s, duration_s)),
        }
    }
}
