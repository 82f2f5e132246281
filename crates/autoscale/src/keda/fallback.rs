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

/// Counts an evaluation. Returns the new count of failures in a row and, where the
/// fallback trips, the metric in milli units that makes the HPA want its replicas.
pub fn after_evaluation(
    failures: i32,
    success: bool,
    fallback: Option<Fallback>,
    current: i32,
    target: i64,
) -> (i32, Option<i64>) {
    if success {
        return (0, None);
    }
    let failures = failures.saturating_add(1);
    let metric =
        fallback.filter(|fallback| failures > fallback.failure_threshold).map(|fallback| {
            let replicas = match fallback.behavior {
                FallbackBehavior::Static => fallback.replicas,
                FallbackBehavior::CurrentReplicas => current,
                FallbackBehavior::CurrentReplicasIfHigher => current.max(fallback.replicas),
                FallbackBehavior::CurrentReplicasIfLower => current.min(fallback.replicas),
            };
            (target as f64 * 1000.0 * f64::from(replicas)) as i64
        });
    (failures, metric)
}
