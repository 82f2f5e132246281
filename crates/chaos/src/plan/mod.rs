//! What will be done to whom, and when. Pure: a function of the seed.
//!
//! Contract: [`Round::plan`] with the same seed, number and [`Limits`] gives the same
//! round. A fault names its victim by a number that is taken modulo those
//! who are there, so a plan needs no knowledge of the run.
//!
//! # Layout
//! - `fault`: what can be done
//! - `generate`: the draw

mod fault;
mod generate;
#[cfg(test)]
mod tests;

pub(crate) use fault::{Ending, Fault, Service};

use serde::Serialize;

/// Group protocol of a round.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Protocol {
    Consumer,
    Classic,
}

impl Protocol {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Consumer => "consumer",
            Self::Classic => "classic",
        }
    }
}

/// Which sink a round writes into.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum SinkKind {
    Postgres,
    Sqlite,
}

impl SinkKind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Postgres => "postgres",
            Self::Sqlite => "sqlite",
        }
    }
}

/// Bounds of the draw; part of what reproduces a run.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(crate) struct Limits {
    /// Faults a round.
    pub(crate) faults: usize,
    /// Mean time between two faults, ms.
    pub(crate) gap_ms: u64,
    /// Fewest and most consumer processes.
    pub(crate) pods_min: u32,
    pub(crate) pods_max: u32,
    /// A member silent for this long is out of the group, ms.
    pub(crate) session_ms: u64,
    /// Each so-manieth round writes into SQLite; 0 for none.
    pub(crate) sqlite_every: u64,
}

/// A fault with its time since the round's first record was stored.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(crate) struct Planned {
    pub(crate) at_ms: u64,
    #[serde(flatten)]
    pub(crate) fault: Fault,
}

/// One round: a load, consumers, and what happens to them.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Round {
    /// Counts from 0.
    pub(crate) number: u64,
    pub(crate) protocol: Protocol,
    pub(crate) sink: SinkKind,
    /// Consumer processes at the start.
    pub(crate) pods: u32,
    pub(crate) partitions: i32,
    /// Load, records a second.
    pub(crate) rate_per_s: u32,
    pub(crate) load_seed: u64,
    /// Records a batch; `None` lets the pods find it.
    pub(crate) batch_size: Option<u32>,
    /// Writes at once of a pod into PostgreSQL.
    pub(crate) connections: u32,
    /// Rows take the place of those with their key, which no other record has.
    pub(crate) upsert: bool,
    /// Simulated time of a write, ms: batches are in flight when faults strike.
    pub(crate) write_ms: u32,
    pub(crate) faults: Vec<Planned>,
}
