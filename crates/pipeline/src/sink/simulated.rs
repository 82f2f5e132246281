//! The published demo's pretended work, in front of a real sink.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tidegate_kafka::TopicPartition;
use tokio::sync::Semaphore;

use super::{Sink, SinkContext, SinkError, Written};
use crate::batch::Batch;
use crate::decode::Row;

/// Sleeps before each write of the sink it wraps, as many at once as that takes.
/// The sleep ends at once when the write is abandoned; positions never wait for it.
#[derive(Debug)]
pub struct SimulatedWrite<S> {
    batch: Duration,
    record: Duration,
    turns: OnceLock<Semaphore>,
    inner: S,
}

impl<S> SimulatedWrite<S> {
    /// `batch` for each batch (the demo's `BATCH_PROCESSING_TIME`) plus `record`
    /// for each of its records (`MESSAGE_PROCESSING_TIME`).
    pub fn new(batch: Duration, record: Duration, inner: S) -> Self {
        Self { batch, record, turns: OnceLock::new(), inner }
    }
}

impl<R: Row, S: Sink<R>> Sink<R> for SimulatedWrite<S> {
    async fn prepare(&self, context: &SinkContext) -> Result<(), SinkError> {
        self.inner.prepare(context).await
    }

    fn concurrency(&self) -> usize {
        self.inner.concurrency()
    }

    fn prepares(&self) -> bool {
        self.inner.prepares()
    }

    async fn positions(
        &self,
        partitions: &[TopicPartition],
    ) -> Result<Vec<Option<i64>>, SinkError> {
        self.inner.positions(partitions).await
    }

    async fn write(&self, batch: Arc<Batch<R>>) -> Result<Written, SinkError> {
        let records = u32::try_from(batch.len()).unwrap_or(u32::MAX);
        let work = self.batch + self.record.saturating_mul(records);
        if work.is_zero() {
            return self.inner.write(batch).await;
        }
        // Never closed. Held to the end: a write has its connection for all its time.
        let turns = || Semaphore::new(self.inner.concurrency().max(1));
        let _turn = self.turns.get_or_init(turns).acquire().await;
        tokio::time::sleep(work).await;
        self.inner.write(batch).await
    }
}
