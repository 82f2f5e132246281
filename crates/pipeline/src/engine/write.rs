//! A batch on its way: when it starts, and each way it can end.
//!
//! | end | records | then |
//! |---|---|---|
//! | written | counted out | commit to Kafka |
//! | retry, abandoned, panic | back to the front of their buffers | wait, or end |
//! | fenced | of the fenced partitions dropped, others back | read positions, seek |
//! | fatal | back | drain and end |

use std::sync::Arc;

use tidegate_kafka::TopicPartition;
use tokio::task::{AbortHandle, Id};
use tokio::time::Instant;

use super::{Done, Engine, Group};
use crate::Error;
use crate::batch::Batch;
use crate::decode::{Decoder, Row};
use crate::events::{
    BatchStarted, BatchWritten, DropReason, Fenced, SinkFailed, SinkWorks, WriteAbandoned,
};
use crate::sink::{Sink, SinkError, Written};

/// The write in flight.
pub(super) struct InFlight<R> {
    batch: Arc<Batch<R>>,
    pub(super) task: Id,
    abort: AbortHandle,
    abandoned: bool,
    started: Instant,
    /// Age key of the oldest record, Unix milliseconds.
    pub(super) oldest_ms: Option<i64>,
}

impl<R> InFlight<R> {
    /// Whether the batch has records of any of these partitions.
    pub(super) fn touches(&self, partitions: &[TopicPartition]) -> bool {
        self.batch.positions().iter().any(|update| partitions.contains(&update.partition))
    }
}

impl<D, S, G> Engine<D, S, G>
where
    D: Decoder,
    S: Sink<D::Row>,
    G: Group,
{
    /// Starts a write if none is in flight and a batch has closed.
    pub(super) fn start_write(&mut self) {
        let now = Instant::now();
        let limits = self.sizing.limits();
        if self.drain.is_some()
            || self.retry_at.is_some_and(|at| now < at)
            || !self.partitions.batch_due(limits, now)
        {
            return;
        }
        let Some(batch) = self.partitions.take(limits) else { return };
        self.retry_at = None;
        BatchStarted { records: batch.len() }.emit(&self.status);
        let batch = Arc::new(batch);
        let (sink, written) = (Arc::clone(&self.sink), Arc::clone(&batch));
        let abort = self.tasks.spawn(async move { Done::Written(sink.write(written).await) });
        self.in_flight = Some(InFlight {
            oldest_ms: batch.entries().iter().map(|entry| entry.age_key_ms).min(),
            batch,
            task: abort.id(),
            abort,
            abandoned: false,
            started: now,
        });
    }

    pub(super) fn on_written(&mut self, result: Result<Written, SinkError>) {
        match result {
            Ok(written) => self.on_success(&written),
            Err(SinkError::Retry(why)) => {
                let wait = self.backoff.next_wait();
                self.retry_at = Some(Instant::now() + wait);
                SinkFailed { kind: "retry", doing: "write", why: &why, retry_in: Some(wait) }
                    .emit(&self.status);
                self.take_back_batch();
            }
            Err(SinkError::Fenced { partitions }) => self.on_fenced(&partitions),
            Err(error @ SinkError::Fatal(_)) => {
                self.take_back_batch();
                self.fail_sink("write", error);
            }
        }
    }

    fn on_success(&mut self, written: &Written) {
        let Some(flight) = self.in_flight.take() else { return };
        let commit = self.partitions.written(flight.batch.positions());
        if !commit.is_empty() {
            self.group.commit(commit);
        }
        self.group.release(flight.batch.len());
        self.backoff.reset();
        SinkWorks.emit(&self.status);
        let took = flight.started.elapsed();
        BatchWritten { batch: &flight.batch, written, took }.emit(&self.status);
        self.after_write();
    }

    fn on_fenced(&mut self, fenced: &[TopicPartition]) {
        let Some(flight) = self.in_flight.take() else { return };
        let batch = owned(flight.batch);
        if !batch.positions().iter().any(|update| fenced.contains(&update.partition)) {
            let dropped = self.partitions.returned(batch);
            self.drop_records(DropReason::NotOwned, dropped);
            let text = "it fenced partitions that were not in the batch";
            self.fail_sink("write", SinkError::Fatal(text.into()));
            return self.after_write();
        }
        let (dropped, reread) = self.partitions.fenced(batch, fenced);
        Fenced { partitions: fenced }.emit(&self.status);
        self.drop_records(DropReason::NotOwned, dropped);
        self.after_write();
        self.read_again(reread);
    }

    /// The write ended without effect: its records go back to the buffers.
    pub(super) fn take_back_batch(&mut self) {
        let Some(flight) = self.in_flight.take() else { return };
        self.status.metrics.in_flight_records.set(0);
        let dropped = self.partitions.returned(owned(flight.batch));
        self.drop_records(DropReason::NotOwned, dropped);
        self.after_write();
    }

    fn after_write(&mut self) {
        self.settle_revokes();
        self.resume_assigns();
        self.leave_when_idle();
    }

    /// When the write in flight must be given up for a revoke or a drain.
    pub(super) fn abandon_at(&self) -> Option<Instant> {
        self.in_flight.as_ref().filter(|flight| !flight.abandoned)?;
        let revoke = self.revokes.iter().map(|revoke| revoke.deadline).min();
        let drain = self.drain.as_ref().map(|drain| drain.abandon_at);
        revoke.into_iter().chain(drain).min()
    }

    /// Drops the write's future; its end arrives as a cancelled task.
    pub(super) fn abandon_write(&mut self) {
        let Some(flight) = &mut self.in_flight else { return };
        flight.abandoned = true;
        flight.abort.abort();
        let why = if self.drain.is_some() { "drain deadline" } else { "revoke deadline" };
        WriteAbandoned { why, after: flight.started.elapsed() }.emit(&self.status);
    }

    /// A sink error that no retry can help.
    pub(super) fn fail_sink(&mut self, doing: &'static str, error: SinkError) {
        let why = error.to_string();
        SinkFailed { kind: "fatal", doing, why: &why, retry_in: None }.emit(&self.status);
        self.fail(Error::Sink(error));
    }
}

/// The batch itself. A sink that was abandoned may still hold it: then a copy.
fn owned<R: Row>(batch: Arc<Batch<R>>) -> Batch<R> {
    Arc::try_unwrap(batch).unwrap_or_else(|shared| (*shared).clone())
}
