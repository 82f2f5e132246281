//! A law whose decisions are kept, for logs and golden traces.

use super::{Decision, Facts, HpaView, Law};

/// Passes everything through and keeps what was decided.
#[derive(Debug, Clone)]
pub struct Recorder<L> {
    law: L,
    /// Every decision so far, those that changed nothing included.
    pub decisions: Vec<Decision>,
}

impl<L: Law> Recorder<L> {
    /// Keeps what this law decides from now on.
    pub fn new(law: L) -> Self {
        Self { law, decisions: Vec::new() }
    }
}

impl<L: Law> Law for Recorder<L> {
    fn tick(&mut self, now_ms: i64, facts: &Facts) -> Vec<Decision> {
        let decisions = self.law.tick(now_ms, facts);
        self.decisions.extend_from_slice(&decisions);
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
