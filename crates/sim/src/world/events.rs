//! What happens, in order of time; at the same time in the order in which it was planned.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// Something that happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Event {
    /// A pod's process is up and joins the group.
    PodJoins(usize),
    /// A pod is Ready.
    PodReady(usize),
    /// A pod's grace is over.
    PodKilled(usize),
    /// The group notices that a member died.
    MemberExpires(usize),
    /// A pod looks for records; with `close` its batch closes as it is.
    Wake { pod: usize, token: u32, close: bool },
    /// A pod's batch is written.
    BatchEnds { pod: usize, token: u32 },
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
    /// Kafka's committed offsets follow.
    Commit,
    /// Processes die.
    Crash(u32),
    /// A second is over.
    Second,
}

/// Planned events. Times in microseconds.
#[derive(Debug, Default)]
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
}

/// Seconds as microseconds.
pub(crate) fn us(seconds: f64) -> i64 {
    (seconds * 1e6).round() as i64
}
