//! How long a crashed pod waits. Pure.

use std::time::Duration;

const FIRST: Duration = Duration::from_millis(200);
const LONGEST: Duration = Duration::from_secs(30);
/// A pod that ran this long starts over with the first delay.
const FORGIVEN_AFTER: Duration = Duration::from_secs(60);

/// Exponential backoff, from 0.2 s to 30 s; Kubernetes' own begins at 10 s.
#[derive(Debug, Clone, Default)]
pub(super) struct Backoff {
    crashes: u32,
}

impl Backoff {
    /// The delay after another crash of a process that ran this long.
    pub(super) fn after_crash(&mut self, ran: Duration) -> Duration {
        if ran >= FORGIVEN_AFTER {
            self.crashes = 0;
        }
        let delay = FIRST.saturating_mul(1 << self.crashes.min(16)).min(LONGEST);
        self.crashes += 1;
        delay
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubles_up_to_the_longest_and_forgets() {
        let mut backoff = Backoff::default();
        let delays: Vec<u128> =
            (0..10).map(|_| backoff.after_crash(Duration::from_secs(1)).as_millis()).collect();
        assert_eq!(delays, [200, 400, 800, 1600, 3200, 6400, 12800, 25600, 30000, 30000]);
        assert_eq!(backoff.after_crash(Duration::from_secs(61)), FIRST);
    }
}
