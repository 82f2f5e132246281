//! From a metric to a number of replicas.

/// Shares of the target within which nothing changes, both edges inclusive.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Tolerance {
    /// Above the target.
    pub up: f64,
    /// Below it.
    pub down: f64,
}

impl Default for Tolerance {
    /// `--horizontal-pod-autoscaler-tolerance`.
    fn default() -> Self {
        Self { up: 0.1, down: 0.1 }
    }
}

impl Tolerance {
    fn contains(self, ratio: f64) -> bool {
        (1.0 - self.down) <= ratio && ratio <= (1.0 + self.up)
    }
}

/// Replicas for an `AverageValue` target. All values in milli units.
///
/// A ratio within the tolerance proposes `status_replicas`, not the wanted
/// number. A sum that overflows, or is negative, counts as `i64::MAX`.
pub fn average_value_proposal(
    values_milli: &[i64],
    target_milli: i64,
    status_replicas: i32,
    tolerance: Tolerance,
) -> i32 {
    let usage = sum(values_milli) as f64;
    let target = target_milli as f64;
    let ratio = usage / (target * f64::from(status_replicas));
    if tolerance.contains(ratio) {
        return status_replicas;
    }
    ceil_i32(usage / target)
}

/// Replicas for a `Value` target: the ratio times the pods that are ready.
pub fn value_proposal(
    values_milli: &[i64],
    target_milli: i64,
    spec_replicas: i32,
    ready_pods: i32,
    tolerance: Tolerance,
) -> i32 {
    let ratio = sum(values_milli) as f64 / target_milli as f64;
    if spec_replicas == 0 {
        return ceil_i32(ratio);
    }
    if tolerance.contains(ratio) {
        return spec_replicas;
    }
    ceil_i32(ratio * f64::from(ready_pods))
}

/// The largest valid proposal. `None`: no metric is valid, or some are not and the
/// others would scale down; nothing may change then.
pub fn combine(proposals: &[Option<i32>], spec_replicas: i32) -> Option<i32> {
    let largest = proposals.iter().copied().flatten().max()?;
    let some_invalid = proposals.iter().any(Option::is_none);
    (!some_invalid || largest >= spec_replicas).then_some(largest)
}

fn sum(values_milli: &[i64]) -> i64 {
    let mut sum = 0i64;
    for value in values_milli {
        sum = sum.wrapping_add(*value);
        if sum < 0 {
            return i64::MAX;
        }
    }
    sum
}

/// `ceil`, saturating; NaN is 0.
fn ceil_i32(value: f64) -> i32 {
    value.ceil() as i32
}
