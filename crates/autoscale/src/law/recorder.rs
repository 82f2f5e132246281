//! A law of which something is kept, tick by tick: for logs, golden traces, comparisons.
//!
//! Rejected: a recorder for each thing that somebody keeps (each passes the whole [`Law`]
//! through, and forgets what the trait gets later).

use super::{Decision, Facts, HpaView, Law};
use crate::lag::LagSums;

/// Takes down what a law was shown, and what it decided then.
pub trait Keep {
    /// One tick.
    fn keep(&mut self, facts: &Facts, decisions: &[Decision]);

    /// One tick, where the sums of the offsets are known.
    fn keep_with_sums(&mut self, facts: &Facts, sums: LagSums, decisions: &[Decision]) {
        let _ = sums;
        self.keep(facts, decisions);
    }
}

/// Every decision, those that changed nothing included.
impl Keep for Vec<Decision> {
    fn keep(&mut self, _: &Facts, decisions: &[Decision]) {
        self.extend_from_slice(decisions);
    }
}

/// Passes everything through and keeps what was decided.
#[derive(Debug, Clone)]
pub struct Recorder<L, K = Vec<Decision>> {
    law: L,
    /// Its decisions so far, as they are kept.
    pub decisions: K,
}

impl<L: Law> Recorder<L> {
    /// Keeps all that this law decides from now on.
    pub fn new(law: L) -> Self {
        Self { law, decisions: Vec::new() }
    }
}

impl<L: Law, K: Keep + Default> Recorder<L, K> {
    /// Keeps of this law, from now on, what `K` takes down.
    pub fn keeping(law: L) -> Self {
        Self { law, decisions: K::default() }
    }
}

impl<L: Law, K: Keep> Law for Recorder<L, K> {
    fn tick(&mut self, now_ms: i64, facts: &Facts) -> Vec<Decision> {
        let decisions = self.law.tick(now_ms, facts);
        self.decisions.keep(facts, &decisions);
        decisions
    }

    fn tick_with_sums(&mut self, now_ms: i64, facts: &Facts, sums: LagSums) -> Vec<Decision> {
        let decisions = self.law.tick_with_sums(now_ms, facts, sums);
        self.decisions.keep_with_sums(facts, sums, &decisions);
        decisions
    }

    fn seen_lag(&self, lag: i64, partitions: i64) -> i64 {
        self.law.seen_lag(lag, partitions)
    }

    fn next_due_ms(&self) -> i64 {
        self.law.next_due_ms()
    }

    fn not_followed(&mut self) {
        self.law.not_followed();
    }

    fn hpa_view(&self) -> HpaView {
        self.law.hpa_view()
    }
}
