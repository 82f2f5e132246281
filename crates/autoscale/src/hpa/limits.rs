//! Scaling policies, and the events they count.

use super::{Policy, PolicyKind, Rules, Select};

/// A change of the workload that the HPA made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ScaleEvent {
    /// How many pods, above 0 in either direction.
    pub change: i32,
    /// When, milliseconds.
    pub at_ms: i64,
    /// Once longer ago than the longest period, for ever. Only decides which slot is
    /// reused; sums go by time.
    pub outdated: bool,
}

/// Pods changed within a period that ends now; an event exactly as old is outside.
pub fn change_in_period(events: &[ScaleEvent], period_ms: i64, now_ms: i64) -> i32 {
    events
        .iter()
        .filter(|event| now_ms.saturating_sub(event.at_ms) < period_ms)
        .fold(0i32, |sum, event| sum.saturating_add(event.change))
}

/// Remembers a change of `change` pods in the slot that the controller would use:
/// the last outdated one, else a new one.
pub fn store_event(events: &mut Vec<ScaleEvent>, change: i32, longest_period_ms: i64, now_ms: i64) {
    let mut reuse = None;
    for (index, event) in events.iter_mut().enumerate() {
        if now_ms.saturating_sub(event.at_ms) > longest_period_ms {
            event.outdated = true;
        }
        if event.outdated {
            reuse = Some(index);
        }
    }
    let event = ScaleEvent { change, at_ms: now_ms, outdated: false };
    match reuse {
        Some(index) => events[index] = event,
        None => events.push(event),
    }
}

/// The size one period ago, as far as the HPA's own events tell.
fn period_start(
    policy: Policy,
    spec: i32,
    up: &[ScaleEvent],
    down: &[ScaleEvent],
    now_ms: i64,
) -> i32 {
    let period_ms = i64::from(policy.period_s) * 1000;
    spec.saturating_sub(change_in_period(up, period_ms, now_ms))
        .saturating_add(change_in_period(down, period_ms, now_ms))
}

/// The most replicas the policies allow now; `spec` where scaling up is disabled.
pub fn up_limit(
    rules: &Rules,
    spec: i32,
    up: &[ScaleEvent],
    down: &[ScaleEvent],
    now_ms: i64,
) -> i32 {
    let limits = rules.policies.iter().map(|policy| {
        let start = period_start(*policy, spec, up, down, now_ms);
        match policy.kind {
            PolicyKind::Pods => start.saturating_add(policy.value),
            // Rounds up, and 100 plus 10 % is 111: the controller's own floats.
            PolicyKind::Percent => {
                (f64::from(start) * (1.0 + f64::from(policy.value) / 100.0)).ceil() as i32
            }
        }
    });
    match rules.select {
        Select::Disabled => spec,
        Select::Min => limits.min().unwrap_or(spec),
        Select::Max => limits.max().unwrap_or(spec),
    }
}

/// The least replicas the policies allow now; `spec` where scaling down is disabled.
pub fn down_limit(
    rules: &Rules,
    spec: i32,
    up: &[ScaleEvent],
    down: &[ScaleEvent],
    now_ms: i64,
) -> i32 {
    let limits = rules.policies.iter().map(|policy| {
        let start = period_start(*policy, spec, up, down, now_ms);
        match policy.kind {
            PolicyKind::Pods => start.saturating_sub(policy.value),
            // Truncates.
            PolicyKind::Percent => {
                (f64::from(start) * (1.0 - f64::from(policy.value) / 100.0)) as i32
            }
        }
    });
    match rules.select {
        Select::Disabled => spec,
        // The policy that allows the least change leaves the most pods.
        Select::Min => limits.max().unwrap_or(spec),
        Select::Max => limits.min().unwrap_or(spec),
    }
}
