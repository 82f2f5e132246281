//! When do all partitions flow again? A group's offsets over time, and a member that joins
//! meanwhile. Pure.
//!
//! *Flow* is what is seen at the broker: a partition flows on when a record that came after
//! a moment is committed. So the time from a change until all of them flow holds everything
//! that a record waits for: the notice to the old owner, its last batch and commit, the
//! hand-over, the first batch and commit of the new one. The same time without a change,
//! *usual*, is measured first. Its resolution is how often one looks, and how often pods
//! commit.
//!
//! *Rest* is the longest time without progress of any partition since the change, less the
//! longest before it: what the simulator calls `settle_s`.

use std::collections::BTreeMap;

use serde::Serialize;

/// What a join did.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Rebalance {
    /// From the new member in the group until every partition has committed a record that
    /// came after that, seconds.
    pub flow_s: f64,
    /// The same without a change, seconds.
    pub usual_s: f64,
    /// What a partition rested longer than usual, at most, seconds.
    pub rest_s: f64,
}

/// Ends and committed offset of a partition.
pub type Offsets = (i32, i64, i64);

#[derive(Debug, Clone, Copy)]
struct Progress {
    committed: i64,
    since_ms: i64,
}

/// Offsets in the order in which they were read.
#[derive(Debug, Clone)]
pub struct Flow {
    members_before: usize,
    progress: BTreeMap<i32, Progress>,
    /// Ends at the moment that is measured from.
    marks: BTreeMap<i32, i64>,
    mark_ms: Option<i64>,
    usual_s: Option<f64>,
    usual_gap_ms: i64,
    changed: bool,
    gap_ms: i64,
    flow_s: Option<f64>,
}

impl Flow {
    /// A group of so many members, before another one joins.
    pub fn new(members_before: usize) -> Self {
        Self {
            members_before,
            progress: BTreeMap::new(),
            marks: BTreeMap::new(),
            mark_ms: None,
            usual_s: None,
            usual_gap_ms: 0,
            changed: false,
            gap_ms: 0,
            flow_s: None,
        }
    }

    /// Takes what was read at a time (Unix milliseconds): members, and of each partition
    /// its number, end and committed offset.
    pub fn observe(&mut self, now_ms: i64, members: usize, offsets: &[Offsets]) {
        self.advance(now_ms, offsets);
        if !self.changed && self.usual_s.is_some() && members > self.members_before {
            self.changed = true;
            self.mark(now_ms, offsets);
        }
        let Some(mark_ms) = self.mark_ms else {
            self.mark(now_ms, offsets);
            return;
        };
        let passed = |(partition, _, committed): &Offsets| {
            self.marks.get(partition).is_some_and(|mark| committed > mark)
        };
        if offsets.is_empty() || !offsets.iter().all(passed) {
            return;
        }
        let took_s = (now_ms - mark_ms) as f64 / 1000.0;
        if self.changed {
            self.flow_s.get_or_insert(took_s);
        } else {
            self.usual_s.get_or_insert(took_s);
        }
    }

    /// Whether what is usual is known, so that a member may join.
    pub fn is_usual_known(&self) -> bool {
        self.usual_s.is_some()
    }

    /// Once all partitions flow again.
    pub fn rebalance(&self) -> Option<Rebalance> {
        let rest_ms = (self.gap_ms - self.usual_gap_ms).max(0);
        Some(Rebalance {
            flow_s: self.flow_s?,
            usual_s: self.usual_s?,
            rest_s: rest_ms as f64 / 1000.0,
        })
    }

    fn mark(&mut self, now_ms: i64, offsets: &[Offsets]) {
        self.mark_ms = Some(now_ms);
        self.marks = offsets.iter().map(|(partition, end, _)| (*partition, *end)).collect();
    }

    fn advance(&mut self, now_ms: i64, offsets: &[Offsets]) {
        for (partition, _, committed) in offsets {
            let fresh = Progress { committed: *committed, since_ms: now_ms };
            let progress = self.progress.entry(*partition).or_insert(fresh);
            if progress.committed == *committed {
                continue;
            }
            let gap_ms = now_ms - progress.since_ms;
            *progress = fresh;
            let longest = if self.changed { &mut self.gap_ms } else { &mut self.usual_gap_ms };
            *longest = gap_ms.max(*longest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two partitions, 100 records a second each, committed 200 ms later every 100 ms;
    /// partition 1 rests from `still.0` to `still.1`.
    fn run(still: (i64, i64), joins_ms: i64) -> Option<Rebalance> {
        let mut flow = Flow::new(2);
        for now_ms in (0..20_000).step_by(20) {
            let end = now_ms / 10;
            let committed = |now_ms: i64| ((now_ms / 100 * 100 - 200) / 10).max(0);
            let moved = if (still.0..still.1).contains(&now_ms) { still.0 } else { now_ms };
            let members = if now_ms >= joins_ms { 3 } else { 2 };
            flow.observe(
                now_ms,
                members,
                &[(0, end, committed(now_ms)), (1, end, committed(moved))],
            );
            if let Some(rebalance) = flow.rebalance() {
                return Some(rebalance);
            }
        }
        None
    }

    #[test]
    fn a_partition_that_moves_holds_up_the_flow() {
        let rebalance = run((5_200, 6_500), 5_000).expect("flows again");
        assert_eq!(rebalance.flow_s, 1.5, "noticed 0.2 s later, and rests for 1.3 s");
        assert!((0.2..=0.42).contains(&rebalance.usual_s), "{rebalance:?}");
        assert!((0.95..=1.3).contains(&rebalance.rest_s), "{rebalance:?}");
    }

    #[test]
    fn without_a_rest_it_is_as_usual() {
        let rebalance = run((0, 0), 5_000).expect("flows on");
        assert!(rebalance.flow_s <= rebalance.usual_s + 0.1, "{rebalance:?}");
        assert!(rebalance.rest_s <= 0.05, "{rebalance:?}");
    }

    #[test]
    fn a_partition_that_stays_behind_is_waited_for() {
        assert_eq!(run((5_100, 20_000), 5_000), None);
        assert_eq!(run((0, 0), 30_000), None, "nobody joined");
    }
}
