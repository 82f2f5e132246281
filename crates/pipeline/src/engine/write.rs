//! Batches on their way: when one starts, and each way it can end.
//!
//! | end | records | then |
//! |---|---|---|
//! | written | counted out | commit to Kafka |
//! | retry, abandoned, panic | back to the front of their buffers | wait, or end |
//! | fenced | of the fenced partitions dropped, others back | read positions, seek |
//! | fatal | back | drain and end |

use std::sync::Arc;
use std::time::Duration;

use tidegate_kafka::TopicPartition;
use tokio::task::{AbortHandle, Id};
use tokio::time::Instant;

use super::{Done, Engine, Group};
use crate::Error;
use crate::batch::Batch;
use crate::decode::Row;
use crate::events::{
    BatchStarted, BatchWritten, DropReason, Fenced, SinkFailed, SinkWorks, WriteAbandoned,
    WriteRuns,
};
use crate::lifecycle::{Choice, FlightId};
use crate::sink::{Sink, SinkError, Written};
use crate::sizing::WriteEnd;

/// A write that takes longer is told, and again each time it has taken twice as long.
const LONG: Duration = Duration::from_secs(30);

/// A write in flight.
pub(super) struct InFlight<R> {
    id: FlightId,
    batch: Arc<Batch<R>>,
    /// Of its keys and payloads.
    pub(super) bytes: usize,
    task: Id,
    abort: AbortHandle,
    abandoned: bool,
    started: Instant,
    tell_at: Instant,
    /// Since when the sink works on it; `None` while it waits for another to end.
    served: Option<Instant>,
    /// Age key of the oldest record, Unix milliseconds.
    pub(super) oldest_ms: Option<i64>,
}

impl<R> InFlight<R> {
    /// Whether the batch has records of any of these partitions.
    pub(super) fn touches(&self, partitions: &[TopicPartition]) -> bool {
        self.batch.positions().iter().any(|update| partitions.contains(&update.partition))
    }
}

impl<R, S, G> Engine<R, S, G>
where
    R: Row,
    S: Sink<R>,
    G: Group,
{
    /// Writes that may run now: one while the sink fails.
    pub(super) fn writes_at_once(&self) -> usize {
        if self.failing.is_some() { 1 } else { self.sizing.writes() }
    }

    /// Starts writes as long as batches have closed and the sink takes more.
    pub(super) fn start_writes(&mut self) {
        let now = Instant::now();
        self.start_due(now);
        self.ask_if_idle(now);
        // What could have started has: a full batch that is left waits for the sink, also
        // where its partitions are the ones in flight.
        let waits = self.in_flight.len() > self.writes_at_once()
            || !self.in_flight.is_empty() && self.partitions.batch_held(self.sizing.limits());
        self.sizing.blocked(waits, now);
    }

    fn start_due(&mut self, now: Instant) {
        let limits = self.sizing.limits();
        if self.drain.is_some() || self.retry_at.is_some_and(|at| now < at) {
            return;
        }
        let writes = self.writes_at_once();
        let staged = if self.failing.is_some() { 0 } else { self.sizing.staged() };
        while self.in_flight.len() < writes + staged {
            // What waits behind the others waits no longer in a buffer, where it
            // could grow; so only a batch that cannot grow is staged.
            let by_age = self.in_flight.len() < writes;
            if !self.partitions.batch_due(limits, now, by_age) {
                return;
            }
            let choice = if writes + staged > 1 { Choice::Few } else { Choice::All };
            let Some((id, batch)) = self.partitions.take(limits, choice) else { return };
            self.start_write(id, batch, now);
        }
    }

    fn start_write(&mut self, id: FlightId, batch: Batch<R>, now: Instant) {
        self.retry_at = None;
        BatchStarted { records: batch.len() }.emit();
        let batch = Arc::new(batch);
        let (sink, written) = (Arc::clone(&self.sink), Arc::clone(&batch));
        let abort = self.tasks.spawn(async move { Done::Written(sink.write(written).await) });
        // One pass over the records: they are many.
        let (oldest_ms, bytes) =
            batch.entries().iter().fold((None, 0), |(oldest, bytes), entry| {
                let oldest: i64 = oldest.unwrap_or(entry.age_key_ms);
                (Some(oldest.min(entry.age_key_ms)), bytes + entry.bytes())
            });
        let served = self.in_flight.iter().filter(|flight| flight.served.is_some()).count();
        self.in_flight.push(InFlight {
            id,
            oldest_ms,
            bytes,
            batch,
            task: abort.id(),
            abort,
            abandoned: false,
            started: now,
            tell_at: now + LONG,
            served: (served < self.sizing.writes()).then_some(now),
        });
    }

    /// Takes a write out of those in flight; the next one in line has the sink.
    pub(super) fn end_flight(&mut self, task: Id) -> Option<InFlight<R>> {
        let at = self.in_flight.iter().position(|flight| flight.task == task)?;
        let ended = self.in_flight.remove(at);
        if ended.served.is_some()
            && let Some(next) = self.in_flight.iter_mut().find(|flight| flight.served.is_none())
        {
            next.served = Some(Instant::now());
        }
        Some(ended)
    }

    pub(super) fn on_written(&mut self, task: Id, result: Result<Written, SinkError>) {
        let Some(flight) = self.end_flight(task) else { return };
        match result {
            Ok(written) => self.on_success(&flight, &written),
            Err(SinkError::Retry(why)) => {
                let wait = self.hold_back(flight.batch.positions());
                SinkFailed { kind: "retry", doing: "write", why: &why, retry_in: Some(wait) }
                    .emit(&self.status);
                self.take_back(flight);
            }
            Err(SinkError::Fenced { partitions }) => self.on_fenced(flight, &partitions),
            Err(error @ SinkError::Fatal(_)) => {
                self.take_back(flight);
                self.fail_sink("write", error);
            }
        }
    }

    fn on_success(&mut self, flight: &InFlight<R>, written: &Written) {
        let commit = self.partitions.written(flight.id, flight.batch.positions());
        if !commit.is_empty() {
            self.group.commit(commit);
        }
        self.group.release(flight.batch.len());
        self.backoff.reset();
        let was_failing = self.failing.take().is_some();
        SinkWorks.emit(&self.status);
        let at = Instant::now();
        let took = at - flight.served.unwrap_or(flight.started);
        let running = 1 + self.in_flight.iter().filter(|flight| flight.served.is_some()).count();
        // The next in line has just been given this one's turn.
        let running = running.min(self.sizing.writes());
        self.sizing.written(WriteEnd { records: flight.batch.len(), took, running, at });
        self.limit_buffer();
        BatchWritten { batch: &flight.batch, written, took }.emit(&self.status);
        self.after_write();
        if was_failing {
            self.check_idle();
        }
    }

    fn on_fenced(&mut self, flight: InFlight<R>, fenced: &[TopicPartition]) {
        let batch = owned(flight.batch);
        if !batch.positions().iter().any(|update| fenced.contains(&update.partition)) {
            let dropped = self.partitions.returned(flight.id, batch);
            self.drop_records(DropReason::NotOwned, dropped);
            let text = "it fenced partitions that were not in the batch";
            self.fail_sink("write", SinkError::Fatal(text.into()));
            return self.after_write();
        }
        let (dropped, reread) = self.partitions.fenced(flight.id, batch, fenced);
        Fenced { partitions: fenced }.emit(&self.status);
        self.drop_records(DropReason::NotOwned, dropped);
        self.after_write();
        self.read_again(reread);
    }

    /// The write ended without effect: its records go back to the buffers.
    pub(super) fn take_back(&mut self, flight: InFlight<R>) {
        let dropped = self.partitions.returned(flight.id, owned(flight.batch));
        self.drop_records(DropReason::NotOwned, dropped);
        self.after_write();
    }

    fn after_write(&mut self) {
        self.settle_revokes();
        self.resume_assigns();
        self.leave_when_idle();
    }

    /// When a write must be given up, for the end or for a revoke of its partitions.
    fn abandon_at(&self, flight: &InFlight<R>) -> Option<Instant> {
        if flight.abandoned {
            return None;
        }
        let revokes = self.revokes.iter().filter(|revoke| flight.touches(&revoke.partitions));
        let drain = self.drain.as_ref().map(|drain| drain.abandon_at);
        revokes.map(|revoke| revoke.deadline).chain(drain).min()
    }

    pub(super) fn next_abandon(&self) -> Option<Instant> {
        self.in_flight.iter().filter_map(|flight| self.abandon_at(flight)).min()
    }

    /// Drops the futures of writes that nobody can wait for any longer; their ends
    /// arrive as cancelled tasks.
    pub(super) fn abandon_overdue(&mut self, now: Instant) {
        let why = if self.drain.is_some() { "drain deadline" } else { "revoke deadline" };
        for at in 0..self.in_flight.len() {
            if self.abandon_at(&self.in_flight[at]).is_some_and(|deadline| deadline <= now) {
                let flight = &mut self.in_flight[at];
                flight.abandoned = true;
                flight.abort.abort();
                WriteAbandoned { why, after: flight.started.elapsed() }.emit(&self.status);
            }
        }
    }

    /// When a write will have taken long.
    pub(super) fn next_told(&self) -> Option<Instant> {
        self.in_flight.iter().map(|flight| flight.tell_at).min()
    }

    pub(super) fn tell_long(&mut self, now: Instant) {
        for flight in self.in_flight.iter_mut().filter(|flight| flight.tell_at <= now) {
            let after = now - flight.started;
            WriteRuns { records: flight.batch.len(), after }.emit();
            flight.tell_at = now + after;
        }
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
