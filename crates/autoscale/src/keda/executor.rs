//! The scale executor: what a poll does to the workload. Source:
//! `pkg/scaling/executor` of KEDA 2.18 to 2.20.

/// What the executor sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExecutorInput {
    /// `spec.replicas` of the workload.
    pub current: i32,
    /// `minReplicaCount`, 0 when unset.
    pub min: i32,
    /// `idleReplicaCount`.
    pub idle: Option<i32>,
    /// Any trigger is active.
    pub active: bool,
    /// Any trigger failed.
    pub error: bool,
    /// `fallback.replicas`, where a fallback is set.
    pub fallback_replicas: Option<i32>,
    /// Since a poll last saw activity, milliseconds.
    pub last_active_age_ms: Option<i64>,
    /// Since the ScaledObject was created, milliseconds.
    pub object_age_ms: i64,
    /// `cooldownPeriod`, milliseconds.
    pub cooldown_ms: i64,
    /// `initialCooldownPeriod`, milliseconds.
    pub initial_cooldown_ms: i64,
    /// Frozen by annotation.
    pub paused: bool,
    /// No scaling in by annotation.
    pub pause_scale_in: bool,
    /// No scaling out by annotation.
    pub pause_scale_out: bool,
    /// Active by annotation.
    pub force_activation: bool,
}

/// What the executor does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Execution {
    /// Replicas to be written.
    pub set: Option<i32>,
    /// The poll counts as activity.
    pub was_active: bool,
}

/// One poll. First match wins, as in the operator.
pub fn execute(input: ExecutorInput) -> Execution {
    if input.paused {
        return Execution::default();
    }
    if input.active || input.force_activation {
        return activate(input);
    }
    deactivate(input)
}

fn activate(input: ExecutorInput) -> Execution {
    let below_idle_minimum = input.idle.is_some() && input.current < input.min;
    if below_idle_minimum || input.current == 0 {
        if input.pause_scale_out {
            return Execution::default();
        }
        return Execution { set: Some(input.min.max(1)), was_active: true };
    }
    Execution { set: None, was_active: !input.error }
}

fn deactivate(input: ExecutorInput) -> Execution {
    // An error holds, unless a fallback of zero replicas lets it through.
    if input.error && input.fallback_replicas != Some(0) {
        return Execution::default();
    }
    let to_idle = input.idle.is_some_and(|idle| input.current > idle);
    let to_zero = input.current > 0 && input.min == 0;
    if to_idle || to_zero {
        if input.pause_scale_in || !cooled_down(input) {
            return Execution::default();
        }
        return Execution { set: Some(input.idle.unwrap_or(input.min)), was_active: false };
    }
    if input.idle.is_none() && input.current < input.min {
        return Execution { set: Some(input.min), was_active: false };
    }
    Execution::default()
}

/// Strict, as in the operator: a poll exactly one cooldown later does not pass.
fn cooled_down(input: ExecutorInput) -> bool {
    match input.last_active_age_ms {
        Some(age_ms) => age_ms > input.cooldown_ms,
        None => input.object_age_ms > input.initial_cooldown_ms,
    }
}
