//! The SLO law: the least pods that keep a promised age.
//!
//! Contract: pure; time is an argument. Facts at about one a second become rates,
//! backlogs and ages ([`estimate`]), those become counts ([`plan`]), and this file
//! decides when to follow them: up at once and in one step, down after a hold and
//! in few steps, to zero after a cooldown. It starts from the replicas it finds.
//!
//! # Layout
//! - [`options`]: promise, bounds, guesses
//! - [`partition`]: one partition's backlog and oldest age
//! - [`arrival`]: rate, noise and trend of the arrivals
//! - [`capacity`]: a pod's rate and start time, from evidence
//! - [`rebalance`]: what a rebalance costs, from evidence
//! - [`estimate`]: all of these together
//! - [`plan`]: estimates to replica counts
//! - [`regret`]: a decrease that had to be taken back makes the next one wait longer
//! - [`behind`]: whether the fullest pods fall behind, though most are not busy
//! - [`wait`]: whether writes have become fast again
//! - [`terms`]: what a decision rests on, in words
//!
//! Rejected: a controller on the age itself (it is late by construction: age grows
//! only after the damage), and on the lag (it does not know what arrives).

mod arrival;
mod behind;
mod capacity;
mod estimate;
mod options;
mod partition;
mod plan;
mod rebalance;
mod regret;
mod terms;
mod wait;

use std::collections::VecDeque;

use self::capacity::Counts;
use self::estimate::{Estimate, Estimator, seconds};
use self::plan::{Plan, Short};
use self::regret::Regret;
use super::decision::{Decider, Decision, HpaView};
use super::{Facts, Law};
use crate::lag::PartitionOffsets;

pub use options::{SloOptions, SloOptionsError};
pub use terms::{SloTerm, SloTerms};

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
/// So many seconds' worth of joins may be ordered at once.
const JOINS_BURST_S: f64 = 5.0;
/// Looks in a row at a backlog that is too much before it raises the count.
const BACKLOG_LOOKS: u32 = 2;

/// The law. See the module's text.
#[derive(Debug, Clone)]
pub struct SloLaw {
    options: SloOptions,
    estimator: Estimator,
    last_tick_ms: Option<i64>,
    created_ms: i64,
    /// When there last was something to do, or the law began.
    last_active_s: f64,
    last_readable_s: f64,
    last_change_s: f64,
    last_raise_s: Option<f64>,
    last_spec: Option<i32>,
    /// What was enough, with its time; the last `hold_s`.
    enough: VecDeque<(f64, i32)>,
    backlog_looks: u32,
    /// Since when fewer would have done; `None` when they would not.
    fewer_since_s: Option<f64>,
    regret: Regret,
    sink_limited: bool,
    /// Pods that may be ordered now, and since when that is so.
    joins: (f64, f64),
    targets: String,
}

/// Where to go, and why.
#[derive(Debug, Clone)]
struct Verdict {
    to: i32,
    term: SloTerm,
    /// Instead of the term's own words, or after them.
    note: Option<String>,
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
    /// The law from now on.
    ///
    /// # Errors
    /// The first option outside its range.
    pub fn new(options: SloOptions, created_ms: i64) -> Result<Self, SloOptionsError> {
        options.check()?;
        let now_s = seconds(created_ms);
        Ok(Self {
            estimator: Estimator::new(&options),
            last_tick_ms: None,
            created_ms,
            last_active_s: now_s,
            last_readable_s: now_s,
            last_change_s: now_s,
            last_raise_s: None,
            last_spec: None,
            enough: VecDeque::new(),
            backlog_looks: 0,
            fewer_since_s: None,
            regret: Regret::default(),
            sink_limited: false,
            joins: (JOINS_BURST_S * options.joins_per_s, now_s),
            targets: "<unknown>".into(),
            options,
        })
    }

    /// Whoever sees the sink says whether it is the limit; while it is, the count
    /// is held.
    pub fn set_sink_limited(&mut self, limited: bool) {
        self.sink_limited = limited;
    }

    fn evaluate(&mut self, now_ms: i64, facts: &Facts) -> Decision {
        let now_s = seconds(now_ms);
        let spec = facts.spec_replicas;
        let last_spec = *self.last_spec.get_or_insert_with(|| {
            self.enough.push_back((now_s, spec));
            spec
        });
        if last_spec != spec {
            self.last_change_s = now_s;
            if spec > last_spec {
                self.last_raise_s = Some(now_s);
            }
            self.regret.changed(now_s, last_spec, spec);
            self.fewer_since_s = None;
            self.last_spec = Some(spec);
        }
        self.pace(now_s, f64::from(spec.saturating_sub(last_spec).max(0)));
        match &facts.offsets {
            Ok(offsets) if !offsets.is_empty() => self.readable(now_ms, facts, offsets),
            Ok(_) => self.unreadable(now_ms, facts, "the topic has no partitions"),
            Err(why) => self.unreadable(now_ms, facts, why),
        }
    }

    /// Joins are paced: what may be ordered grows with time, up to a burst.
    fn pace(&mut self, now_s: f64, ordered: f64) {
        let per_s = self.options.joins_per_s;
        let (left, since_s) = self.joins;
        let grown = left + per_s * (now_s - since_s).max(0.0);
        let most = (JOINS_BURST_S * per_s).max(1.0);
        self.joins = ((grown.min(most) - ordered).max(0.0), now_s);
    }

    fn readable(&mut self, now_ms: i64, facts: &Facts, offsets: &[PartitionOffsets]) -> Decision {
        let now_s = seconds(now_ms);
        let counts = Counts {
            spec: facts.spec_replicas,
            status: facts.status_replicas,
            ready: facts.ready_replicas,
        };
        self.estimator.observe(now_ms, counts, offsets, &self.options);
        if let Some(sink) = facts.sink {
            self.estimator.observe_sink(now_ms, sink);
        }
        let estimate = self.estimator.estimate(now_ms, &self.options);
        if let Some(for_s) = estimate.frozen_s {
            let why = format!("records wait and no offset has moved for {for_s:.0} s");
            return self.unreadable(now_ms, facts, &why);
        }
        let plan = Plan::new(&estimate.situation, &self.options);
        self.last_readable_s = now_s;
        if estimate.arrived > 0 || estimate.backlog > 0.0 {
            self.last_active_s = now_s;
        }
        self.regret.observe(now_s, estimate.oldest_age_s, self.options.target_age_s);
        self.fewer_since_s =
            (plan.enough < counts.spec).then(|| self.fewer_since_s.unwrap_or(now_s));
        self.enough.push_back((now_s, plan.enough));
        self.forget(now_s);
        let backlog_due = plan.drain_due && estimate.settled;
        self.backlog_looks = if backlog_due { self.backlog_looks.saturating_add(1) } else { 0 };
        self.targets =
            format!("{:.1}s/{}s (age)", estimate.oldest_age_s, self.options.target_age_s);
        let sink_limited = self.sink_limited || facts.sink.is_some_and(|sink| sink.limited);
        let verdict = self.judge(now_s, counts.spec, &estimate, &plan, sink_limited);
        let verdict = self.paced(counts.spec, verdict);
        self.decision(now_ms, facts, verdict, &estimate, &plan)
    }

    /// How long fewer must have done.
    fn hold_s(&self) -> f64 {
        self.options.hold_s * self.regret.holds()
    }

    /// Drops what is older than the hold, but keeps what was true at its beginning.
    fn forget(&mut self, now_s: f64) {
        let begin_s = now_s - self.hold_s();
        while self.enough.get(1).is_some_and(|(at_s, _)| *at_s <= begin_s) {
            self.enough.pop_front();
        }
    }

    fn paced(&self, spec: i32, verdict: Verdict) -> Verdict {
        let more = verdict.to.saturating_sub(spec);
        let (joins, _) = self.joins;
        if f64::from(more) <= joins || verdict.term == SloTerm::Bounds {
            return verdict;
        }
        let to = spec.saturating_add(joins as i32);
        let note =
            format!("{} in the end, {} joins a second", verdict.to, self.options.joins_per_s);
        Verdict { to, ..verdict }.noted(note)
    }

    fn judge(
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
        self.fewer(now_s, spec, plan)
    }

    fn wake(&self, active: bool, plan: &Plan) -> Verdict {
        if !active {
            return Verdict::new(0, SloTerm::Idle);
        }
        let to = plan.target.max(1).min(self.options.most_replicas());
        Verdict::new(to, SloTerm::Backlog).noted("records wait and there is no pod".into())
    }

    fn more(&self, now_s: f64, spec: i32, estimate: &Estimate, plan: &Plan) -> Option<Verdict> {
        let due = plan.steady_due || self.backlog_looks >= BACKLOG_LOOKS;
        if !due || plan.target <= spec {
            return None;
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

    /// The most that was enough within the hold, when that is fewer than now.
    fn fewer(&self, now_s: f64, spec: i32, plan: &Plan) -> Verdict {
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
        Verdict::new(spec, SloTerm::Enough)
    }

    /// Holds for a while, then falls back to what was needed before, and never to
    /// fewer pods than there are: nobody knows what waits.
    fn unreadable(&mut self, now_ms: i64, facts: &Facts, why: &str) -> Decision {
        let spec = facts.spec_replicas;
        let now_s = seconds(now_ms);
        let for_s = now_s - self.last_readable_s;
        let (min, max) = (self.options.min_replicas, self.options.most_replicas());
        let late = for_s > self.options.stale_after_s;
        let before = self.enough.iter().map(|(_, enough)| *enough).max().unwrap_or(spec);
        let fallback = self.options.fallback_replicas.unwrap_or(before);
        let wanted = if late { fallback.max(spec).max(1) } else { spec };
        self.targets = "<unknown>".into();
        let what = if late { "fallback" } else { "holding" };
        Decision {
            to: wanted.clamp(min, max),
            lag: None,
            metric: None,
            binding: format!("{what} after {for_s:.0} s: {why}"),
            terms: Some(SloTerms::new(SloTerm::Stale)),
            ..self.blank(now_ms, facts)
        }
    }

    fn blank(&self, at_ms: i64, facts: &Facts) -> Decision {
        Decision {
            at_ms,
            decided_by: Decider::Slo,
            from: facts.spec_replicas,
            to: facts.spec_replicas,
            status_replicas: Some(facts.status_replicas),
            ready_replicas: Some(facts.ready_replicas),
            lag: None,
            metric: None,
            target: self.estimator.pod_rate_per_s().round() as i64,
            active: None,
            proposal: None,
            stabilized: None,
            reason: None,
            binding: String::new(),
            terms: None,
            alternative: None,
        }
    }

    /// The term in words, and what cannot be helped.
    fn binding(&self, note: Option<String>, terms: &SloTerms, plan: &Plan) -> String {
        let mut binding = note.unwrap_or_else(|| terms.reason());
        if let Some(hot) = plan.hot {
            binding.push_str(&format!(
                "; partition {} alone needs {:.1} pods; more pods cannot help",
                hot.partition, hot.pods
            ));
        }
        if let Some(short) = plan.short {
            let what = match short {
                Short::Arrivals => "the arrivals",
                Short::Backlog => "the backlog, to be gone in time,",
                Short::Reserve => &format!("{} times the arrivals", terms.overprovisioning),
            };
            let max = self.options.most_replicas();
            let bound = if max < self.options.max_replicas.min(terms.partitions) {
                format!("the {max} that may be paid")
            } else if max < terms.partitions {
                format!("the {max} allowed")
            } else {
                "one a partition".into()
            };
            binding.push_str(&format!("; {what} would need more than {bound}"));
        } else if terms.overprovisioning > 1.0 && terms.partitions_per_pod > 0 {
            binding
                .push_str(&format!("; kept ready for {} times the load", terms.overprovisioning));
        }
        binding
    }

    fn decision(
        &self,
        now_ms: i64,
        facts: &Facts,
        verdict: Verdict,
        estimate: &Estimate,
        plan: &Plan,
    ) -> Decision {
        let partitions = estimate.situation.rates.len();
        let after = usize::try_from(verdict.to).unwrap_or(0);
        let most = if after > 0 { partitions.div_ceil(after) } else { 0 };
        let pod_rate_per_s = estimate.situation.pod_rate_per_s;
        let mean_per_s = estimate.level.rate_per_s / partitions.max(1) as f64;
        let backlog = estimate.backlog as i64;
        let terms = SloTerms {
            term: verdict.term,
            arrival_per_s: estimate.level.rate_per_s,
            arrival_noise_per_s: estimate.level.noise_per_s,
            trend_per_s2: estimate.level.trend_per_s2,
            pod_rate_per_s,
            pod_start_s: estimate.situation.pod_start_s,
            backlog,
            oldest_age_s: estimate.oldest_age_s,
            target_age_s: self.options.target_age_s,
            drain_s: plan.drain_s,
            steady_replicas: plan.steady,
            wanted_replicas: plan.target,
            enough_replicas: plan.enough,
            partitions: i32::try_from(partitions).unwrap_or(i32::MAX),
            partitions_per_pod: i32::try_from(most).unwrap_or(i32::MAX),
            utilisation: most as f64 * mean_per_s / pod_rate_per_s,
            overprovisioning: self.options.overprovisioning,
        };
        let binding = self.binding(verdict.note, &terms, plan);
        Decision {
            to: verdict.to,
            lag: Some(backlog),
            metric: Some(backlog),
            active: Some(estimate.arrived > 0 || backlog > 0),
            proposal: Some(plan.target),
            binding,
            terms: Some(terms),
            ..self.blank(now_ms, facts)
        }
    }
}

impl Law for SloLaw {
    fn tick(&mut self, now_ms: i64, facts: &Facts) -> Vec<Decision> {
        // Half a period early is on time: callers' seconds are not exact.
        let least_ms = self.options.period_ms / 2;
        if self.last_tick_ms.is_some_and(|last_ms| now_ms.saturating_sub(last_ms) < least_ms) {
            return Vec::new();
        }
        self.last_tick_ms = Some(now_ms);
        vec![self.evaluate(now_ms, facts)]
    }

    fn next_due_ms(&self) -> i64 {
        self.last_tick_ms
            .map_or(self.created_ms, |last_ms| last_ms.saturating_add(self.options.period_ms))
    }

    fn hpa_view(&self) -> HpaView {
        HpaView {
            name: self.options.name.clone(),
            reference: self.options.reference.clone(),
            targets: self.targets.clone(),
            min: self.options.min_replicas.max(1),
            max: self.options.most_replicas(),
        }
    }
}

#[cfg(test)]
mod tests;
