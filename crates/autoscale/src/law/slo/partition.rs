//! One partition: what arrived when, what is done, and so how old the oldest waiting
//! record is.

use std::collections::VecDeque;

use crate::lag::PartitionOffsets;

/// Points kept of a partition; older ones are thinned out, not forgotten.
const MOST_POINTS: usize = 64;

/// Ends over time, bounded, and the position of the group.
#[derive(Debug, Clone)]
pub(super) struct Partition {
    points: VecDeque<Point>,
    position: i64,
    end: i64,
    /// When the records that wait began to, or when some of them were last committed.
    still_since_ms: Option<i64>,
}

#[derive(Debug, Clone, Copy)]
struct Point {
    at_ms: i64,
    end: i64,
}

/// What happened since the last look, records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Moved {
    pub(super) arrived: i64,
    pub(super) processed: i64,
}

impl Partition {
    /// A partition that never committed counts from the first end that was seen.
    pub(super) fn first_seen(at_ms: i64, offsets: PartitionOffsets) -> Option<Self> {
        let end = offsets.end?;
        Some(Self {
            points: VecDeque::from([Point { at_ms, end }]),
            position: offsets.committed.unwrap_or(end),
            end,
            still_since_ms: None,
        })
    }

    pub(super) fn observe(&mut self, at_ms: i64, offsets: PartitionOffsets) -> Moved {
        let end = offsets.end.unwrap_or(self.end);
        let position = offsets.committed.unwrap_or(self.position);
        if end < self.end {
            // The log is another one now.
            self.points.clear();
            self.points.push_back(Point { at_ms, end });
            (self.position, self.end) = (position.min(end), end);
            return Moved::default();
        }
        let moved = Moved {
            arrived: end.saturating_sub(self.end),
            processed: position.saturating_sub(self.position).max(0),
        };
        if end <= position {
            self.still_since_ms = None;
        } else if moved.processed > 0 || self.still_since_ms.is_none() {
            self.still_since_ms = Some(at_ms);
        }
        (self.position, self.end) = (position, end);
        self.points.push_back(Point { at_ms, end });
        self.forget_done();
        moved
    }

    fn forget_done(&mut self) {
        while self.points.get(1).is_some_and(|second| second.end <= self.position) {
            self.points.pop_front();
        }
        if self.points.len() > MOST_POINTS {
            let half = self.points.len() / 2;
            let mut index = 0;
            self.points.retain(|_| {
                index += 1;
                index > half || index % 2 == 1
            });
        }
    }

    /// How long its waiting records have seen no commit, seconds; 0 without any.
    pub(super) fn still_s(&self, now_ms: i64) -> f64 {
        let since_ms = self.still_since_ms.unwrap_or(now_ms);
        now_ms.saturating_sub(since_ms).max(0) as f64 / 1000.0
    }

    /// Records not yet committed.
    pub(super) fn backlog(&self) -> f64 {
        self.end.saturating_sub(self.position).max(0) as f64
    }

    /// Age of the oldest record not yet committed, seconds: since the log's end was
    /// where the position is now. Beyond what is remembered it is extrapolated with
    /// the arrival rate.
    pub(super) fn oldest_age_s(&self, now_ms: i64, rate_per_s: f64) -> f64 {
        if self.end <= self.position {
            return 0.0;
        }
        let Some(index) = self.points.iter().position(|point| point.end > self.position) else {
            return 0.0;
        };
        let after = self.points[index];
        let since = |at_ms: f64| ((now_ms as f64 - at_ms) / 1000.0).max(0.0);
        let Some(before) = index.checked_sub(1).and_then(|before| self.points.get(before)) else {
            let unseen = after.end.saturating_sub(self.position) as f64;
            let extra_s = if rate_per_s > 0.0 { unseen / rate_per_s } else { 0.0 };
            return since(after.at_ms as f64) + extra_s;
        };
        // The oldest waiting record is in the middle of its own slot.
        let done = (self.position - before.end) as f64 + 0.5;
        let share = (done / (after.end - before.end) as f64).clamp(0.0, 1.0);
        since(before.at_ms as f64 + share * (after.at_ms - before.at_ms) as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(committed: i64, end: i64) -> PartitionOffsets {
        PartitionOffsets { partition: 0, committed: Some(committed), end: Some(end) }
    }

    #[test]
    fn the_age_is_the_time_since_the_end_was_where_the_position_is() {
        let mut partition = Partition::first_seen(0, at(0, 0)).expect("end");
        for second in 1..=10 {
            partition.observe(second * 1000, at(0, second * 100));
        }
        assert!((partition.oldest_age_s(10_000, 100.0) - 10.0).abs() < 0.02);
        partition.observe(11_000, at(750, 1100));
        assert!((partition.oldest_age_s(11_000, 100.0) - 3.5).abs() < 0.02);
        partition.observe(12_000, at(1100, 1100));
        assert_eq!(partition.oldest_age_s(12_000, 100.0), 0.0);
    }

    #[test]
    fn an_hour_of_backlog_stays_bounded_and_its_age_right() {
        let mut partition = Partition::first_seen(0, at(0, 0)).expect("end");
        for second in 1..=3600 {
            partition.observe(second * 1000, at(0, second * 10));
        }
        assert!(partition.points.len() <= MOST_POINTS, "{}", partition.points.len());
        partition.observe(3_601_000, at(18_000, 36_010));
        let age_s = partition.oldest_age_s(3_601_000, 10.0);
        assert!((age_s - 1801.0).abs() < 2.0, "{age_s}");
    }

    #[test]
    fn what_is_thinned_out_is_the_older_half_and_not_its_first() {
        let mut partition = Partition::first_seen(0, at(0, 0)).expect("end");
        for second in 1..=3600 {
            // Bursts: every other look alone tells less.
            let end = 1000 * (second / 2);
            partition.observe(second * 1000, at(0, end));
        }
        assert!(partition.points.len() <= MOST_POINTS && partition.points.len() > MOST_POINTS / 4);
        assert_eq!(partition.points.front().map(|point| point.at_ms), Some(1000));
        let newest: Vec<i64> = partition.points.iter().rev().take(30).map(|p| p.at_ms).collect();
        assert!(newest.windows(2).all(|pair| pair[0] - pair[1] == 1000), "{newest:?}");
        let mut least = usize::MAX;
        for second in 3601..=4600 {
            partition.observe(second * 1000, at(0, 1000 * (second / 2)));
            least = least.min(partition.points.len());
        }
        assert!(least > MOST_POINTS / 2, "never fewer than what is left of it: {least}");
    }

    #[test]
    fn the_oldest_is_in_the_middle_of_its_own_slot() {
        let mut partition = Partition::first_seen(0, at(0, 0)).expect("end");
        for second in 1..=10 {
            partition.observe(second * 1000, at(0, second * 100));
        }
        for (position, age_s) in [(700, 2.995), (750, 2.495), (799, 2.005)] {
            partition.observe(10_000, at(position, 1000));
            let seen_s = partition.oldest_age_s(10_000, 100.0);
            assert!((seen_s - age_s).abs() < 1e-6, "{position}: {seen_s}");
        }
    }

    #[test]
    fn a_backlog_older_than_the_law_is_extrapolated() {
        let partition = Partition::first_seen(0, at(0, 1000)).expect("end");
        assert_eq!(partition.oldest_age_s(0, 100.0), 10.0);
        assert_eq!(partition.oldest_age_s(5000, 0.0), 5.0);
    }

    #[test]
    fn it_stands_still_while_records_wait_and_none_is_committed() {
        let mut partition = Partition::first_seen(0, at(0, 0)).expect("end");
        partition.observe(1000, at(0, 100));
        partition.observe(4000, at(0, 200));
        assert_eq!(partition.still_s(4000), 3.0);
        partition.observe(5000, at(50, 300));
        assert_eq!(partition.still_s(6000), 1.0);
        partition.observe(7000, at(300, 300));
        assert_eq!(partition.still_s(9000), 0.0);
    }

    #[test]
    fn a_recreated_topic_starts_over() {
        let mut partition = Partition::first_seen(0, at(0, 1000)).expect("end");
        assert_eq!(partition.observe(1000, at(0, 10)), Moved::default());
        assert_eq!(partition.backlog(), 10.0);
        let silent = PartitionOffsets { partition: 0, committed: None, end: None };
        assert_eq!(partition.observe(2000, silent), Moved::default());
        assert_eq!(partition.backlog(), 10.0);
    }
}
