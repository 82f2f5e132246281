//! What happened, second by second: CSV, and the figures derived from it.

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
    /// Machines: always one here.
    pub nodes: u32,
    /// The last decision in words.
    pub reason: String,
}

/// The columns, as the simulator writes them too.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_with_commas_stays_one_column() {
        let second = Second { reason: "lag 5, so \"2\"".into(), ..Second::default() };
        let text = csv(&[second]);
        assert_eq!(text.lines().next().map(|line| line.split(',').count()), Some(11));
        assert!(text.ends_with(",\"lag 5, so \"\"2\"\"\"\n"), "{text}");
    }
}
