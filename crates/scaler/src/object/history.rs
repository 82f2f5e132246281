//! The decisions of an object that are kept, and logged.

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
    kept: VecDeque<Decision>,
}

impl History {
    pub(super) fn all(&self) -> Vec<Decision> {
        self.kept.iter().cloned().collect()
    }

    pub(super) fn newest(&self) -> Option<&Decision> {
        self.kept.back()
    }

    /// Keeps a decision, and logs one that changes something; of the others, one now and then.
    pub(super) fn keep(&mut self, object: &str, decision: Decision) {
        if decision.changes() {
            let whole = tracing::enabled!(target: DECISION_LOG, tracing::Level::INFO)
                .then(|| serde_json::to_string(&decision).ok())
                .flatten();
            tracing::info!(
                object,
                from = decision.from,
                to = decision.to,
                why = decision.explanation(),
                decision = whole,
                "decided"
            );
        }
        let is_recent = |kept: &Decision| {
            !kept.changes() && decision.at_ms.saturating_sub(kept.at_ms) < QUIET_MS
        };
        // The newest is always there; a quiet one makes room for its successor.
        if self.kept.len() >= 2 && self.kept.iter().rev().take(2).all(is_recent) {
            self.kept.pop_back();
        }
        self.kept.push_back(decision);
        while self.kept.len() > DECISIONS {
            self.kept.pop_front();
        }
    }
}
