//! Waits between attempts: doubling, bounded, jittered so that ninety pods that
//! lost one database do not come back in step.

use std::time::Duration;

/// Doubles from `initial` to `max` until [`Backoff::reset`].
#[derive(Debug, Clone)]
pub(crate) struct Backoff {
    initial: Duration,
    max: Duration,
    next: Duration,
}

impl Backoff {
    pub(crate) fn new(initial_ms: u64, max_ms: u64) -> Self {
        let initial = Duration::from_millis(initial_ms);
        Self { initial, max: Duration::from_millis(max_ms), next: initial }
    }

    /// The next wait: between half and all of the current step.
    pub(crate) fn next_wait(&mut self) -> Duration {
        let step = self.next;
        self.next = (step * 2).min(self.max);
        step.mul_f64(0.5 + fastrand::f64() / 2.0)
    }

    pub(crate) fn reset(&mut self) {
        self.next = self.initial;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubles_up_to_the_bound_and_starts_again_after_reset() {
        let mut backoff = Backoff::new(50, 150);
        for step_ms in [50, 100, 150, 150] {
            let wait = backoff.next_wait();
            let step = Duration::from_millis(step_ms);
            assert!(wait >= step / 2 && wait <= step, "{wait:?} for a step of {step:?}");
        }
        backoff.reset();
        assert!(backoff.next_wait() <= Duration::from_millis(50));
    }
}
