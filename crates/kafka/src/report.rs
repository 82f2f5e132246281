//! What a pod prints about itself: one JSON object a line.

use serde::{Deserialize, Serialize};

use crate::GroupProtocol;

/// A pod's report. Totals count from the pod's start.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct PodReport {
    /// When, Unix milliseconds.
    pub t_ms: i64,
    /// Id within the group, once assigned.
    pub member_id: Option<String>,
    /// Group protocol in use.
    pub protocol: GroupProtocol,
    /// Owned partitions, sorted.
    pub assigned: Vec<i32>,
    /// Records in memory, not yet written.
    pub buffered_records: u64,
    /// Records written.
    pub processed_total: u64,
    /// Records dead-lettered.
    pub dead_lettered_total: u64,
    /// Age of the oldest record in memory, ms.
    pub oldest_age_ms: Option<i64>,
    /// Batches written.
    pub batches_total: u64,
    /// Seconds spent writing them.
    pub batch_seconds_total: f64,
    /// Assignments and revocations.
    pub rebalances_total: u64,
    /// Accepted commit requests.
    pub commits_total: u64,
    /// Refused commit requests.
    pub commit_failures_total: u64,
    /// Writes refused because another owner was ahead.
    pub fenced_total: u64,
    /// The sink is the limit: more consumers would not help.
    pub sink_limited: bool,
    /// Share of the last seconds in which full batches waited for the sink, 0 to 1.
    pub sink_busy: f64,
    /// Best capacity of the sink seen against the one now, at least 1.
    pub sink_slowdown: f64,
    /// Measured cost of a write whatever its size, seconds.
    pub sink_fixed_s: f64,
    /// Measured cost of a row in a write, seconds.
    pub sink_row_s: f64,
    /// Records at which a batch closes now.
    pub batch_limit: u64,
    /// Writes that may run at once now.
    pub writes_limit: u64,
    /// In the group, and the sink answers.
    pub ready: bool,
}

impl Default for PodReport {
    fn default() -> Self {
        Self {
            t_ms: 0,
            member_id: None,
            protocol: GroupProtocol::Classic,
            assigned: Vec::new(),
            buffered_records: 0,
            processed_total: 0,
            dead_lettered_total: 0,
            oldest_age_ms: None,
            batches_total: 0,
            batch_seconds_total: 0.0,
            rebalances_total: 0,
            commits_total: 0,
            commit_failures_total: 0,
            fenced_total: 0,
            sink_limited: false,
            sink_busy: 0.0,
            sink_slowdown: 1.0,
            sink_fixed_s: 0.0,
            sink_row_s: 0.0,
            batch_limit: 0,
            writes_limit: 0,
            ready: false,
        }
    }
}
