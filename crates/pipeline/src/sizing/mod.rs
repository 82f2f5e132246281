//! When a batch closes and how many writes run at once: the only place that knows.
//! Either fixed by option, or following what writes cost.
//!
//! # Layout
//! - `adaptive`: the size of a batch, from a fitted cost
//! - `concurrency`: the number of writes at once, from the rate it brings
//! - `limit`: whether the sink is the limit

mod adaptive;
mod concurrency;
mod limit;

use std::time::Duration;

use tokio::time::Instant;

use self::adaptive::{AdaptiveSize, Bounds, Fit};
use self::concurrency::Concurrency;
use self::limit::SinkLimit;
use crate::PipelineOptions;

/// Bounds of the next batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Limits {
    pub(crate) max_records: usize,
    pub(crate) max_bytes: usize,
    pub(crate) max_age: Duration,
}

/// What is known about the sink, for others to see.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(crate) struct SinkReport {
    /// More consumers would not help.
    pub(crate) limited: bool,
    /// Share of the last seconds in which full batches waited, 0 to 1.
    pub(crate) busy: f64,
    /// The best capacity seen against the one now, at least 1.
    pub(crate) slowdown: f64,
    /// Seconds a batch.
    pub(crate) fixed_s: f64,
    /// Seconds a row.
    pub(crate) row_s: f64,
    /// Most records of the next batch.
    pub(crate) batch_limit: usize,
    /// Most writes at once.
    pub(crate) writes_limit: usize,
}

/// A write that succeeded.
#[derive(Debug, Clone, Copy)]
pub(crate) struct WriteEnd {
    pub(crate) records: usize,
    /// Since the sink had begun it.
    pub(crate) took: Duration,
    /// Writes that ran, this one included.
    pub(crate) running: usize,
    pub(crate) at: Instant,
}

/// The sizing policy.
#[derive(Debug, Clone)]
pub(crate) struct Sizing {
    limits: Limits,
    /// `None`: fixed.
    size: Option<AdaptiveSize>,
    concurrency: Concurrency,
    writes: usize,
    staged: usize,
    fit: Fit,
    limit: SinkLimit,
    limited: bool,
    blocked: bool,
    /// Of the last write; zero before the first.
    took: Duration,
    started: Instant,
}

/// Behind a longer write a staged batch gains nothing, and a revoke would wait for
/// two writes instead of one.
const STAGE_BELOW: Duration = Duration::from_millis(100);
/// Writes at once, whatever the sink says: "any number" is one of its answers.
const MOST_WRITES: usize = 1_000;

impl Sizing {
    /// `writes` at once is what the sink takes; with `prepares` one more is worth
    /// handing over.
    pub(crate) fn new(options: &PipelineOptions, writes: usize, prepares: bool) -> Self {
        let writes = writes.clamp(1, MOST_WRITES);
        let size = (options.batch_size == 0).then(|| {
            AdaptiveSize::new(Bounds {
                min: options.batch_size_min,
                max: options.batch_size_max,
                target_s: options.batch_latency_target_ms as f64 / 1000.0,
            })
        });
        Self {
            limits: Limits {
                max_records: size.as_ref().map_or(options.batch_size, AdaptiveSize::next),
                max_bytes: options.batch_max_bytes,
                max_age: options.batch_timeout(),
            },
            size,
            concurrency: Concurrency::new(writes),
            writes,
            staged: usize::from(prepares),
            fit: Fit::default(),
            limit: SinkLimit::default(),
            limited: false,
            blocked: false,
            took: Duration::ZERO,
            started: Instant::now(),
        }
    }

    pub(crate) fn limits(&self) -> Limits {
        self.limits
    }

    /// Writes that the sink works on at once.
    pub(crate) fn writes(&self) -> usize {
        if self.size.is_some() { self.concurrency.now() } else { self.writes }
    }

    /// Full batches that may wait at the sink behind those.
    pub(crate) fn staged(&self) -> usize {
        if self.took < STAGE_BELOW { self.staged } else { 0 }
    }

    /// Records to be held at most, those with the sink included: what it may have, the batch
    /// that is taken next, and half as much again, so that it is there when they are written.
    pub(crate) fn buffer_records(&self) -> usize {
        const FEW: usize = 4_000;
        self.ahead(self.limits.max_records).max(FEW)
    }

    /// Bytes of keys and payloads to be held at most: of as many batches as there are records.
    pub(crate) fn buffer_bytes(&self) -> usize {
        // What a few leaders answer at once; less is no saving.
        const FEW: usize = 4 << 20;
        self.ahead(self.limits.max_bytes).max(FEW)
    }

    fn ahead(&self, of_a_batch: usize) -> usize {
        of_a_batch * (self.writes() + self.staged + 1) * 3 / 2
    }

    /// From now on a full batch waits for the sink, or none does.
    pub(crate) fn blocked(&mut self, blocked: bool, now: Instant) {
        if blocked != self.blocked {
            self.blocked = blocked;
            self.limit.blocked(blocked, self.seconds(now));
        }
    }

    pub(crate) fn written(&mut self, write: WriteEnd) {
        let (took_s, now_s) = (write.took.as_secs_f64(), self.seconds(write.at));
        self.took = write.took;
        self.fit.observe(write.records, took_s);
        let cost = self.fit.cost();
        let is_full = write.records >= self.limits.max_records;
        if is_full && took_s > 0.0 {
            self.limit.written(write.records as f64 * write.running as f64 / took_s, now_s);
        }
        self.limit.blocked(self.blocked, now_s);
        let mut at_bound = true;
        if let Some(size) = &mut self.size {
            size.written(write.records, cost);
            self.limits.max_records = size.next();
            self.concurrency.written(write.records, self.blocked, now_s);
            at_bound = size.has_settled(cost) && self.concurrency.is_at_bound(now_s);
        }
        self.limited = self.limit.judge(at_bound);
    }

    fn seconds(&self, now: Instant) -> f64 {
        now.duration_since(self.started).as_secs_f64()
    }

    pub(crate) fn report(&self) -> SinkReport {
        let cost = self.fit.cost();
        SinkReport {
            limited: self.limited,
            busy: self.limit.busy(),
            slowdown: self.limit.slowdown(),
            fixed_s: cost.fixed_s,
            row_s: cost.row_s,
            batch_limit: self.limits.max_records,
            writes_limit: self.writes(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sink_may_take_none_or_any_number_at_once() {
        for batch_size in [0, 1, 100_000] {
            for (writes, expected) in [(0, 1), (usize::MAX, MOST_WRITES)] {
                let options = PipelineOptions { batch_size, ..PipelineOptions::default() };
                let sizing = Sizing::new(&options, writes, true);
                assert_eq!(sizing.writes(), if batch_size == 0 { 1 } else { expected });
                assert!(sizing.buffer_records() >= sizing.limits().max_records);
            }
        }
    }

    #[test]
    fn usual_records_are_bounded_by_their_number_and_large_ones_by_their_bytes() {
        for (writes, prepares) in [(1, false), (1, true), (4, true)] {
            for batch_size in [0, 1, 500, 10_000] {
                let options = PipelineOptions { batch_size, ..PipelineOptions::default() };
                let sizing = Sizing::new(&options, writes, prepares);
                let (records, bytes) = (sizing.buffer_records(), sizing.buffer_bytes());
                assert!(records * 400 <= bytes, "{records} records, {bytes} bytes");
                let batches = (writes + usize::from(prepares) + 1) * 3 / 2 + 1;
                assert!(bytes <= batches * options.batch_max_bytes, "{bytes} bytes");
            }
        }
        let options = PipelineOptions { batch_max_bytes: 1 << 10, ..PipelineOptions::default() };
        assert_eq!(Sizing::new(&options, 1, false).buffer_bytes(), 4 << 20);
    }
}
