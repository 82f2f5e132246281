//! What a rebalance costs: how long partitions stand still around a change of pods,
//! beyond what they do anyway.
//!
//! Seen through committed offsets at about one a second, so to a second or so: enough
//! to tell half a second from thirty. A change that nobody ordered (a crash) is not
//! counted: its partitions wait for a session timeout, which a rescale does not.

use super::capacity::Counts;

/// Partitions are watched for this long after the last pod came or went, seconds.
const WATCH_S: f64 = 10.0;
/// The usual standstill is the longest of about this long, seconds.
const USUAL_S: f64 = 60.0;
/// How much of a difference one shorter rebalance takes in; a longer one is believed.
const GAIN: f64 = 0.3;
/// More than this is no rebalance, seconds.
const MOST_S: f64 = 120.0;

#[derive(Debug, Clone)]
pub(super) struct Rebalance {
    cost_s: f64,
    usual_s: f64,
    counts: Option<Counts>,
    watch: Option<Watch>,
}

#[derive(Debug, Clone, Copy)]
struct Watch {
    since_s: f64,
    ends_s: f64,
    longest_s: f64,
}

impl Rebalance {
    pub(super) fn new(guess_s: f64) -> Self {
        Self { cost_s: guess_s, usual_s: 0.0, counts: None, watch: None }
    }

    /// Seconds for which a rebalance holds up what it moves.
    pub(super) fn cost_s(&self) -> f64 {
        self.cost_s
    }

    /// Nobody knows why partitions stood still: this change tells nothing.
    pub(super) fn disturbed(&mut self) {
        self.watch = None;
    }

    /// `still_s` is how long the partition that waits the longest for its next commit
    /// has waited; `span_s` the time since the last look.
    pub(super) fn observe(&mut self, now_s: f64, span_s: f64, counts: Counts, still_s: f64) {
        let before = self.counts.replace(counts);
        // Ready pods moved to where they were told to be.
        let ordered = before.is_some_and(|before| {
            before.ready != counts.ready
                && (before.ready != before.spec || before.spec != counts.spec)
        });
        if ordered {
            let watch =
                self.watch.get_or_insert(Watch { since_s: now_s, ends_s: 0.0, longest_s: 0.0 });
            watch.ends_s = now_s + WATCH_S;
        }
        let Some(watch) = &mut self.watch else {
            let faded_s = self.usual_s * (-span_s / USUAL_S).exp();
            self.usual_s = faded_s.max(still_s);
            return;
        };
        // What stood still before is not this change's doing.
        let since_s = now_s - watch.since_s + span_s + self.usual_s;
        watch.longest_s = watch.longest_s.max(still_s.min(since_s));
        if now_s >= watch.ends_s {
            let cost_s = (watch.longest_s - self.usual_s).clamp(0.0, MOST_S);
            let gain = if cost_s > self.cost_s { 1.0 } else { GAIN };
            self.cost_s += gain * (cost_s - self.cost_s);
            self.watch = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fed(rebalance: &mut Rebalance, from_s: i32, to_s: i32, counts: Counts, still_s: f64) {
        for second in from_s..to_s {
            rebalance.observe(f64::from(second), 1.0, counts, still_s);
        }
    }

    fn pods(spec: i32, ready: i32) -> Counts {
        Counts { spec, status: spec, ready }
    }

    #[test]
    fn the_standstill_beyond_the_usual_is_the_cost() {
        let mut rebalance = Rebalance::new(0.5);
        fed(&mut rebalance, 0, 60, pods(4, 4), 1.5);
        fed(&mut rebalance, 60, 70, pods(8, 4), 1.5);
        fed(&mut rebalance, 70, 74, pods(8, 8), 7.5);
        fed(&mut rebalance, 74, 90, pods(8, 8), 1.5);
        assert!((rebalance.cost_s() - 4.0).abs() < 2.5, "{}", rebalance.cost_s());
        let long_s = rebalance.cost_s();
        fed(&mut rebalance, 90, 92, pods(4, 4), 2.0);
        fed(&mut rebalance, 92, 110, pods(4, 4), 1.5);
        assert!(rebalance.cost_s() < long_s, "shorter ones bring it down: {rebalance:?}");
    }

    #[test]
    fn two_minutes_are_the_most_that_a_rebalance_is_believed_to_take() {
        let mut rebalance = Rebalance::new(0.5);
        fed(&mut rebalance, 0, 60, pods(4, 4), 0.0);
        for second in 60..400 {
            // It never settles: each ten seconds another pod is ready.
            let counts = pods(100, 4 + (second - 60) / 5);
            rebalance.observe(f64::from(second), 1.0, counts, f64::from(second - 60));
        }
        fed(&mut rebalance, 400, 420, pods(100, 71), 340.0);
        assert_eq!(rebalance.cost_s(), MOST_S);
        assert_eq!(MOST_S, 120.0);
    }

    #[test]
    fn a_crash_is_not_a_rebalance() {
        let mut rebalance = Rebalance::new(0.5);
        fed(&mut rebalance, 0, 60, pods(4, 4), 1.0);
        fed(&mut rebalance, 60, 100, pods(4, 3), 40.0);
        assert_eq!(rebalance.cost_s(), 0.5);
    }
}
