//! The database that all pods share: rows go through it one after the other.
//!
//! It is the limit, as the pods would report it, when their writes take clearly longer
//! than they would with the database to themselves. The shares are those of the consumer's
//! own verdict (`sizing/limit` in tidegate-pipeline), whose best capacity is what one write
//! alone shows here.

use tidegate_autoscale::law::SinkFacts;

/// Time over which the slowdown is taken.
const WINDOW_US: f64 = 5e6;
/// Slowdown from which the sink is the limit, and below which it is not.
const SLOW: f64 = 1.5;
const NOT_SLOW: f64 = 1.25;

/// What is known of the shared sink.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sink {
    /// When it has written all that it was given.
    free_us: i64,
    slowdown: f64,
    seen_us: i64,
    limited: bool,
}

impl Sink {
    pub(super) fn new() -> Self {
        Self { free_us: 0, slowdown: 1.0, seen_us: 0, limited: false }
    }

    /// A batch comes now that would be written at `alone_us` by itself, and takes
    /// `rows_us` of the sink; when it will be written.
    pub(super) fn write(&mut self, now_us: i64, alone_us: i64, rows_us: i64) -> i64 {
        self.free_us = self.free_us.max(now_us) + rows_us;
        let written_us = alone_us.max(self.free_us);
        let slowdown = (written_us - now_us) as f64 / (alone_us - now_us).max(1) as f64;
        let kept = (-((now_us - self.seen_us).max(0) as f64) / WINDOW_US).exp();
        self.slowdown = self.slowdown * kept + slowdown * (1.0 - kept);
        self.seen_us = now_us;
        self.limited = self.slowdown >= if self.limited { NOT_SLOW } else { SLOW };
        written_us
    }

    /// What the pods say; nobody says it for long when nothing is written.
    pub(super) fn facts(&self, now_us: i64) -> SinkFacts {
        let is_fresh = ((now_us - self.seen_us) as f64) < WINDOW_US;
        SinkFacts { limited: self.limited && is_fresh, pod_rate_per_s: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Writes of 100 rows that take a second alone, at a sink of 500 rows a second.
    fn after(pods: i64) -> SinkFacts {
        let mut sink = Sink::new();
        let mut last_us = 0;
        for second in 0..60 {
            for _ in 0..pods {
                last_us = second * 1_000_000;
                sink.write(last_us, last_us + 1_000_000, 200_000);
            }
        }
        sink.facts(last_us)
    }

    #[test]
    fn more_pods_than_the_sink_carries_say_so() {
        assert!(!after(5).limited, "it carries five");
        assert!(after(10).limited, "and not ten");
    }

    #[test]
    fn nobody_says_it_when_nothing_is_written() {
        let mut sink = Sink::new();
        for _ in 0..2 {
            sink.write(10_000_000, 11_000_000, 9_000_000);
        }
        assert!(sink.facts(10_500_000).limited);
        assert!(!sink.facts(20_000_000).limited);
    }
}
