//! A pod, and what it is up to.

use super::NEVER_US;
use super::split::{Split, Taken};

/// Where a pod is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    /// Waits for a node.
    Pending,
    /// Has a node; its process is not up.
    Starting,
    /// Consumes.
    Running,
    /// Writes its last batch.
    Draining,
    /// Was told to stop and does not listen: consumes until it is killed.
    Deaf,
    /// Is gone.
    Gone,
}

/// What a pod does next by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Next {
    /// Looks for records; with `close` its batch closes as it is.
    Look { close: bool },
    /// Its batch is written.
    BatchEnds,
}

/// A pod. Ids are never used again.
#[derive(Debug, Clone)]
pub(crate) struct Pod {
    /// Its place among all that ever were.
    pub(crate) id: u64,
    /// When it goes on by itself, and what it does then.
    pub(crate) next_us: i64,
    pub(crate) next: Next,
    pub(crate) state: State,
    pub(crate) ready: bool,
    pub(crate) joined_us: i64,
    /// How long its speed rises.
    pub(crate) ramp_up_us: i64,
    pub(crate) node: Option<usize>,
    /// What it reads.
    pub(crate) partitions: Vec<u32>,
    /// Records in flight.
    pub(crate) batch: Vec<Taken>,
    /// When the batch in flight is written; `None` when idle.
    pub(crate) busy_until_us: Option<i64>,
    /// When the group notices its death; `None` while it lives.
    pub(crate) expires_us: Option<i64>,
    /// When the batch in flight started, or the last one did.
    pub(crate) started_us: i64,
    /// When its oldest record arrived.
    pub(crate) first_us: i64,
    /// Whether its records arrived evenly since then.
    pub(crate) even: bool,
    /// Batches started.
    pub(crate) batches: u64,
    /// Records in a batch at most.
    pub(crate) batch_limit: u64,
    /// The next batch holds one record.
    pub(crate) short_batch: bool,
    /// Where the next batch begins to take records, for fairness.
    pub(crate) turn: usize,
    /// How its last full batch divided.
    pub(crate) split: Split,
    /// Each of its partitions holds at least so many records that it has not read, and its
    /// last batch took some of all of them; 0 when that is not known.
    pub(crate) at_least: u64,
}

impl Pod {
    pub(super) fn new(id: usize, ramp_up_us: i64, batch_limit: u64) -> Self {
        Self {
            id: id as u64,
            next_us: NEVER_US,
            next: Next::BatchEnds,
            ramp_up_us,
            state: State::Pending,
            ready: false,
            joined_us: 0,
            node: None,
            partitions: Vec::new(),
            batch: Vec::new(),
            busy_until_us: None,
            expires_us: None,
            started_us: 0,
            first_us: 0,
            even: false,
            batches: 0,
            batch_limit,
            short_batch: false,
            turn: 0,
            split: Split::default(),
            at_least: 0,
        }
    }

    /// Counts as a replica: exists and was not told to stop.
    pub(crate) fn counts(&self) -> bool {
        matches!(self.state, State::Pending | State::Starting | State::Running)
    }

    /// Starts batches.
    pub(crate) fn consumes(&self) -> bool {
        matches!(self.state, State::Running | State::Deaf)
    }

    /// Whether a full batch is certain to be an even share of its partitions. A backlog that
    /// was seen once is not looked at again before it may be gone.
    #[inline]
    pub(crate) fn has_evenly(&mut self, full: u64) -> bool {
        if self.at_least == 0 {
            return false;
        }
        self.split = self.split.of(full, self.batch.len());
        self.split.is_even(self.at_least)
    }

    /// The next batch begins to take records from the next partition.
    #[inline]
    pub(crate) fn next_turn(&mut self) {
        self.turn = if self.turn + 1 < self.partitions.len() { self.turn + 1 } else { 0 };
    }

    /// Its process is up and a member of the group.
    pub(crate) fn is_alive(&self) -> bool {
        matches!(self.state, State::Running | State::Draining | State::Deaf)
    }
}
