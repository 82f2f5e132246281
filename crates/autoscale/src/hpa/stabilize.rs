//! The recommendation window.
//!
//! Slots are kept as the controller keeps them (an outdated one is overwritten in
//! place), since which slots exist decides what a later window sees.

use super::DOWNSCALE_STABILIZATION_MS;

/// A raw proposal, before policies and bounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Recommendation {
    /// Proposed replicas.
    pub replicas: i32,
    /// When, milliseconds.
    pub at_ms: i64,
}

/// Without behavior: the largest of the last five minutes, edge included, however
/// small the workload is now.
pub fn stabilize_legacy(recs: &mut Vec<Recommendation>, proposal: i32, now_ms: i64) -> i32 {
    let mut largest = proposal;
    let mut outdated = None;
    for (index, rec) in recs.iter().enumerate() {
        if now_ms.saturating_sub(rec.at_ms) > DOWNSCALE_STABILIZATION_MS {
            outdated = Some(index);
        } else {
            largest = largest.max(rec.replicas);
        }
    }
    record(recs, outdated, proposal, now_ms);
    largest
}

/// With behavior: not above the least of the up window, not below the largest of
/// the down window, edges excluded; else as it is.
pub fn stabilize_with_behavior(
    recs: &mut Vec<Recommendation>,
    proposal: i32,
    spec_replicas: i32,
    up_window_ms: i64,
    down_window_ms: i64,
    now_ms: i64,
) -> i32 {
    let (mut low, mut high) = (proposal, proposal);
    let mut outdated = None;
    for (index, rec) in recs.iter().enumerate() {
        let age_ms = now_ms.saturating_sub(rec.at_ms);
        if age_ms < up_window_ms {
            low = low.min(rec.replicas);
        }
        if age_ms < down_window_ms {
            high = high.max(rec.replicas);
        }
        if age_ms > up_window_ms && age_ms > down_window_ms {
            outdated = Some(index);
        }
    }
    record(recs, outdated, proposal, now_ms);
    let mut stabilized = spec_replicas;
    if stabilized < low {
        stabilized = low;
    }
    if stabilized > high {
        stabilized = high;
    }
    stabilized
}

fn record(recs: &mut Vec<Recommendation>, outdated: Option<usize>, replicas: i32, at_ms: i64) {
    let rec = Recommendation { replicas, at_ms };
    match outdated {
        Some(index) => recs[index] = rec,
        None => recs.push(rec),
    }
}
