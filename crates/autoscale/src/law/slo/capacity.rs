//! What a pod can do, and how long one takes to start, from evidence.

use std::collections::VecDeque;

/// Evidence is taken from this long at most, seconds ...
const WINDOW_S: f64 = 10.0;
/// ... and from this long at least.
const LEAST_S: f64 = 5.0;
/// How much of a difference one more measurement takes in. The first replaces the guess.
const GAIN: f64 = 0.25;
/// The same of one below this share: a sink that slows down is to be known at once.
const FAR_BELOW: f64 = 0.8;
const GAIN_FALL: f64 = 0.6;
/// As much is done as arrives when the two differ by less than this share.
const BALANCE: f64 = 0.05;
/// A rate below the best one measured is held for this long after the last evidence,
/// seconds; each time that it proves right, twice as long ...
const FADE_AFTER_S: f64 = 120.0;
const FADE_MOST_S: f64 = 3600.0;
/// ... and then rises by this share a second towards the best.
const FADE_PER_S: f64 = 0.002;
/// Pods' own reports count when no busy time was seen for this long, seconds.
const REPORT_AFTER_S: f64 = 30.0;
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
    arrived: f64,
    records: f64,
    busy: bool,
    /// No pod came or went; without it pods that are not Ready yet may have helped.
    still: bool,
}

/// Records a second of one pod. What pods did is a lower bound at any time; what
/// they did while all of them had work waiting is the rate itself; where pods report
/// the times of their writes, that counts in between.
///
/// A slow spell of the sink teaches a low rate, and pods that are then plenty never
/// have work waiting to teach a better one. So a rate below the best one measured is
/// believed for a while only, and longer each time that it is confirmed; or until writes
/// are seen to take what they took before.
///
/// While pods start, those that are Ready do what they did, and those that are not may
/// help: what is seen then can be too much for one pod and not too little, so that it may
/// lower the rate and not raise it.
#[derive(Debug, Clone)]
pub(super) struct PodRate {
    rate_per_s: f64,
    is_measured: bool,
    proven_per_s: f64,
    best_per_s: f64,
    evidence_s: f64,
    fade_after_s: f64,
    window: VecDeque<Done>,
    counts: Option<Counts>,
    steady_since_s: f64,
    /// Since when the same number is Ready.
    ready_since_s: f64,
}

impl PodRate {
    pub(super) fn new(guess_per_s: f64) -> Self {
        Self {
            rate_per_s: guess_per_s,
            is_measured: false,
            proven_per_s: 0.0,
            best_per_s: 0.0,
            evidence_s: 0.0,
            fade_after_s: FADE_AFTER_S,
            window: VecDeque::new(),
            counts: None,
            steady_since_s: 0.0,
            ready_since_s: 0.0,
        }
    }

    pub(super) fn per_s(&self) -> f64 {
        self.rate_per_s
    }

    /// Whether it was seen under load or reported, and is not a guess.
    pub(super) fn is_measured(&self) -> bool {
        self.is_measured
    }

    /// Whether the pods have shown anything yet.
    pub(super) fn is_proven(&self) -> bool {
        self.is_measured || self.proven_per_s > 0.0
    }

    /// What the pods say of their own writes.
    pub(super) fn report(&mut self, now_s: f64, pod_rate_per_s: f64) {
        let usable = pod_rate_per_s.is_finite() && pod_rate_per_s > 0.0;
        let seen_busy = self.is_measured && now_s - self.evidence_s < REPORT_AFTER_S;
        if usable && !seen_busy {
            self.learn_rate(pod_rate_per_s);
        }
    }

    fn learn_rate(&mut self, seen_per_s: f64) {
        let falls = seen_per_s < FAR_BELOW * self.rate_per_s;
        let gain = match (self.is_measured, falls) {
            (false, _) => 1.0,
            (true, true) => GAIN_FALL,
            (true, false) => GAIN,
        };
        self.rate_per_s += gain * (seen_per_s - self.rate_per_s);
        self.is_measured = true;
        self.best_per_s = self.best_per_s.max(self.rate_per_s);
    }

    /// A pod that was given so much fell behind.
    pub(super) fn at_most(&mut self, now_s: f64, given_per_s: f64) {
        if given_per_s < self.rate_per_s {
            self.rate_per_s = given_per_s;
            self.evidence_s = now_s;
        }
    }

    /// Whether the rate is believed to be clearly below the best.
    pub(super) fn is_low(&self) -> bool {
        self.is_measured && self.rate_per_s < FAR_BELOW * self.best_per_s
    }

    /// Writes take what they took when the rate was at its best.
    pub(super) fn recovered(&mut self, now_s: f64) {
        self.rate_per_s = self.best_per_s;
        self.evidence_s = now_s;
        self.window.clear();
    }

    /// Without evidence a low rate rises towards the best one.
    fn fade(&mut self, now_s: f64, span_s: f64) {
        if self.is_measured && now_s - self.evidence_s > self.fade_after_s {
            let risen = self.rate_per_s * (1.0 + FADE_PER_S * span_s);
            self.rate_per_s = self.rate_per_s.max(risen.min(self.best_per_s));
        }
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
        let before = self.counts.replace(counts);
        if before != Some(counts) {
            self.steady_since_s = now_s;
        }
        if before.is_none_or(|before| before.ready != counts.ready) {
            self.ready_since_s = now_s;
            self.window.clear();
        }
        self.fade(now_s, done.span_s);
        let since = |since_s: f64| now_s - since_s >= settle_s + done.span_s;
        let Counts { spec, status, ready } = counts;
        let still = spec == ready && status == ready && since(self.steady_since_s);
        let starting = spec > ready && status >= ready && since(self.ready_since_s);
        if ready == 0 || !(still || starting) {
            self.window.clear();
            return;
        }
        let Sample { span_s, arrived, records, busy, .. } = done;
        self.window.push_back(Done { span_s, arrived, records, busy, still });
        while self.span_s() > WINDOW_S && self.window.len() > 2 {
            self.window.pop_front();
        }
        let working = f64::from(counts.ready.min(done.partitions));
        self.learn(now_s, working.max(1.0));
    }

    fn span_s(&self) -> f64 {
        self.window.iter().map(|done| done.span_s).sum()
    }

    /// Whether what waits became more or less. Where as much is done as arrives, pods may
    /// have time to spare although much is in flight: slow writes look like that.
    fn is_out_of_balance(&self, records: f64) -> bool {
        let arrived: f64 = self.window.iter().map(|done| done.arrived).sum();
        (arrived - records).abs() > BALANCE * records + 2.0 * records.sqrt()
    }

    fn learn(&mut self, now_s: f64, pods: f64) {
        let span_s = self.span_s();
        if span_s < LEAST_S {
            return;
        }
        let records: f64 = self.window.iter().map(|done| done.records).sum();
        let still = self.window.iter().all(|done| done.still);
        let seen_per_s = records / span_s / pods;
        let lowers = seen_per_s < self.rate_per_s;
        let tells = if lowers {
            (still || seen_per_s < FAR_BELOW * self.rate_per_s) && self.is_out_of_balance(records)
        } else {
            still
        };
        if tells && self.window.iter().all(|done| done.busy) {
            if now_s - self.evidence_s > self.fade_after_s && seen_per_s < 0.9 * self.rate_per_s {
                self.fade_after_s = (2.0 * self.fade_after_s).min(FADE_MOST_S);
            }
            self.evidence_s = now_s;
            self.learn_rate(seen_per_s);
        }
        if still && span_s >= 0.8 * WINDOW_S {
            // Commits come in lumps: one may be in the window by chance.
            let (least, most) = self
                .window
                .iter()
                .fold((f64::MAX, 0.0_f64), |(a, b), d| (a.min(d.records), b.max(d.records)));
            let proven = (records - 0.5 * (most - least)) / span_s / pods;
            self.proven_per_s = self.proven_per_s.max(proven);
            // What pods did before a slow spell they can do after it.
            self.best_per_s = self.best_per_s.max(proven);
            self.rate_per_s = self.rate_per_s.max(proven);
        }
    }
}

/// What was committed between two looks.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sample {
    pub(super) span_s: f64,
    /// Records that arrived meanwhile.
    pub(super) arrived: f64,
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
            let sample =
                Sample { span_s: 1.0, arrived: 1.5 * records, records, busy, partitions: 24 };
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
        let sample = Sample {
            span_s: 1.0,
            arrived: 1.5 * 1200.0,
            records: 1200.0,
            busy: false,
            partitions: 24,
        };
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
    fn a_slow_spell_is_believed_for_a_while_and_longer_when_it_comes_again() {
        let mut rate = PodRate::new(100.0);
        let mut now_s = 0.0;
        let mut feed = |seconds: u32, records: f64, busy: bool, rate: &mut PodRate| {
            for _ in 0..seconds {
                now_s += 1.0;
                let sample =
                    Sample { span_s: 1.0, arrived: 1.5 * records, records, busy, partitions: 24 };
                rate.observe(now_s, sample, COUNTS, 2.0);
            }
            rate.per_s()
        };
        assert!((feed(40, 400.0, true, &mut rate) - 100.0).abs() < 1.0);
        let slow = feed(60, 80.0, true, &mut rate);
        assert!((slow - 20.0).abs() < 1.0, "{slow}");
        assert_eq!(feed(110, 40.0, false, &mut rate), slow, "believed");
        let risen = feed(300, 40.0, false, &mut rate);
        assert!(risen > 1.4 * slow, "{risen}");
        // It is slow still: the next time it is believed for twice as long.
        let slow = feed(60, 80.0, true, &mut rate);
        assert!((slow - 20.0).abs() < 1.0, "{slow}");
        assert_eq!(feed(200, 40.0, false, &mut rate), slow, "believed for longer");
        let best = feed(3600, 40.0, false, &mut rate);
        assert!((best - 100.0).abs() < 2.0, "{best}");
    }

    #[test]
    fn pods_tell_their_rate_when_nobody_waits_for_them() {
        let mut rate = PodRate::new(500.0);
        rate.report(1.0, 90.0);
        assert_eq!((rate.per_s(), rate.sure_per_s()), (90.0, 90.0));
        rate.report(2.0, f64::NAN);
        rate.report(2.0, 0.0);
        assert_eq!(rate.per_s(), 90.0);
        for second in 3..40 {
            let sample = Sample {
                span_s: 1.0,
                arrived: 1.5 * 400.0,
                records: 400.0,
                busy: true,
                partitions: 24,
            };
            rate.observe(f64::from(second), sample, COUNTS, 2.0);
        }
        let seen = rate.per_s();
        rate.report(41.0, 900.0);
        assert_eq!(rate.per_s(), seen, "what was seen counts more");
    }

    #[test]
    fn nothing_is_learned_while_pods_come_and_go() {
        let mut rate = PodRate::new(100.0);
        for second in 0..40 {
            let sample = Sample {
                span_s: 1.0,
                arrived: 1.5 * 4000.0,
                records: 4000.0,
                busy: true,
                partitions: 24,
            };
            let counts = Counts { ready: 3 + second % 2, ..COUNTS };
            rate.observe(f64::from(second), sample, counts, 2.0);
        }
        assert_eq!(rate.per_s(), 100.0);
    }

    #[test]
    fn while_pods_start_a_rate_is_lowered_and_not_raised() {
        let mut rate = PodRate::new(100.0);
        let feed = |rate: &mut PodRate, seconds: std::ops::Range<u32>, records, counts| {
            for second in seconds {
                let sample = Sample {
                    span_s: 1.0,
                    arrived: 1.5 * records,
                    records,
                    busy: true,
                    partitions: 24,
                };
                rate.observe(f64::from(second), sample, counts, 2.0);
            }
        };
        feed(&mut rate, 0..20, 400.0, COUNTS);
        assert!((rate.per_s() - 100.0).abs() < 1.0);
        // The sink slows down, and more are ordered before that is known.
        let starting = Counts { spec: 8, status: 8, ready: 4 };
        feed(&mut rate, 20..32, 120.0, starting);
        assert!(rate.per_s() < 40.0, "{}", rate.per_s());
        assert!(rate.is_low());
        let low = rate.per_s();
        feed(&mut rate, 32..50, 800.0, starting);
        assert_eq!(rate.per_s(), low, "who is not Ready may have helped");
        rate.recovered(50.0);
        assert!((rate.per_s() - 100.0).abs() < 1.0 && !rate.is_low());
    }

    #[test]
    fn a_low_rate_rises_with_time_and_not_with_looks() {
        let mut rate = PodRate::new(100.0);
        rate.learn_rate(100.0);
        rate.at_most(0.0, 50.0);
        rate.at_most(0.0, 60.0);
        rate.fade(FADE_AFTER_S, 10.0);
        assert_eq!(rate.per_s(), 50.0, "too early");
        rate.fade(FADE_AFTER_S + 10.0, 10.0);
        assert!((rate.per_s() - 51.0).abs() < 1e-9, "{}", rate.per_s());
    }

    #[test]
    fn what_is_in_flight_is_not_work_that_waits() {
        let mut rate = PodRate::new(100.0);
        // Writes are slow, much is in flight; as much is done as arrives.
        let sample =
            Sample { span_s: 1.0, arrived: 200.0, records: 200.0, busy: true, partitions: 24 };
        for second in 0..40 {
            rate.observe(f64::from(second), sample, COUNTS, 2.0);
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
