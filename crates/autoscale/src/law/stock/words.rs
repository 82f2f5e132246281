//! What [`StockLaw`] says of its numbers.

use super::{Evaluation, StockLaw};
use crate::hpa::{HpaDecision, Reason};
use crate::law::Facts;

pub(super) const PAUSED: &str = "paused by annotation";

impl StockLaw {
    pub(super) fn note_targets(&mut self, metric_milli: Option<i64>, status: i32) {
        let target = quantity(self.object.lag_threshold());
        let value = match metric_milli {
            Some(metric) if status > 0 => quantity(metric / 1000 / i64::from(status)),
            Some(metric) => quantity(metric / 1000),
            None => "<unknown>".into(),
        };
        self.targets = format!("{value}/{target} (avg)");
    }

    pub(super) fn keda_binding(
        &self,
        now_ms: i64,
        facts: &Facts,
        spec: i32,
        evaluation: &Evaluation,
        set: Option<i32>,
    ) -> String {
        if self.object.annotations.paused {
            return PAUSED.into();
        }
        if evaluation.error {
            let why = facts.offsets.as_ref().err().map_or("unknown", String::as_str);
            return format!("lag cannot be read, holding: {why}");
        }
        let waiting = !evaluation.active && set.is_none() && spec > 0;
        if waiting && self.object.min_replica_count == 0 {
            // Before anything was active the time since the creation counts.
            let (whole_ms, since_ms) = match self.last_active_ms {
                Some(at_ms) => (self.object.cooldown_ms, at_ms),
                None => (self.object.initial_cooldown_ms, self.created_ms),
            };
            let passed_ms = now_ms.saturating_sub(since_ms);
            let left_s = whole_ms.saturating_sub(passed_ms).max(0) / 1000;
            return format!("{left_s} s of the cooldown left");
        }
        String::new()
    }

    pub(super) fn hpa_binding(&self, outcome: &HpaDecision, spec: i32) -> String {
        let bounds = self.object.hpa_bounds();
        match outcome.reason {
            Reason::ScalingDisabled => "at zero, KEDA decides".into(),
            Reason::FailedGetExternalMetric => "lag cannot be read, holding".into(),
            Reason::TooManyReplicas => format!("maxReplicaCount {}", bounds.max),
            Reason::TooFewReplicas => format!("at least {}", bounds.min),
            Reason::ScaleUpLimit => "scaleUp policies".into(),
            Reason::ScaleDownLimit => "scaleDown policies".into(),
            Reason::DesiredWithinRange => match (outcome.proposal, outcome.stabilized) {
                (Some(proposal), Some(stabilized)) if proposal != stabilized => {
                    let window = if proposal >= spec { "scaleUp" } else { "scaleDown" };
                    format!("{window} stabilization window")
                }
                _ => String::new(),
            },
        }
    }
}

/// As Kubernetes prints whole quantities: thousands as `k` where nothing is lost.
fn quantity(value: i64) -> String {
    if value != 0 && value % 1000 == 0 { format!("{}k", value / 1000) } else { value.to_string() }
}
