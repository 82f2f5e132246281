//! Where batches go.
//!
//! Contract: see [`Sink`]. The engine runs each write in a task of its own, as many
//! at a time as the sink says ([`Sink::concurrency`], one by default), and may ask
//! for positions while writes are in flight; so a sink is shared (`&self`) and
//! brings its own lock or thread where it needs one. Two batches in flight never
//! have records of the same partition.
//!
//! Rejected: `&mut self`. A rebalance would have to wait for the write in flight
//! before it could learn where to start, and the group would wait with it.

mod database;
mod discard;
mod handler;
pub(crate) mod headers;
pub mod postgres;
mod simulated;
pub mod sqlite;

use std::future::Future;
use std::sync::Arc;

use tidegate_kafka::TopicPartition;

pub use database::Database;
pub use discard::DiscardSink;
pub use handler::HandlerSink;
pub use simulated::SimulatedWrite;

use crate::batch::Batch;
use crate::decode::{Rejection, Row, TradeRow};

/// A destination of batches.
///
/// Transactional sinks store rows, dead letters and positions in one
/// transaction and answer [`Sink::positions`] from it: each record's effect is
/// then exactly once. Sinks that answer `None` get at-least-once delivery from
/// Kafka's committed offsets.
pub trait Sink<R: Row = TradeRow>: Send + Sync + 'static {
    /// Called once, before the group is joined: connect, create, compare with
    /// the cluster. Called again after an error that allows a retry.
    fn prepare(&self, context: &SinkContext) -> impl Future<Output = Result<(), SinkError>> + Send {
        let _ = context;
        async { Ok(()) }
    }

    /// How many writes the sink works on at once, 1 to 1,000. Batches that are in
    /// flight at the same time have no partition in common and may end in any order.
    fn concurrency(&self) -> usize {
        1
    }

    /// Whether `write` has work to do before it waits for its turn, such as encoding
    /// the batch. Then it is called for one full batch more than
    /// [`Sink::concurrency`], and must itself wait for its turn.
    fn prepares(&self) -> bool {
        false
    }

    /// `next_offset` of each partition asked for, in that order; `None` where
    /// nothing was ever written, and from a sink that keeps no positions.
    fn positions(
        &self,
        partitions: &[TopicPartition],
    ) -> impl Future<Output = Result<Vec<Option<i64>>, SinkError>> + Send;

    /// Writes a batch: all of it or nothing. It must not block its thread, which may be
    /// the engine's: what does belongs into `tokio::task::spawn_blocking`.
    ///
    /// Dropping the future abandons the write. A transactional sink should then
    /// roll back where it still can; if it commits nevertheless, the positions
    /// keep the effect exactly once.
    fn write(
        &self,
        batch: Arc<Batch<R>>,
    ) -> impl Future<Output = Result<Written, SinkError>> + Send;
}

/// Where a pipeline writes from; the same for its whole life.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SinkContext {
    /// Consumer group: part of a position's key.
    pub group: String,
    /// Kafka cluster the positions belong to; `None` if it was not asked for.
    pub cluster_id: Option<String>,
    /// Who writes, for the operator's eyes.
    pub owner: String,
}

/// A batch that was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// Wall clock immediately before the commit, Unix milliseconds.
    pub committed_at_ms: i64,
    /// Rows that the database refused and that became dead letters in the same
    /// transaction: index into [`Batch::entries`], and why.
    pub rejected: Vec<(usize, Rejection)>,
}

impl Written {
    /// Everything written, now.
    pub fn now() -> Self {
        Self { committed_at_ms: crate::clock::now_ms(), rejected: Vec::new() }
    }
}

/// Why a sink could not do what was asked. Nothing of the batch was written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SinkError {
    /// Another owner has moved these partitions' positions. The engine reads
    /// them again and goes on from there.
    #[error("another owner has written {}", list(partitions))]
    Fenced {
        /// Partitions of the batch whose position was not the expected one.
        partitions: Vec<TopicPartition>,
    },
    /// Not the batch's fault and not for ever: database down, busy, disk full.
    /// The engine holds back, and tries again.
    #[error("{0}")]
    Retry(String),
    /// No retry can help: wrong schema, not a database, another cluster's
    /// positions. The pipeline ends.
    #[error("{0}")]
    Fatal(String),
}

fn list(partitions: &[TopicPartition]) -> String {
    partitions.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}
