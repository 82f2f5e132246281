//! What happens to more than one pod, in order of time; at the same time in the order in
//! which it was planned. What a pod does by itself is not here: see `pods`.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// Something that happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Event {
    /// A pod's process is up and joins the group.
    PodJoins(usize),
    /// A pod is Ready.
    PodReady(usize),
    /// A pod that was told to stop has written its last batch.
    PodDrained(usize),
    /// A pod's grace is over.
    PodKilled(usize),
    /// The group notices that a member died.
    MemberExpires(usize),
    /// The group assigns its partitions anew.
    Rebalance,
    /// A generation of blind members is complete.
    RoundEnds,
    /// A partition reaches its new owner.
    Assign { partition: usize, claim: u32 },
    /// The law is due.
    Law,
    /// The wanted number of pods takes effect.
    Reconcile,
    /// A node is there.
    NodeReady,
    /// A node may have been empty for long enough.
    NodeExpires { node: usize, stamp: u32 },
    /// Looks for nodes whose pods fit elsewhere.
    Consolidate,
    /// Kafka's committed offsets follow.
    Commit,
    /// Old records are deleted.
    Retention,
    /// A fault begins or ends.
    Fault,
    /// Processes die.
    Crash(u32),
    /// A second is over.
    Second,
}

impl Event {
    /// Waits until the broker answers again.
    pub(crate) fn needs_broker(self) -> bool {
        matches!(
            self,
            Self::MemberExpires(_) | Self::Rebalance | Self::RoundEnds | Self::Assign { .. }
        )
    }
}

/// Planned events. Times in microseconds.
#[derive(Debug, Clone, Default)]
pub(crate) struct Queue {
    heap: BinaryHeap<Reverse<(i64, u64, Event)>>,
    planned: u64,
}

impl Queue {
    pub(crate) fn push(&mut self, at_us: i64, event: Event) {
        self.heap.push(Reverse((at_us, self.planned, event)));
        self.planned += 1;
    }

    pub(crate) fn pop(&mut self) -> Option<(i64, Event)> {
        self.heap.pop().map(|Reverse((at_us, _, event))| (at_us, event))
    }

    /// When the next one is.
    pub(crate) fn next_us(&self) -> Option<i64> {
        self.heap.peek().map(|Reverse((at_us, ..))| *at_us)
    }
}

/// Seconds, 0 or more, as microseconds.
pub(crate) fn us(seconds: f64) -> i64 {
    (seconds * 1e6 + 0.5) as i64
}
