//! A decrease that was taken back too late makes the next decreases wait longer.
//!
//! Bursts that come again within minutes, and are shorter than a pod's start, find the
//! pods gone each time. Who came down for nothing stays up for longer: the hold doubles,
//! and halves again when it did no harm for long enough. An increase that kept ages low
//! (a wave, a ramp that falls back) is no reason.

/// An increase this soon after a decrease takes it back, seconds.
const SOON_S: f64 = 600.0;
/// It came too late when a record gets this share of the promise as its age ...
const LATE: f64 = 0.25;
/// ... within this time, seconds.
const WATCH_S: f64 = 120.0;
/// Most times the hold.
const MOST_HOLDS: f64 = 16.0;
/// One halving for every so many seconds without regret.
const FORGIVE_S: f64 = 3600.0;

#[derive(Debug, Clone)]
pub(super) struct Regret {
    holds: f64,
    last_down_s: Option<f64>,
    watch_until_s: Option<f64>,
    since_s: f64,
}

impl Default for Regret {
    fn default() -> Self {
        Self { holds: 1.0, last_down_s: None, watch_until_s: None, since_s: 0.0 }
    }
}

impl Regret {
    /// How many times the hold a decrease waits.
    pub(super) fn holds(&self) -> f64 {
        self.holds
    }

    pub(super) fn changed(&mut self, now_s: f64, from: i32, to: i32) {
        if to < from {
            self.last_down_s = Some(now_s);
        } else if self.last_down_s.take().is_some_and(|down_s| now_s - down_s < SOON_S) {
            self.watch_until_s = Some(now_s + WATCH_S);
        }
    }

    pub(super) fn observe(&mut self, now_s: f64, oldest_age_s: f64, target_age_s: f64) {
        if let Some(until_s) = self.watch_until_s {
            let late = oldest_age_s > LATE * target_age_s;
            if late {
                self.holds = (2.0 * self.holds).min(MOST_HOLDS);
                self.since_s = now_s;
            }
            if late || now_s > until_s {
                self.watch_until_s = None;
            }
        }
        if self.holds > 1.0 && now_s - self.since_s > FORGIVE_S {
            self.holds /= 2.0;
            self.since_s = now_s;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_decrease_that_was_missed_doubles_the_hold_until_it_is_forgiven() {
        let mut regret = Regret::default();
        for (at_s, age_s) in [(0.0, 2.0), (300.0, 9.0), (600.0, 9.0)] {
            regret.changed(at_s, 50, 10);
            regret.changed(at_s + 60.0, 10, 50);
            regret.observe(at_s + 70.0, age_s, 30.0);
        }
        assert_eq!(regret.holds(), 4.0, "two of three came too late");
        regret.observe(700.0, 20.0, 30.0);
        assert_eq!(regret.holds(), 4.0, "counted once an increase");
        regret.observe(5000.0, 0.0, 30.0);
        assert_eq!(regret.holds(), 2.0);
    }

    #[test]
    fn an_increase_long_after_is_another_matter() {
        let mut regret = Regret::default();
        regret.changed(0.0, 50, 10);
        regret.changed(700.0, 10, 50);
        regret.observe(710.0, 29.0, 30.0);
        assert_eq!(regret.holds(), 1.0);
    }
}
