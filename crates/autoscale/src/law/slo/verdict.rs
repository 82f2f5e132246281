//! When a plan is followed: up at once and in one step, down after a hold and in few
//! steps, to zero after a cooldown; not while the sink is the limit, and no faster than
//! pods may join.
//!
//! Contract: what the law remembers is read here and not changed; a look at the same facts
//! comes to the same verdict.

use super::estimate::Estimate;
use super::plan::Plan;
use super::{SloLaw, SloTerm};

/// Looks at the arrivals before they may raise the count.
const WARMUP_SAMPLES: usize = 2;
/// Looks that pods which were there at the beginning get to show what they can do,
/// before a guess of it may raise the count.
const UNPROVEN_SAMPLES: usize = 12;
/// A decrease that saves this share is made after the hold; a smaller one after so many
/// times the hold: few, large steps. One that saves no more than this share is not made:
/// all partitions stand still for a rebalance, and what is known of arrivals and pods is
/// not surer than that. It is the HPA's default tolerance.
const LARGE_SAVING: f64 = 0.25;
const SMALL_SAVING_HOLDS: f64 = 5.0;
const LEAST_SAVING: f64 = 0.1;
/// A backlog that asks for more this soon after an increase gets twice as many, seconds.
const AGAIN_S: f64 = 60.0;
/// Looks in a row at a backlog that is too much before it raises the count.
const BACKLOG_LOOKS: u32 = 2;

/// Where to go, and why.
#[derive(Debug, Clone)]
pub(super) struct Verdict {
    pub(super) to: i32,
    pub(super) term: SloTerm,
    /// Instead of the term's own words, or after them.
    pub(super) note: Option<String>,
}

impl Verdict {
    fn new(to: i32, term: SloTerm) -> Self {
        Self { to, term, note: None }
    }

    fn noted(self, note: String) -> Self {
        Self { note: Some(note), ..self }
    }
}

impl SloLaw {
    /// Bounds first, then the sink, more, idleness, fewer.
    pub(super) fn judge(
        &self,
        now_s: f64,
        spec: i32,
        estimate: &Estimate,
        plan: &Plan,
        sink_limited: bool,
    ) -> Verdict {
        let (min, max) = (self.options.min_replicas, self.options.most_replicas());
        if spec < min || spec > max {
            return Verdict::new(spec.clamp(min, max), SloTerm::Bounds);
        }
        let active = estimate.arrived > 0 || estimate.backlog > 0.0;
        if spec == 0 {
            return self.wake(active, plan);
        }
        if sink_limited {
            return Verdict::new(spec, SloTerm::Sink);
        }
        if let Some(verdict) = self.more(now_s, spec, estimate, plan) {
            return verdict;
        }
        let idle_s = now_s - self.last_active_s;
        if !active && min == 0 {
            let left_s = self.options.cooldown_s - idle_s;
            return if left_s <= 0.0 {
                Verdict::new(0, SloTerm::Idle)
            } else {
                let note = format!("nothing to do, {left_s:.0} s of the cooldown left");
                Verdict::new(spec, SloTerm::Cooldown).noted(note)
            };
        }
        let late = estimate.oldest_age_s > self.options.target_age_s;
        self.fewer(now_s, spec, late, plan)
    }

    /// From zero: there is nothing to wait for.
    fn wake(&self, active: bool, plan: &Plan) -> Verdict {
        if !active {
            return Verdict::new(0, SloTerm::Idle);
        }
        let to = plan.target.max(1).min(self.options.most_replicas());
        Verdict::new(to, SloTerm::Backlog).noted("records wait and there is no pod".into())
    }

    /// An increase that is due, or that would be if more were known.
    fn more(&self, now_s: f64, spec: i32, estimate: &Estimate, plan: &Plan) -> Option<Verdict> {
        let due = plan.steady_due || self.backlog_looks >= BACKLOG_LOOKS;
        if !due || plan.target <= spec {
            return None;
        }
        if let Some(for_s) = estimate.standstill_s {
            let note = format!(
                "no pod has written anything for {for_s:.0} s though records wait: more pods cannot help"
            );
            return Some(Verdict::new(spec, SloTerm::Sink).noted(note));
        }
        if estimate.samples < WARMUP_SAMPLES {
            return Some(Verdict::new(spec, SloTerm::Warmup));
        }
        let by_rate = plan.steady_due && plan.steady > spec;
        // After its own restart the law knows a pod only by a guess, and the pods it
        // finds may well be enough: they get a moment to show it.
        let unproven = !estimate.is_proven && estimate.samples < UNPROVEN_SAMPLES;
        if by_rate && unproven && !plan.drain_due && spec == estimate.situation.ready {
            return Some(Verdict::new(spec, SloTerm::Warmup));
        }
        if by_rate {
            return Some(Verdict::new(plan.target, SloTerm::Rate));
        }
        // The last increase was not enough: not in small steps then.
        let again = self.last_raise_s.is_some_and(|at_s| now_s - at_s < AGAIN_S);
        let to = if again { plan.target.max(plan.doubled) } else { plan.target };
        Some(Verdict::new(to, SloTerm::Backlog))
    }

    /// The most that was enough within the hold, when that is fewer than now. While the
    /// promise is broken nothing proves that fewer keep it, unless one partition breaks it
    /// whatever the count.
    fn fewer(&self, now_s: f64, spec: i32, late: bool, plan: &Plan) -> Verdict {
        if late && plan.hot.is_none() && plan.enough < spec {
            let note = format!("{} would do, not before the promise is kept again", plan.enough);
            return Verdict::new(spec, SloTerm::Hold).noted(note);
        }
        let most = self.enough.iter().map(|(_, enough)| *enough).max().unwrap_or(spec);
        let held_s = now_s - self.last_change_s;
        let fewer_s = self.fewer_since_s.map_or(0.0, |since_s| now_s - since_s);
        let share = |fewer: i32| f64::from(spec.saturating_sub(fewer)) / f64::from(spec.max(1));
        let large = share(most) >= LARGE_SAVING;
        let lasting = fewer_s >= SMALL_SAVING_HOLDS * self.hold_s();
        let worth_it = large || lasting && share(most) > LEAST_SAVING;
        if most < spec && held_s >= self.hold_s() && worth_it {
            return Verdict::new(most, SloTerm::Fewer);
        }
        if plan.enough < spec && share(plan.enough) <= LEAST_SAVING {
            let note = format!("{} would do, which saves too little to rebalance for", plan.enough);
            return Verdict::new(spec, SloTerm::Enough).noted(note);
        }
        if plan.enough < spec {
            return Verdict::new(spec, SloTerm::Hold);
        }
        if let Some(fewer) = plan.unproven.filter(|fewer| *fewer < spec) {
            let note = format!("{fewer} may do, but pods have not been seen to do so much");
            return Verdict::new(spec, SloTerm::Enough).noted(note);
        }
        Verdict::new(spec, SloTerm::Enough)
    }

    /// No more than the joins that may be ordered now; the rest comes with the next looks.
    pub(super) fn paced(&self, spec: i32, verdict: Verdict) -> Verdict {
        let to = self.joins.paced(spec, verdict.to);
        if to == verdict.to || verdict.term == SloTerm::Bounds {
            return verdict;
        }
        let note =
            format!("{} in the end, {} joins a second", verdict.to, self.options.joins_per_s);
        Verdict { to, ..verdict }.noted(note)
    }
}
