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
const BALANCE: f64 = 0.03;
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
/// A guess that returned and is again far above what is seen, within this time, is wrong,
/// seconds.
const AGAIN_S: f64 = 600.0;

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
/// Pods with time to spare are not measured before a spell either. What is known of fast
/// writes is then the guess alone, so a first rate far below it does not replace it for good:
/// after the spell the guess is believed again, as far as a guess is. It is dropped when
/// the low rate shows without a spell, and when it proves wrong soon after it returned.
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
    /// Until a measurement comes near it, or it is known to be wrong.
    guess_per_s: Option<f64>,
    guess_returned_s: Option<f64>,
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
            guess_per_s: Some(guess_per_s),
            guess_returned_s: None,
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

    /// Nobody knows what pods did: what was seen before is no window's beginning.
    pub(super) fn disturbed(&mut self) {
        self.window.clear();
    }

    /// What the pods say of their own writes.
    pub(super) fn report(&mut self, now_s: f64, pod_rate_per_s: f64) {
        let usable = pod_rate_per_s.is_finite() && pod_rate_per_s > 0.0;
        let seen_busy = self.is_measured && now_s - self.evidence_s < REPORT_AFTER_S;
        if usable && !seen_busy {
            self.learn_rate(pod_rate_per_s);
            self.doubt_the_guess(now_s);
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
            self.doubt_the_guess(now_s);
        }
    }

    /// After a measurement: one near the guess replaces it, and so does one far below it that
    /// comes soon after its return.
    fn doubt_the_guess(&mut self, now_s: f64) {
        let returned = self.guess_returned_s.is_some_and(|at_s| now_s - at_s < AGAIN_S);
        let stays = |guess_per_s: &f64| !returned && self.rate_per_s < FAR_BELOW * guess_per_s;
        self.guess_per_s = self.guess_per_s.filter(stays);
    }

    /// What pods do when writes are as fast as they are known to be, or guessed.
    fn usual_per_s(&self) -> f64 {
        self.rate_per_s.max(self.best_per_s).max(self.guess_per_s.unwrap_or(0.0))
    }

    /// What pods kept in reserve are taken to do: a slow spell is what they are kept for.
    pub(super) fn reserve_per_s(&self) -> f64 {
        if self.is_low() { self.usual_per_s() } else { self.rate_per_s }
    }

    /// What pods kept in reserve are taken to do before some of them go: what was seen, for a
    /// guess may be wrong as well as the spell's end be near.
    pub(super) fn sure_reserve_per_s(&self) -> f64 {
        if self.is_measured { self.rate_per_s.max(self.best_per_s) } else { self.reserve_per_s() }
    }

    /// Whether the rate is believed to be clearly below the usual one.
    pub(super) fn is_low(&self) -> bool {
        self.rate_per_s < FAR_BELOW * self.usual_per_s()
    }

    /// Writes take what they took when the rate was at its best, or was guessed.
    pub(super) fn recovered(&mut self, now_s: f64) {
        let usual_per_s = self.usual_per_s();
        if usual_per_s > self.best_per_s {
            self.is_measured = false;
            self.guess_returned_s = Some(now_s);
        }
        self.rate_per_s = usual_per_s;
        self.evidence_s = now_s;
        self.window.clear();
    }

    /// Pods did less than was guessed, and writes take what they always took.
    pub(super) fn not_slow(&mut self) {
        self.guess_per_s = None;
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
            self.doubt_the_guess(now_s);
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

    /// `before_s` is the last look: a larger spec was decided then. After a look that is
    /// `blind_s` ago nobody knows when pods were ordered, or became ready.
    pub(super) fn observe(&mut self, now_s: f64, before_s: f64, blind_s: f64, counts: Counts) {
        let Counts { spec, ready, .. } = counts;
        if now_s - before_s >= blind_s {
            self.waiting = None;
            self.last_spec = None;
        }
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
#[path = "capacity_tests.rs"]
mod tests;
