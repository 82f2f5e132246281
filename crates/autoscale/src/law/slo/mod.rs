//! The SLO law: the least pods that keep a promised age.
//!
//! Contract: pure; time is an argument. Facts at about one a second become rates,
//! backlogs and ages ([`estimate`]), those become counts ([`plan`]), and what the law
//! remembers of its looks says when to follow them ([`verdict`]): up at once and in one
//! step, down after a hold and in few steps, to zero after a cooldown. It starts from the
//! replicas it finds. This file keeps that memory.
//!
//! # Layout
//! - [`options`]: promise, bounds, guesses
//! - [`partition`]: one partition's backlog and oldest age
//! - [`arrival`]: rate, noise and trend of the arrivals
//! - [`capacity`]: a pod's rate and start time, from evidence
//! - [`rebalance`]: what a rebalance costs, from evidence
//! - [`estimate`]: all of these together
//! - [`load`]: what the fullest of so many pods has to do, and whether it can
//! - [`plan`]: estimates to replica counts
//! - [`verdict`]: when a plan is followed
//! - [`regret`]: a decrease that had to be taken back makes the next one wait longer
//! - [`behind`]: whether the fullest pods fall behind, though most are not busy
//! - [`standstill`]: whether pods have stopped writing altogether
//! - [`wait`]: whether writes have become fast again
//! - [`terms`]: what a decision rests on, in words
//! - [`words`]: a verdict as a decision
//!
//! Rejected: a controller on the age itself (it is late by construction: age grows
//! only after the damage), and on the lag (it does not know what arrives).

mod arrival;
mod behind;
mod capacity;
mod estimate;
mod load;
mod options;
mod partition;
mod plan;
mod rebalance;
mod regret;
mod standstill;
mod terms;
mod verdict;
mod wait;
mod words;

use std::collections::VecDeque;

use self::capacity::Counts;
use self::estimate::{Estimator, seconds};
use self::plan::Plan;
use self::regret::Regret;
use super::decision::{Decision, HpaView};
use super::joins::Joins;
use super::{Facts, Law};
use crate::lag::PartitionOffsets;

pub use options::{SloOptions, SloOptionsError};
pub use terms::{SloTerm, SloTerms};

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
    joins: Joins,
    targets: String,
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
            joins: Joins::new(options.joins_per_s, now_s),
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
        self.joins.pass(now_s, spec.saturating_sub(last_spec));
        match &facts.offsets {
            Ok(offsets) if !offsets.is_empty() => self.readable(now_ms, facts, offsets),
            Ok(_) => self.unread(now_ms, facts, "the topic has no partitions"),
            Err(why) => self.unread(now_ms, facts, why),
        }
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
        let late = estimate.oldest_age_s > self.options.target_age_s;
        let is_all_there = counts.spec == counts.ready;
        let backlog_due = (plan.drain_due || late && is_all_there) && estimate.settled;
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

    fn unread(&mut self, now_ms: i64, facts: &Facts, why: &str) -> Decision {
        self.estimator.unreadable();
        self.unreadable(now_ms, facts, why)
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
