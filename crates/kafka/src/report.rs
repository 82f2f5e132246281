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
            ready: false,
        }
    }
}
