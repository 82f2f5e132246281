//! What happened, second by second, in whatever world the law ran: CSV, and the
//! figures derived from it. Real and simulated runs share it, so that they compare.

use std::fmt::Write as _;

use serde::Serialize;

/// One second of the run.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Second {
    /// Seconds since the load began.
    pub t_s: u64,
    /// Records that arrived on the topic, per second.
    pub arrival_per_s: f64,
    /// Records whose positions were committed, per second.
    pub processed_per_s: f64,
    /// Records not yet committed.
    pub backlog: i64,
    /// What the law saw as lag, records.
    pub lag_metric: i64,
    /// Age of the oldest unprocessed record, seconds.
    pub oldest_age_s: f64,
    /// Wanted pods.
    pub replicas_desired: i32,
    /// Pods not on their way out.
    pub replicas_current: i32,
    /// Ready pods.
    pub pods_ready: i32,
    /// Machines.
    pub nodes: u32,
    /// The last decision in words.
    pub reason: String,
}

/// The columns.
const HEADER: &str = "t_s,arrival_per_s,processed_per_s,backlog,lag_metric,oldest_age_s,\
replicas_desired,replicas_current,pods_ready,nodes,reason";

/// The series as CSV, header first.
pub fn csv(seconds: &[Second]) -> String {
    let mut text = format!("{HEADER}\n");
    for second in seconds {
        let _ = writeln!(
            text,
            "{},{:.1},{:.1},{},{},{:.3},{},{},{},{},{}",
            second.t_s,
            second.arrival_per_s,
            second.processed_per_s,
            second.backlog,
            second.lag_metric,
            second.oldest_age_s,
            second.replicas_desired,
            second.replicas_current,
            second.pods_ready,
            second.nodes,
            quoted(&second.reason),
        );
    }
    text
}

fn quoted(text: &str) -> String {
    if text.contains([',', '"', '\n']) {
        format!("\"{}\"", text.replace('"', "\"\"").replace('\n', " "))
    } else {
        text.to_owned()
    }
}

/// The least pods that carry a rate spread evenly over the partitions: work comes
/// in whole partitions, so `n` pods carry `capacity / ceil(P/n) * P`. All
/// partitions' number of pods when even one a partition is not enough.
pub fn perfect_follower_pods(rate_per_s: f64, partitions: u32, capacity_per_s: f64) -> u32 {
    if rate_per_s <= 0.0 || capacity_per_s <= 0.0 {
        return 0;
    }
    let per_partition = rate_per_s / f64::from(partitions);
    let carries = |held: u32| f64::from(held) * per_partition <= capacity_per_s;
    // The quotient may be rounded either way.
    let near = (capacity_per_s / per_partition) as u32;
    let most = (near.saturating_sub(1)..=near.saturating_add(1)).rev().find(|held| carries(*held));
    partitions.div_ceil(most.unwrap_or(1).clamp(1, partitions))
}

/// How often the wanted number changed direction.
pub fn reversals(seconds: &[Second]) -> u32 {
    let mut last_direction = 0;
    let mut reversals = 0;
    for pair in seconds.windows(2) {
        let direction = (pair[1].replicas_desired - pair[0].replicas_desired).signum();
        if direction != 0 {
            reversals += u32::from(last_direction != 0 && direction != last_direction);
            last_direction = direction;
        }
    }
    reversals
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_perfect_follower_counts_whole_partitions() {
        // 100 partitions at 5,000/s are 50/s each: two fit into 100/s, so 50 pods.
        assert_eq!(perfect_follower_pods(5000.0, 100, 100.0), 50);
        assert_eq!(perfect_follower_pods(1000.0, 100, 100.0), 10);
        // 24 partitions: 12 pods hold 2 each; 11 would leave one with 3.
        assert_eq!(perfect_follower_pods(5000.0, 24, 500.0), 12);
        assert_eq!(perfect_follower_pods(0.0, 24, 500.0), 0);
        assert_eq!(perfect_follower_pods(1e9, 24, 500.0), 24);
    }

    #[test]
    fn reversals_count_changes_of_direction_only() {
        let desired = [1, 3, 3, 6, 4, 4, 2, 5];
        let seconds: Vec<Second> =
            desired.iter().map(|n| Second { replicas_desired: *n, ..Second::default() }).collect();
        assert_eq!(reversals(&seconds), 2);
    }

    #[test]
    fn a_reason_with_commas_stays_one_column() {
        let second = Second { reason: "lag 5, so \"2\"".into(), ..Second::default() };
        let text = csv(&[second]);
        assert_eq!(text.lines().next().map(|line| line.split(',').count()), Some(11));
        assert!(text.ends_with(",\"lag 5, so \"\"2\"\"\"\n"), "{text}");
    }
}
