//! Seconds to points: a long run is thinned out to what a screen can show.

use serde::Serialize;
use tidegate_autoscale::series::Second;

/// Points of a chart at most.
const MOST_POINTS: usize = 2_400;
/// Decisions in the page at most, the newest ones.
const MOST_DECISIONS: usize = 2_000;

/// Columns of the same length, one value a point; `t` is the second a point ends with.
#[derive(Debug, Default, PartialEq, Serialize)]
pub(crate) struct Chart<'a> {
    /// Seconds a point stands for.
    width_s: usize,
    promise_s: Option<f64>,
    t: Vec<u64>,
    /// Means.
    arrival: Vec<f64>,
    processed: Vec<f64>,
    /// Largest.
    backlog: Vec<i64>,
    lag: Vec<i64>,
    age: Vec<f64>,
    /// Last.
    desired: Vec<i32>,
    current: Vec<i32>,
    ready: Vec<i32>,
    nodes: Vec<u32>,
    /// Places in `reasons`.
    reason: Vec<usize>,
    reasons: Vec<&'a str>,
    decisions: Vec<Decision<'a>>,
    decisions_left_out: usize,
}

/// A change of the wanted pods.
#[derive(Debug, PartialEq, Serialize)]
struct Decision<'a> {
    t: u64,
    from: i32,
    to: i32,
    why: &'a str,
}

impl<'a> Chart<'a> {
    pub(crate) fn new(seconds: &'a [Second], promise_s: Option<f64>) -> Self {
        let width_s = seconds.len().div_ceil(MOST_POINTS).max(1);
        let mut chart = Self { width_s, promise_s, ..Self::default() };
        for part in seconds.chunks(width_s) {
            chart.add(part);
        }
        let mut decisions = decisions(seconds);
        chart.decisions_left_out = decisions.len().saturating_sub(MOST_DECISIONS);
        chart.decisions = decisions.split_off(chart.decisions_left_out);
        chart
    }

    fn add(&mut self, part: &'a [Second]) {
        let Some(last) = part.last() else { return };
        let mean = |of: fn(&Second) -> f64| {
            let sum: f64 = part.iter().map(of).sum();
            (sum / part.len() as f64 * 10.0).round() / 10.0
        };
        self.t.push(last.t_s);
        self.arrival.push(mean(|second| second.arrival_per_s));
        self.processed.push(mean(|second| second.processed_per_s));
        self.backlog.push(part.iter().map(|second| second.backlog).max().unwrap_or(0));
        self.lag.push(part.iter().map(|second| second.lag_metric).max().unwrap_or(0));
        let age_s = part.iter().map(|second| second.oldest_age_s).fold(0.0, f64::max);
        self.age.push((age_s * 1000.0).round() / 1000.0);
        self.desired.push(last.replicas_desired);
        self.current.push(last.replicas_current);
        self.ready.push(last.pods_ready);
        self.nodes.push(last.nodes);
        if self.reasons.last() != Some(&last.reason.as_str()) {
            self.reasons.push(&last.reason);
        }
        self.reason.push(self.reasons.len() - 1);
    }
}

fn decisions(seconds: &[Second]) -> Vec<Decision<'_>> {
    let changes =
        seconds.windows(2).filter(|pair| pair[0].replicas_desired != pair[1].replicas_desired);
    changes
        .map(|pair| Decision {
            t: pair[1].t_s,
            from: pair[0].replicas_desired,
            to: pair[1].replicas_desired,
            why: &pair[1].reason,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(count: u64) -> Vec<Second> {
        let second = |t_s| Second {
            t_s,
            arrival_per_s: t_s as f64,
            backlog: (t_s % 50) as i64,
            replicas_desired: (t_s / 100) as i32,
            reason: format!("because {}", t_s / 100),
            ..Second::default()
        };
        (1..=count).map(second).collect()
    }

    #[test]
    fn a_short_run_keeps_every_second() {
        let seconds = seconds(250);
        let chart = Chart::new(&seconds, Some(5.0));
        assert_eq!((chart.width_s, chart.t.len(), chart.t[9]), (1, 250, 10));
        assert_eq!(chart.reasons, ["because 0", "because 1", "because 2"]);
        let second = Decision { t: 200, from: 1, to: 2, why: "because 2" };
        assert_eq!(chart.decisions.last(), Some(&second));
    }

    #[test]
    fn a_day_is_thinned_out_and_keeps_its_peaks() {
        let seconds = seconds(86_400);
        let chart = Chart::new(&seconds, None);
        assert_eq!((chart.width_s, chart.t.len()), (36, 2_400));
        assert_eq!(chart.arrival[0], 18.5, "the mean of 1 to 36");
        assert!(chart.backlog.iter().all(|backlog| *backlog >= 35), "the largest of each");
        assert_eq!(chart.t.last(), Some(&86_400));
        assert_eq!(chart.decisions.len(), 864);
    }
}
