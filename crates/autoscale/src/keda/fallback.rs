//! Fallback: what the HPA is told when the trigger fails.

/// How the fallback's replicas relate to the current ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum FallbackBehavior {
    /// Always the configured number.
    #[default]
    Static,
    /// The current number.
    CurrentReplicas,
    /// The current number where it is higher.
    CurrentReplicasIfHigher,
    /// The current number where it is lower.
    CurrentReplicasIfLower,
}

/// Settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fallback {
    /// Trips when more evaluations in a row than this have failed.
    pub failure_threshold: i32,
    /// Replicas.
    pub replicas: i32,
    /// Relation to the current ones.
    pub behavior: FallbackBehavior,
}

/// Replicas that a fallback is computed from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Current {
    /// `spec.replicas` of the workload.
    pub replicas: i32,
    /// Pods that are ready, where the target is a `Value`: the HPA multiplies by them.
    pub ready: Option<i32>,
}

/// Counts an evaluation. Returns the new count of failures in a row and, where the
/// fallback trips, the metric in milli units that makes the HPA want its replicas; a
/// `Value` target has none without a ready pod.
pub fn after_evaluation(
    failures: i32,
    success: bool,
    fallback: Option<Fallback>,
    Current { replicas: current, ready }: Current,
    target: i64,
) -> (i32, Option<i64>) {
    if success {
        return (0, None);
    }
    let failures = failures.saturating_add(1);
    let shared = f64::from(ready.unwrap_or(1));
    let metric = fallback
        .filter(|fallback| failures > fallback.failure_threshold && shared > 0.0)
        .map(|fallback| {
            let replicas = match fallback.behavior {
                FallbackBehavior::Static => fallback.replicas,
                FallbackBehavior::CurrentReplicas => current,
                FallbackBehavior::CurrentReplicasIfHigher => current.max(fallback.replicas),
                FallbackBehavior::CurrentReplicasIfLower => current.min(fallback.replicas),
            };
            (target as f64 * 1000.0 * f64::from(replicas) / shared) as i64
        });
    (failures, metric)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hpa::{Tolerance, value_proposal};

    #[test]
    fn a_value_target_is_told_what_makes_the_hpa_want_the_replicas() {
        let six =
            Fallback { failure_threshold: 3, replicas: 6, behavior: FallbackBehavior::Static };
        let after = |ready| {
            let current = Current { replicas: 10, ready };
            after_evaluation(3, false, Some(six), current, 1000).1
        };
        assert_eq!(after(None), Some(6_000_000));
        let metric = after(Some(10)).expect("tripped");
        assert_eq!(value_proposal(&[metric], 1_000_000, 10, 10, Tolerance::default()), 6);
        assert_eq!(after(Some(0)), None);
    }
}
