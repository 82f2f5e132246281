//! What a person wants to watch, once a second.

use serde::Serialize;
use tidegate_autoscale::series::Second;

/// The world at one moment.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Snapshot {
    /// Seconds since the load began.
    pub elapsed_s: f64,
    /// Rate the profile asks for, records a second; `None` when the load is over.
    pub target_rate_per_s: Option<f64>,
    /// Records arriving a second.
    pub rate_in_per_s: f64,
    /// Records processed a second.
    pub rate_out_per_s: f64,
    /// Records not yet committed.
    pub lag_records: i64,
    /// Age of the oldest unprocessed record, seconds.
    pub oldest_age_s: f64,
    /// Wanted pods.
    pub desired: i32,
    /// Pods that exist and are not on their way out.
    pub current: i32,
    /// Ready pods.
    pub ready: i32,
    /// Draining pods.
    pub draining: i32,
    /// Records sent so far.
    pub sent: u64,
    /// Records processed so far.
    pub processed: u64,
    /// The last decision that changed something, and when (seconds since the start).
    pub last_change: Option<(f64, String)>,
    /// What is going on: `load`, `draining the backlog`, `scaling to zero`, `stopping`.
    pub phase: &'static str,
    /// The second as the series keeps it.
    pub second: Second,
}
