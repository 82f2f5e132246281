//! When to stop polling for a moment, when to pause fetching, and when to go on. Pure.
//!
//! A pause throws away what the client has prefetched, and it takes the client up
//! to a second to fetch at full speed again. So a full buffer is first waited
//! for: a sink that keeps up within [`HOLD`] costs nothing. Only one that does not
//! is worth a pause. While it waits the member serves no rebalance; that is why the
//! wait is short.

use std::time::{Duration, Instant};

/// Longest wait for room before fetching pauses.
const HOLD: Duration = Duration::from_millis(200);

/// What became of the marks on the records delivered and not yet released.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Backpressure {
    /// Since when the buffer has been full.
    full_since: Option<Instant>,
    paused: bool,
}

/// What to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// Do not poll, ask again in a moment.
    Hold,
    Pause,
    Resume,
    Nothing,
}

impl Backpressure {
    /// Hysteresis between `low` and `high`.
    pub(super) fn step(&mut self, held: u64, high: u64, low: u64, now: Instant) -> Step {
        if self.paused {
            if held > low {
                return Step::Nothing;
            }
            *self = Self::default();
            return Step::Resume;
        }
        if held < high {
            self.full_since = None;
            return Step::Nothing;
        }
        if now.duration_since(*self.full_since.get_or_insert(now)) < HOLD {
            return Step::Hold;
        }
        self.paused = true;
        Step::Pause
    }

    pub(super) fn is_paused(self) -> bool {
        self.paused
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holds_then_pauses_at_high_and_resumes_at_low() {
        let mut pressure = Backpressure::default();
        let start = Instant::now();
        let steps =
            [(0, 9), (10, 10), (150, 11), (211, 11), (220, 4), (230, 3), (240, 2), (250, 10)]
                .map(|(ms, held)| pressure.step(held, 10, 3, start + Duration::from_millis(ms)));
        use Step::{Hold, Nothing, Pause, Resume};
        assert_eq!(steps, [Nothing, Hold, Hold, Pause, Nothing, Resume, Nothing, Hold]);
    }

    #[test]
    fn a_sink_that_makes_room_in_time_is_never_paused_for() {
        let mut pressure = Backpressure::default();
        let start = Instant::now();
        for ms in 0..1_000 {
            let held = if ms % 100 == 99 { 9 } else { 10 };
            let step = pressure.step(held, 10, 3, start + Duration::from_millis(ms));
            assert!(matches!(step, Step::Hold | Step::Nothing), "{step:?} at {ms} ms");
        }
    }
}
