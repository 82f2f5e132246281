//! A decision, with everything that led to it.

use serde::{Deserialize, Serialize};

use super::slo::SloTerms;
use crate::hpa::Reason;

/// Which part of the law decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Decider {
    /// KEDA's executor: between zero and one.
    Keda,
    /// The HPA: from one upwards.
    Hpa,
    /// The SLO law.
    Slo,
    /// A fixed schedule.
    Schedule,
}

/// What the other law would have said of the same facts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alternative {
    /// Its name: `stock` or `slo`.
    pub law: String,
    /// Replicas it would want next, from where the count is now.
    pub to: i32,
    /// Its own sentence.
    pub why: String,
}

/// One evaluation. Lags in records.
///
/// As JSON this is a line of `decisions.jsonl` and an element of a live scaler's
/// `/decisions`. The form is stable: fields are added, never renamed or given another
/// meaning; what is absent is `None`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Decision {
    /// When, milliseconds.
    pub at_ms: i64,
    /// Who.
    pub decided_by: Decider,
    /// Wanted before.
    pub from: i32,
    /// Wanted after.
    pub to: i32,
    /// Pods that existed and were not on their way out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status_replicas: Option<i32>,
    /// Ready pods.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ready_replicas: Option<i32>,
    /// Lag with everything counted; `None` when it could not be read.
    pub lag: Option<i64>,
    /// The metric: the lag after KEDA's cap.
    pub metric: Option<i64>,
    /// Records a replica.
    pub target: i64,
    /// Whether the trigger was active (KEDA).
    pub active: Option<bool>,
    /// The HPA's raw proposal.
    pub proposal: Option<i32>,
    /// The proposal after the stabilization window.
    pub stabilized: Option<i32>,
    /// What cut it (HPA).
    pub reason: Option<Reason>,
    /// The limit that binds, in words; empty when none does.
    pub binding: String,
    /// What the SLO law's decision rests on; `None` from the others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub terms: Option<SloTerms>,
    /// The other law's answer, where somebody asked it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alternative: Option<Alternative>,
}

impl Decision {
    /// Whether it changes anything.
    pub fn changes(&self) -> bool {
        self.from != self.to
    }

    /// Whether its number is a wish: KEDA's poll says nothing about more than one pod.
    pub fn tells_a_count(&self) -> bool {
        self.decided_by != Decider::Keda || self.changes() || self.from == 0
    }

    /// One plain sentence.
    pub fn explanation(&self) -> String {
        let metric = match self.metric {
            Some(metric) => format!("lag {metric}"),
            None => "lag unknown".into(),
        };
        let what = match self.decided_by {
            Decider::Keda => {
                let state = if self.active == Some(true) { "active" } else { "inactive" };
                format!("KEDA: {metric}, {state}")
            }
            Decider::Hpa => {
                let proposal = self.proposal.map_or_else(String::new, |p| format!(" asks for {p}"));
                format!("HPA: {metric} at {} a pod{proposal}", self.target)
            }
            Decider::Schedule => "schedule".into(),
            Decider::Slo => match &self.terms {
                Some(terms) => format!("SLO: {}", terms.inputs()),
                None => format!("SLO: {metric}"),
            },
        };
        let outcome = if self.changes() {
            format!("{} -> {}", self.from, self.to)
        } else {
            format!("stays {}", self.to)
        };
        if self.binding.is_empty() {
            format!("{what}: {outcome}")
        } else {
            format!("{what}: {outcome} ({})", self.binding)
        }
    }
}

/// What `kubectl get hpa` would show.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct HpaView {
    /// Name of the HPA that KEDA creates.
    pub name: String,
    /// What it scales, for example `Deployment/trade-tx-consumer`.
    pub reference: String,
    /// For example `9455/10k (avg)`.
    pub targets: String,
    /// Lower bound.
    pub min: i32,
    /// Upper bound.
    pub max: i32,
}
