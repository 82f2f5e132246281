//! What the engine tells about itself while it runs: totals, phase, health.
//! Written by the engine's task, read by scrapes, probes and reports; atomics and
//! short locks, never held across an await.

use std::sync::atomic::{AtomicI64, AtomicU8, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tidegate_kafka::{GroupHandle, GroupStatus};
use tokio::time::Instant;

use crate::metrics::Metrics;
use crate::sizing::SinkReport;

/// Where a pipeline is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Phase {
    /// Waiting for broker or sink; the group is not joined yet.
    Starting,
    /// Member of the group.
    Running,
    /// Finishing the write and leaving the group.
    Draining,
    /// `run` has returned, or it or the pipeline was dropped.
    Ended,
}

impl Phase {
    fn from_u8(value: u8) -> Self {
        match value {
            0 => Self::Starting,
            1 => Self::Running,
            2 => Self::Draining,
            _ => Self::Ended,
        }
    }
}

const NO_RECORD: i64 = i64::MAX;

/// The sink's failure before it was called.
const NOT_REACHED: &str = "the sink was not reached yet";

/// Shared by engine, handle and scrapes.
#[derive(Debug)]
pub(crate) struct Status {
    pub(crate) metrics: Metrics,
    pub(crate) rows: AtomicU64,
    pub(crate) dead_letters: AtomicU64,
    pub(crate) batches: AtomicU64,
    pub(crate) batch_micros: AtomicU64,
    pub(crate) fenced: AtomicU64,
    oldest_record_ms: AtomicI64,
    phase: AtomicU8,
    sink_failure: Mutex<Option<String>>,
    sink: Mutex<SinkReport>,
    member: Mutex<Member>,
    rate: Mutex<RateWindow>,
    started: Instant,
}

/// The group member. A [`GroupHandle`] keeps the member in its group, so it is held no longer
/// than `run` lasts: whoever looks on must not hold partitions.
#[derive(Debug, Default)]
enum Member {
    #[default]
    NotJoined,
    Running(GroupHandle),
    /// As it was at the end of `run`.
    Ended(GroupStatus),
}

impl Status {
    pub(crate) fn new() -> Self {
        Self {
            metrics: Metrics::new(),
            rows: AtomicU64::new(0),
            dead_letters: AtomicU64::new(0),
            batches: AtomicU64::new(0),
            batch_micros: AtomicU64::new(0),
            fenced: AtomicU64::new(0),
            oldest_record_ms: AtomicI64::new(NO_RECORD),
            phase: AtomicU8::new(Phase::Starting as u8),
            sink_failure: Mutex::new(Some(NOT_REACHED.into())),
            sink: Mutex::default(),
            member: Mutex::default(),
            rate: Mutex::new(RateWindow::default()),
            started: Instant::now(),
        }
    }

    pub(crate) fn phase(&self) -> Phase {
        Phase::from_u8(self.phase.load(Ordering::Acquire))
    }

    pub(crate) fn set_phase(&self, phase: Phase) {
        self.phase.store(phase as u8, Ordering::Release);
    }

    /// The group was joined.
    pub(crate) fn join(&self, group: GroupHandle) {
        *lock(&self.member) = Member::Running(group);
        self.set_phase(Phase::Running);
    }

    /// The pipeline's end, however it came.
    pub(crate) fn end(&self) {
        let mut member = lock(&self.member);
        if let Member::Running(group) = &*member {
            *member = Member::Ended(group.status());
        }
        self.set_phase(Phase::Ended);
    }

    /// The member as of now, or as it was last.
    pub(crate) fn group(&self) -> Option<GroupStatus> {
        match &*lock(&self.member) {
            Member::NotJoined => None,
            Member::Running(group) => Some(group.status()),
            Member::Ended(status) => Some(status.clone()),
        }
    }

    pub(crate) fn keep_place(&self) {
        if let Member::Running(group) = &*lock(&self.member) {
            group.keep_place();
        }
    }

    /// Notes the outcome of a call of the sink; returns whether that is a change. The first
    /// is one, whatever it is.
    pub(crate) fn set_sink_failure(&self, failure: Option<&str>) -> bool {
        let mut current = lock(&self.sink_failure);
        let is_first = current.as_deref() == Some(NOT_REACHED);
        let changed = is_first || current.is_some() != failure.is_some();
        if changed || failure.is_some() {
            *current = failure.map(str::to_owned);
        }
        self.metrics.sink_up.set(i64::from(failure.is_none()));
        changed
    }

    pub(crate) fn sink_failure(&self) -> Option<String> {
        lock(&self.sink_failure).clone()
    }

    /// Timestamp of the oldest record that is buffered or in flight.
    pub(crate) fn set_oldest_record_ms(&self, timestamp_ms: Option<i64>) {
        self.oldest_record_ms.store(timestamp_ms.unwrap_or(NO_RECORD), Ordering::Relaxed);
    }

    /// Age of that record, milliseconds.
    pub(crate) fn oldest_age_ms(&self) -> Option<i64> {
        match self.oldest_record_ms.load(Ordering::Relaxed) {
            NO_RECORD => None,
            timestamp_ms => Some((crate::clock::now_ms() - timestamp_ms).max(0)),
        }
    }

    pub(crate) fn set_sink(&self, report: SinkReport) {
        *lock(&self.sink) = report;
    }

    /// What the writes say about the sink.
    pub(crate) fn sink(&self) -> SinkReport {
        *lock(&self.sink)
    }

    pub(crate) fn count_committed(&self, records: usize) {
        lock(&self.rate).add(self.started.elapsed().as_secs(), records as u64);
    }

    /// Records committed a second, over the last whole seconds.
    pub(crate) fn records_per_second(&self) -> f64 {
        lock(&self.rate).per_second(self.started.elapsed().as_secs())
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Seconds a rate is taken over: long enough for batches of a second.
const RATE_SECONDS: u64 = 10;
/// The seconds of the rate, and the one that is still filling.
const RATE_SLOTS: usize = RATE_SECONDS as usize + 1;

/// Counts in slots of a second. Pure: the second is an argument.
#[derive(Debug, Default)]
struct RateWindow {
    counts: [u64; RATE_SLOTS],
    /// The second that `counts[second % slots]` belongs to, the latest one seen.
    latest_s: u64,
}

impl RateWindow {
    fn add(&mut self, now_s: u64, count: u64) {
        self.advance(now_s);
        self.counts[slot(now_s)] += count;
    }

    /// Over the last ten whole seconds, or as many as there were.
    fn per_second(&mut self, now_s: u64) -> f64 {
        self.advance(now_s);
        let current = slot(now_s);
        let total: u64 =
            self.counts.iter().enumerate().filter(|(at, _)| *at != current).map(|(_, c)| c).sum();
        total as f64 / now_s.clamp(1, RATE_SECONDS) as f64
    }

    fn advance(&mut self, now_s: u64) {
        let skipped = now_s.saturating_sub(self.latest_s).min(RATE_SLOTS as u64);
        for second in now_s + 1 - skipped..=now_s {
            self.counts[slot(second)] = 0;
        }
        self.latest_s = self.latest_s.max(now_s);
    }
}

fn slot(second: u64) -> usize {
    (second % RATE_SLOTS as u64) as usize
}

#[cfg(test)]
mod tests {
    use super::{RateWindow, Status};

    /// Else a log says nothing while the database is down from the start.
    #[test]
    fn a_sink_that_fails_from_the_start_is_a_change_once() {
        let status = Status::new();
        assert!(status.sink_failure().is_some(), "not ready before it was reached");
        let changes = [Some("down"), Some("still down"), None, None, Some("down"), None];
        let changes = changes.map(|failure| status.set_sink_failure(failure));
        assert_eq!(changes, [true, false, true, false, true, true]);
        assert!(Status::new().set_sink_failure(None), "reached at once");
    }

    #[test]
    fn rate_is_current_and_not_a_lifetime_average() {
        let mut rate = RateWindow::default();
        for second in 0..30 {
            rate.add(second, 100);
        }
        assert_eq!(rate.per_second(30), 100.0);
        assert_eq!(rate.per_second(35), 50.0);
        assert_eq!(rate.per_second(40), 0.0);
        assert_eq!(rate.per_second(1_000_000), 0.0);
    }

    #[test]
    fn a_young_window_divides_by_its_own_age() {
        let mut rate = RateWindow::default();
        rate.add(0, 100);
        rate.add(1, 100);
        rate.add(2, 1_000);
        assert_eq!(rate.per_second(2), 100.0, "the second still filling does not count");
    }
}
