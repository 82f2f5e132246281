//! Whether the fullest pods fall behind slowly, told by the age of what waits.
//!
//! Pods are busy, and their rate is measured, when nearly all partitions have work waiting.
//! Where some pods have a partition more than others and a few per cent too much, it is
//! theirs that wait: nothing is measured, and a guess that is too high stays. What is known
//! then is that a pod does less than the fullest one is given: where the oldest record's age
//! grows by a tenth of a second in a second, a tenth less. Lumps make the growth seem less.
//!
//! A standstill (a crash, a broker that is away) makes the age grow as fast as time; that
//! is no rate.

use std::collections::VecDeque;

/// Looked at over this long, seconds: a part at the beginning, one at the end.
const WINDOW_S: f64 = 30.0;
const PART_S: f64 = 10.0;
/// The age of the oldest record grows by this much of a second in a second at most.
const SLOWLY: f64 = 0.5;

/// Ages of the oldest record at rest.
#[derive(Debug, Clone, Default)]
pub(super) struct Behind {
    /// Spans and ages, a window's worth.
    recent: VecDeque<(f64, f64)>,
}

impl Behind {
    /// Pods came or went, or the group is not settled.
    pub(super) fn disturbed(&mut self) {
        self.recent.clear();
    }

    /// The oldest record that waits is `age_s` old, `span_s` after the last look. By how much
    /// of a second it has become older in a second, when it has, slowly, all through the window.
    pub(super) fn observe(&mut self, span_s: f64, age_s: f64) -> Option<f64> {
        self.recent.push_back((span_s, age_s));
        while self.span_s() > WINDOW_S {
            self.recent.pop_front();
        }
        let whole_s = self.span_s();
        if whole_s < 0.9 * WINDOW_S {
            return None;
        }
        let (mut at_s, mut first_end_s, mut last_start_s) = (0.0, 0.0, whole_s);
        let (mut most_first_s, mut least_last_s) = (0.0_f64, f64::MAX);
        for (span_s, age_s) in &self.recent {
            at_s += span_s;
            if at_s <= PART_S {
                first_end_s = at_s;
                most_first_s = most_first_s.max(*age_s);
            }
            if at_s > whole_s - PART_S {
                last_start_s = at_s.min(last_start_s);
                least_last_s = least_last_s.min(*age_s);
            }
        }
        let growth = (least_last_s - most_first_s) / (last_start_s - first_end_s);
        // Looks may be so far apart that the first part has none.
        (first_end_s > 0.0 && growth > 0.0 && growth < SLOWLY).then_some(growth)
    }

    fn span_s(&self) -> f64 {
        self.recent.iter().map(|(span_s, _)| span_s).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// After how many looks it is seen, and the growth.
    fn seen(age_s: impl Fn(f64) -> f64) -> Option<(usize, f64)> {
        let mut behind = Behind::default();
        (0..60).find_map(|second| Some((second, behind.observe(1.0, age_s(second as f64))?)))
    }

    #[test]
    fn an_age_that_grows_slowly_is_seen_after_half_a_minute() {
        let (after, growth) = seen(|t_s| 1.0 + 0.04 * t_s).expect("seen");
        assert_eq!(after, 26);
        assert!((growth - 0.04).abs() < 1e-9, "{growth}");
        // Commits in lumps: up and down by half a second.
        let lumps = |t_s: f64| 1.0 + 0.1 * t_s + 0.5 * (t_s % 2.0);
        let (after, growth) = seen(lumps).expect("seen");
        assert!((26..40).contains(&after), "{after}");
        assert!((0.03..0.1).contains(&growth), "{growth}");
    }

    #[test]
    fn what_rests_drains_or_stands_still_is_not() {
        assert_eq!(seen(|t_s| 1.0 + 0.5 * (t_s % 2.0)), None);
        assert_eq!(seen(|t_s| 60.0 - t_s), None);
        assert_eq!(seen(|t_s| 1.0 + t_s), None);
    }

    #[test]
    fn two_looks_a_window_tell_no_growth() {
        let mut behind = Behind::default();
        assert!((0..10).all(|_| behind.observe(15.0, 2.0).is_none()));
    }

    #[test]
    fn a_change_begins_anew() {
        let mut behind = Behind::default();
        for second in 0..25 {
            assert_eq!(behind.observe(1.0, 1.0 + 0.04 * f64::from(second)), None);
        }
        behind.disturbed();
        for second in 25..50 {
            assert_eq!(behind.observe(1.0, 1.0 + 0.04 * f64::from(second)), None);
        }
    }
}
