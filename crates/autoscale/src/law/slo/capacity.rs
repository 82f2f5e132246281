//! What a pod can do, and how long one takes to start, from evidence.

use std::collections::VecDeque;

/// Evidence is taken from this long at most, seconds ...
const WINDOW_S: f64 = 10.0;
/// ... and from this long at least.
const LEAST_S: f64 = 5.0;
/// How much of a difference one more measurement takes in. The first replaces the guess.
const GAIN: f64 = 0.25;
/// Until then a guess is trusted to this factor beyond what was proven ...
const BEYOND_PROVEN: f64 = 1.3;
/// ... or to this part of it, where nearly nothing was proven.
const OF_GUESS: f64 = 0.5;

/// Replica counts of one observation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) spec: i32,
    pub(super) status: i32,
    pub(super) ready: i32,
}

#[derive(Debug, Clone, Copy)]
struct Done {
    span_s: f64,
    records: f64,
    busy: bool,
}

/// Records a second of one pod. What pods did is a lower bound at any time; what
/// they did while all of them had work waiting is the rate itself.
#[derive(Debug, Clone)]
pub(super) struct PodRate {
    rate_per_s: f64,
    is_measured: bool,
    proven_per_s: f64,
    window: VecDeque<Done>,
    counts: Option<Counts>,
    steady_since_s: f64,
}

impl PodRate {
    pub(super) fn new(guess_per_s: f64) -> Self {
        Self {
            rate_per_s: guess_per_s,
            is_measured: false,
            proven_per_s: 0.0,
            window: VecDeque::new(),
            counts: None,
            steady_since_s: 0.0,
        }
    }

    pub(super) fn per_s(&self) -> f64 {
        self.rate_per_s
    }

    /// The rate that fewer pods may be trusted with: a guess that was never put to
    /// the test is not proof.
    pub(super) fn sure_per_s(&self) -> f64 {
        if self.is_measured {
            return self.rate_per_s;
        }
        let trusted = (BEYOND_PROVEN * self.proven_per_s).max(OF_GUESS * self.rate_per_s);
        self.rate_per_s.min(trusted)
    }

    /// `records` were committed in the `span_s` before now. Nothing is learned
    /// until `settle_s` after the last change of the counts, while pods come or go.
    pub(super) fn observe(&mut self, now_s: f64, done: Sample, counts: Counts, settle_s: f64) {
        if self.counts.replace(counts) != Some(counts) {
            self.steady_since_s = now_s;
        }
        let still = counts.spec == counts.ready && counts.status == counts.ready;
        if !still || counts.ready == 0 || now_s - self.steady_since_s < settle_s + done.span_s {
            self.window.clear();
            return;
        }
        self.window.push_back(Done { span_s: done.span_s, records: done.records, busy: done.busy });
        while self.span_s() > WINDOW_S && self.window.len() > 2 {
            self.window.pop_front();
        }
        let working = f64::from(counts.ready.min(done.partitions));
        self.learn(working.max(1.0));
    }

    fn span_s(&self) -> f64 {
        self.window.iter().map(|done| done.span_s).sum()
    }

    fn learn(&mut self, pods: f64) {
        let span_s = self.span_s();
        if span_s < LEAST_S {
            return;
        }
        let records: f64 = self.window.iter().map(|done| done.records).sum();
        if self.window.iter().all(|done| done.busy) {
            let gain = if self.is_measured { GAIN } else { 1.0 };
            self.rate_per_s += gain * (records / span_s / pods - self.rate_per_s);
            self.is_measured = true;
        }
        if span_s >= 0.8 * WINDOW_S {
            // Commits come in lumps: one may be in the window by chance.
            let (least, most) = self
                .window
                .iter()
                .fold((f64::MAX, 0.0_f64), |(a, b), d| (a.min(d.records), b.max(d.records)));
            let proven = (records - 0.5 * (most - least)) / span_s / pods;
            self.proven_per_s = self.proven_per_s.max(proven);
            self.rate_per_s = self.rate_per_s.max(proven);
        }
    }
}

/// What was committed between two looks.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sample {
    pub(super) span_s: f64,
    pub(super) records: f64,
    /// Whether all pods had work waiting all the time.
    pub(super) busy: bool,
    pub(super) partitions: i32,
}

/// From a decision to the pods being ready.
#[derive(Debug, Clone)]
pub(super) struct PodStart {
    start_s: f64,
    last_spec: Option<i32>,
    waiting: Option<Waiting>,
}

#[derive(Debug, Clone, Copy)]
struct Waiting {
    since_s: f64,
    pods: i32,
}

impl PodStart {
    pub(super) fn new(guess_s: f64) -> Self {
        Self { start_s: guess_s, last_spec: None, waiting: None }
    }

    /// `before_s` is the last look: a larger spec was decided then.
    pub(super) fn observe(&mut self, now_s: f64, before_s: f64, counts: Counts) {
        let Counts { spec, ready, .. } = counts;
        if self.last_spec.is_some_and(|last| spec > last) {
            self.waiting = Some(Waiting { since_s: before_s, pods: spec });
        }
        self.last_spec = Some(spec);
        let Some(waiting) = self.waiting else { return };
        if spec < waiting.pods {
            self.waiting = None;
        } else if ready >= waiting.pods {
            let took_s = now_s - waiting.since_s;
            // Slower starts are believed at once, faster ones after a few.
            let gain = if took_s > self.start_s { 1.0 } else { 0.3 };
            self.start_s += gain * (took_s - self.start_s);
            self.waiting = None;
        }
    }

    /// Never below the time that pods have been waited for already.
    pub(super) fn start_s(&self, now_s: f64) -> f64 {
        self.waiting.map_or(self.start_s, |waiting| self.start_s.max(now_s - waiting.since_s))
    }

    /// Until the pods that were ordered are ready; 0 when all are.
    pub(super) fn left_s(&self, now_s: f64) -> f64 {
        self.waiting.map_or(0.0, |waiting| (self.start_s - (now_s - waiting.since_s)).max(0.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COUNTS: Counts = Counts { spec: 4, status: 4, ready: 4 };

    fn fed(guess: f64, records: f64, busy: bool, seconds: u32) -> f64 {
        let mut rate = PodRate::new(guess);
        for second in 0..seconds {
            let sample = Sample { span_s: 1.0, records, busy, partitions: 24 };
            rate.observe(f64::from(second), sample, COUNTS, 2.0);
        }
        rate.per_s()
    }

    #[test]
    fn busy_pods_correct_the_guess_either_way() {
        assert!((fed(500.0, 400.0, true, 40) - 100.0).abs() < 1.0);
        assert!((fed(20.0, 400.0, true, 40) - 100.0).abs() < 1.0);
    }

    #[test]
    fn pods_without_a_backlog_prove_a_lower_bound_only() {
        assert_eq!(fed(500.0, 400.0, false, 40), 500.0);
        assert_eq!(fed(20.0, 400.0, false, 40), 100.0);
    }

    #[test]
    fn fewer_pods_are_trusted_with_what_was_proven() {
        let mut rate = PodRate::new(500.0);
        assert_eq!(rate.sure_per_s(), 250.0, "half of the guess");
        let sample = Sample { span_s: 1.0, records: 1200.0, busy: false, partitions: 24 };
        for second in 0..20 {
            rate.observe(f64::from(second), sample, COUNTS, 2.0);
        }
        assert_eq!(rate.sure_per_s(), 390.0, "1.3 times 300");
        for second in 20..40 {
            rate.observe(f64::from(second), Sample { busy: true, ..sample }, COUNTS, 2.0);
        }
        assert_eq!((rate.per_s(), rate.sure_per_s()), (300.0, 300.0), "measured");
    }

    #[test]
    fn nothing_is_learned_while_pods_come_and_go() {
        let mut rate = PodRate::new(100.0);
        for second in 0..40 {
            let sample = Sample { span_s: 1.0, records: 4000.0, busy: true, partitions: 24 };
            let counts = Counts { ready: 3 + second % 2, ..COUNTS };
            rate.observe(f64::from(second), sample, counts, 2.0);
        }
        assert_eq!(rate.per_s(), 100.0);
    }

    #[test]
    fn a_slow_start_is_known_before_it_is_over() {
        let mut start = PodStart::new(5.0);
        start.observe(0.0, 0.0, Counts { spec: 1, status: 1, ready: 1 });
        for second in 1..=20 {
            let now_s = f64::from(second);
            start.observe(now_s, now_s - 1.0, Counts { spec: 3, status: 3, ready: 1 });
        }
        assert_eq!((start.start_s(20.0), start.left_s(20.0)), (20.0, 0.0));
        start.observe(21.0, 20.0, Counts { spec: 3, status: 3, ready: 3 });
        assert_eq!((start.start_s(30.0), start.left_s(30.0)), (21.0, 0.0));
    }
}
