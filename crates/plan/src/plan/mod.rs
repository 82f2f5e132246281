//! The capacity plan: partitions, pods over time, database budget, connections, cost, and
//! the limit that binds. Every answer is simulated with the SLO law before it is given.
//!
//! Contract: pure but for the threads of the search; deterministic for its seeds. Options
//! are tried (partitions with many divisors, pods that stand by, how strictly the law is
//! told), the cheapest that keeps the promise with every seed is the plan; where none does,
//! the one that comes nearest, and the limit that forbids it.
//!
//! # Layout
//! - `partitions`: which numbers of partitions to try
//! - `budget`: what the database has to take, and what it is said to take
//! - `limits`: what is used of what there is
//! - `options`: what is tried, and how it did
//! - `report`: as text

mod budget;
mod limits;
mod options;
mod partitions;
mod report;

pub use limits::{Limit, Limits};
pub use options::{Tried, plan};
pub use report::text;

use serde::Serialize;
use tidegate_autoscale::scaled_object::ScaledObject;
use tidegate_sim::Scenario;

/// Connections that a pod opens at the broker that is all to it: the one it asks first, the
/// leader of its partitions, and its group's coordinator. Twenty pods were seen to open 104.
pub(crate) const CONNECTIONS_PER_POD: f64 = 5.0;
/// New connections a second that a broker with IAM accepts.
pub const IAM_CONNECTIONS_PER_S: f64 = 20.0;

/// What is wanted, and what is allowed.
#[derive(Debug, Clone, PartialEq)]
pub struct Wishes {
    /// 99 % of the records are stored within this, seconds.
    pub slo_s: f64,
    /// Partitions, when they are not to be chosen.
    pub partitions: Option<u32>,
    /// Most pods.
    pub max_pods: Option<i32>,
    /// Rows a second that the database takes; simulated, with the scenario's own.
    pub sink_rows_per_s: Option<f64>,
    /// Commits a second that it takes; a plan has no more pods than that.
    pub sink_commits_per_s: Option<f64>,
    /// New connections a second that one broker accepts.
    pub connections_per_s: f64,
    /// Price of a pod for an hour.
    pub price_per_pod_hour: Option<f64>,
    /// Seeds of the simulations.
    pub seeds: Vec<u64>,
    /// Threads.
    pub threads: usize,
}

/// A stretch of the load, and the pods in it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Stretch {
    /// From, seconds.
    pub from_s: u32,
    /// Until, seconds.
    pub until_s: u32,
    /// Records a second, mean.
    pub rate_per_s: f64,
    /// Pods by arithmetic: whole partitions at a pod's full rate.
    pub needed_pods: u32,
    /// Pods in the simulation, mean.
    pub mean_pods: f64,
    /// ... and most.
    pub peak_pods: i32,
}

/// What the database has to take.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Budget {
    /// Rows a second, the most in any ten seconds (working off a backlog included).
    pub rows_per_s: f64,
    /// Commits a second at most: every pod one after the other.
    pub commits_per_s: f64,
    /// Connections: one a pod.
    pub connections: i32,
}

/// The plan.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Plan {
    /// The promise, seconds.
    pub slo_s: f64,
    /// Whether the simulation kept it with every seed.
    pub is_kept: bool,
    /// What was chosen.
    pub chosen: Tried,
    /// Counts of pods at which the work splits evenly.
    pub divisors: Vec<u32>,
    /// Highest rate of the load, records a second.
    pub peak_rate_per_s: f64,
    /// Records a second of one pod.
    pub pod_rate_per_s: f64,
    /// Over time.
    pub stretches: Vec<Stretch>,
    /// For the database.
    pub budget: Budget,
    /// New connections a second at one broker, the most.
    pub connections_per_s: f64,
    /// Pod-hours of the scenario.
    pub pod_hours: f64,
    /// Their price, if one was given.
    pub cost: Option<f64>,
    /// Everything that limits, the tightest first.
    pub limits: Vec<Limit>,
    /// Name of the one that binds.
    pub binding: String,
    /// In words: why it binds and what to do.
    pub advice: String,
    /// All that was tried.
    pub tried: Vec<Tried>,
}

/// What a plan is made from.
#[derive(Debug, Clone, Copy)]
pub struct Inputs<'a> {
    /// Traffic and world.
    pub scenario: &'a Scenario,
    /// Bounds and names for the law.
    pub object: &'a ScaledObject,
    /// What is wanted.
    pub wishes: &'a Wishes,
}

/// The highest rate of a scenario's load, looked at every second.
pub fn peak_rate_per_s(scenario: &Scenario) -> f64 {
    (0..scenario.duration_s)
        .map(|second| scenario.load.rate_at(f64::from(second)))
        .fold(0.0, f64::max)
}
