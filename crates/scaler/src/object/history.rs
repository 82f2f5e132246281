//! The decisions of an object that are kept.

use std::collections::VecDeque;

use tidegate_autoscale::law::Decision;

/// Decisions kept of an object.
const DECISIONS: usize = 256;
/// Of decisions that change nothing, one in so many milliseconds is kept.
const QUIET_MS: i64 = 15_000;
/// Target that lets a decision's log line carry the whole decision as JSON, in the field
/// `decision`. Whoever logs for people turns it off.
pub const DECISION_LOG: &str = "tidegate_decision";

/// Oldest first, bounded.
#[derive(Debug, Default)]
pub(super) struct History {
    kept: VecDeque<Kept>,
}

#[derive(Debug)]
struct Kept {
    decision: Decision,
    /// It changes nothing, or what the one before it would have changed too.
    is_quiet: bool,
}

/// A decision as JSON, where log lines carry it.
pub(crate) fn whole(decision: &Decision) -> Option<String> {
    let wanted = tracing::enabled!(target: DECISION_LOG, tracing::Level::INFO);
    wanted.then(|| serde_json::to_string(decision).ok()).flatten()
}

impl History {
    pub(super) fn all(&self) -> Vec<Decision> {
        self.kept.iter().map(|kept| kept.decision.clone()).collect()
    }

    pub(super) fn newest(&self) -> Option<&Decision> {
        self.kept.back().map(|kept| &kept.decision)
    }

    /// Keeps a decision that changes something; of the others, one now and then. What is not
    /// carried out is wanted again at the next look, and is no other change.
    pub(super) fn keep(&mut self, decision: Decision) {
        let counts = |decision: &Decision| (decision.from, decision.to);
        let is_repeated = self.newest().is_some_and(|last| counts(last) == counts(&decision));
        let is_recent = |kept: &Kept| {
            kept.is_quiet && decision.at_ms.saturating_sub(kept.decision.at_ms) < QUIET_MS
        };
        // The newest is always there; a quiet one makes room for its successor.
        if self.kept.len() >= 2 && self.kept.iter().rev().take(2).all(is_recent) {
            self.kept.pop_back();
        }
        let is_quiet = is_repeated || !decision.changes();
        self.kept.push_back(Kept { decision, is_quiet });
        while self.kept.len() > DECISIONS {
            self.kept.pop_front();
        }
    }
}
