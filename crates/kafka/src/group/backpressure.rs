//! When to pause fetching, and when to go on. Pure.

/// High and low marks on the records delivered and not yet released.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Backpressure {
    high: u64,
    low: u64,
    paused: bool,
}

/// What to do to the assigned partitions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    Pause,
    Resume,
    Nothing,
}

impl Backpressure {
    pub(super) fn new(high: u64, low: u64) -> Self {
        Self { high, low, paused: false }
    }

    /// Hysteresis: a pause throws prefetched records away, so it must be worth it.
    pub(super) fn step(&mut self, held: u64) -> Step {
        if !self.paused && held >= self.high {
            self.paused = true;
            Step::Pause
        } else if self.paused && held <= self.low {
            self.paused = false;
            Step::Resume
        } else {
            Step::Nothing
        }
    }

    pub(super) fn is_paused(self) -> bool {
        self.paused
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_at_high_and_resumes_at_low_once_each() {
        let mut pressure = Backpressure::new(10, 3);
        let steps = [9, 10, 11, 4, 3, 2, 10].map(|held| pressure.step(held));
        use Step::{Nothing, Pause, Resume};
        assert_eq!(steps, [Nothing, Pause, Nothing, Nothing, Resume, Nothing, Pause]);
    }
}
