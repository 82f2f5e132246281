//! One sync of the controller.

use serde::{Deserialize, Serialize};

use super::limits::{ScaleEvent, down_limit, store_event, up_limit};
use super::stabilize::{Recommendation, stabilize_legacy, stabilize_with_behavior};
use super::{Behavior, combine};

/// Why the outcome is what it is, in the controller's own words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reason {
    /// Nothing was cut.
    DesiredWithinRange,
    /// Cut at the lower bound.
    TooFewReplicas,
    /// Cut at the upper bound.
    TooManyReplicas,
    /// Cut by a scale-up policy.
    ScaleUpLimit,
    /// Cut by a scale-down policy.
    ScaleDownLimit,
    /// The workload is at zero: KEDA's business.
    ScalingDisabled,
    /// No metric: nothing may change.
    FailedGetExternalMetric,
}

impl Reason {
    /// The controller's word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::DesiredWithinRange => "DesiredWithinRange",
            Self::TooFewReplicas => "TooFewReplicas",
            Self::TooManyReplicas => "TooManyReplicas",
            Self::ScaleUpLimit => "ScaleUpLimit",
            Self::ScaleDownLimit => "ScaleDownLimit",
            Self::ScalingDisabled => "ScalingDisabled",
            Self::FailedGetExternalMetric => "FailedGetExternalMetric",
        }
    }
}

/// Bounds of the workload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// At least this many, 1 or more.
    pub min: i32,
    /// At most.
    pub max: i32,
}

/// What the controller sees in one sync.
#[derive(Debug, Clone, Copy)]
pub struct HpaInput<'a> {
    /// `spec.replicas` of the workload.
    pub spec_replicas: i32,
    /// Bounds.
    pub bounds: Bounds,
    /// Rules; `None` is the legacy path.
    pub behavior: Option<&'a Behavior>,
    /// A proposal a metric; `None` where it failed.
    pub proposals: &'a [Option<i32>],
    /// Now, milliseconds.
    pub now_ms: i64,
}

/// What the controller decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct HpaDecision {
    /// Wanted replicas.
    pub desired: i32,
    /// The raw proposal, where metrics were looked at.
    pub proposal: Option<i32>,
    /// The proposal after the stabilization window.
    pub stabilized: Option<i32>,
    /// What cut it.
    pub reason: Reason,
}

/// The controller's memory of one HPA. Lost when the HPA is deleted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Hpa {
    /// `None` until the first sync.
    pub recommendations: Option<Vec<Recommendation>>,
    /// Its own scale-ups.
    pub up_events: Vec<ScaleEvent>,
    /// Its own scale-downs.
    pub down_events: Vec<ScaleEvent>,
}

impl Hpa {
    /// One sync. The caller writes `desired` when it differs from the spec; the
    /// change is remembered as if the write succeeded.
    pub fn step(&mut self, input: HpaInput<'_>) -> HpaDecision {
        let HpaInput { spec_replicas: spec, bounds, behavior, proposals, now_ms } = input;
        let recs = self
            .recommendations
            .get_or_insert_with(|| vec![Recommendation { replicas: spec, at_ms: now_ms }]);
        let unchanged =
            |reason| HpaDecision { desired: spec, proposal: None, stabilized: None, reason };
        if spec == 0 && bounds.min != 0 {
            return unchanged(Reason::ScalingDisabled);
        }
        let decision = if spec > bounds.max {
            HpaDecision { desired: bounds.max, ..unchanged(Reason::TooManyReplicas) }
        } else if spec < bounds.min {
            HpaDecision { desired: bounds.min, ..unchanged(Reason::TooFewReplicas) }
        } else {
            let Some(proposal) = combine(proposals, spec) else {
                return unchanged(Reason::FailedGetExternalMetric);
            };
            let (stabilized, (desired, reason)) = match behavior {
                None => {
                    let stabilized = stabilize_legacy(recs, proposal, now_ms);
                    (stabilized, limit_legacy(stabilized, spec, bounds))
                }
                Some(rules) => {
                    let (up_ms, down_ms) =
                        (rules.scale_up.window_ms(), rules.scale_down.window_ms());
                    let stabilized =
                        stabilize_with_behavior(recs, proposal, spec, up_ms, down_ms, now_ms);
                    (stabilized, self.limit(rules, stabilized, spec, bounds, now_ms))
                }
            };
            HpaDecision { desired, proposal: Some(proposal), stabilized: Some(stabilized), reason }
        };
        if let Some(rules) = behavior {
            self.remember(rules, decision.desired.saturating_sub(spec), now_ms);
        }
        decision
    }

    /// The changes so far were not made: policies must not count them.
    pub fn forget_events(&mut self) {
        self.up_events.clear();
        self.down_events.clear();
    }

    fn limit(
        &self,
        rules: &Behavior,
        stabilized: i32,
        spec: i32,
        bounds: Bounds,
        now_ms: i64,
    ) -> (i32, Reason) {
        limit_with_behavior(
            rules,
            stabilized,
            spec,
            bounds,
            &self.up_events,
            &self.down_events,
            now_ms,
        )
    }

    fn remember(&mut self, rules: &Behavior, change: i32, now_ms: i64) {
        if change > 0 {
            store_event(&mut self.up_events, change, rules.scale_up.longest_period_ms(), now_ms);
        } else if change < 0 {
            store_event(
                &mut self.down_events,
                change.saturating_neg(),
                rules.scale_down.longest_period_ms(),
                now_ms,
            );
        }
    }
}

/// Bounds without behavior: at most double, or four, at once.
pub fn limit_legacy(stabilized: i32, spec: i32, bounds: Bounds) -> (i32, Reason) {
    let limit = (2.0 * f64::from(spec)).max(4.0) as i32;
    let (high, too_many) = if bounds.max > limit {
        (limit, Reason::ScaleUpLimit)
    } else {
        (bounds.max, Reason::TooManyReplicas)
    };
    if stabilized < bounds.min {
        (bounds.min, Reason::TooFewReplicas)
    } else if stabilized > high {
        (high, too_many)
    } else {
        (stabilized, Reason::DesiredWithinRange)
    }
}

/// Policies and bounds with behavior.
pub fn limit_with_behavior(
    rules: &Behavior,
    stabilized: i32,
    spec: i32,
    bounds: Bounds,
    up_events: &[ScaleEvent],
    down_events: &[ScaleEvent],
    now_ms: i64,
) -> (i32, Reason) {
    if stabilized > spec {
        let limit = up_limit(&rules.scale_up, spec, up_events, down_events, now_ms).max(spec);
        let (high, reason) = if bounds.max > limit {
            (limit, Reason::ScaleUpLimit)
        } else {
            (bounds.max, Reason::TooManyReplicas)
        };
        return if stabilized > high {
            (high, reason)
        } else {
            (stabilized, Reason::DesiredWithinRange)
        };
    }
    if stabilized < spec {
        let limit = down_limit(&rules.scale_down, spec, up_events, down_events, now_ms).min(spec);
        let (low, reason) = if bounds.min < limit {
            (limit, Reason::ScaleDownLimit)
        } else {
            (bounds.min, Reason::TooFewReplicas)
        };
        return if stabilized < low {
            (low, reason)
        } else {
            (stabilized, Reason::DesiredWithinRange)
        };
    }
    (spec, Reason::DesiredWithinRange)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn at_its_most_or_least_the_metric_decides_and_beyond_the_bound_does() {
        let bounds = Bounds { min: 2, max: 10 };
        let step = |spec_replicas, proposal| {
            let proposals = &[Some(proposal)];
            let mut hpa = Hpa::default();
            let mut decision = None;
            // The first sync remembers what there is for the stabilization window.
            for now_ms in [0, 600_000] {
                let input = HpaInput { spec_replicas, bounds, behavior: None, proposals, now_ms };
                decision = Some(hpa.step(input));
            }
            decision.map(|decision| (decision.desired, decision.proposal))
        };
        assert_eq!(step(10, 4), Some((4, Some(4))));
        assert_eq!(step(2, 4), Some((4, Some(4))));
        assert_eq!(step(11, 4), Some((10, None)));
        assert_eq!(step(1, 4), Some((2, None)));
    }
}
