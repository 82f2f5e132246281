//! The engine: one task between the group's events and the sink.
//!
//! Contract: events are handled in the order in which the group sent them, and
//! none of them waits for a write. Each delivered record is counted back to the
//! group exactly once, when it is written or dropped, and so are its bytes.
//!
//! As many writes are in flight as the sink takes at once, no two of them with
//! records of the same partition. Where the sink prepares a batch before it needs
//! the database, a full one more is handed over, so that the next batch is
//! encoded while the last one commits.
//!
//! Threads: everything here runs in one task. Calls of the sink run in tasks of
//! their own, and come back as [`Done`]; the decisions are [`Partitions`]'.
//! There is no timer while nothing is buffered, written, revoked or drained, and the sink works.
//!
//! Rejected: a task a partition (a hundred of them to coordinate at a rebalance,
//! and a transaction each instead of one).
//!
//! # Layout
//! - `intake`: records in, and what becomes of those that are not wanted
//! - `assignment`: assign, revoke, lost, and the way back of a fenced partition
//! - `write`: when a batch starts, and each way it can end
//! - `outage`: a sink that fails for a while
//! - `drain`: the end, asked for or forced

mod assignment;
mod drain;
mod intake;
mod outage;
mod write;

use std::collections::VecDeque;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tidegate_kafka::{AssignReply, GroupHandle, Position, TopicPartition};
use tokio::sync::mpsc;
use tokio::task::{Id, JoinError, JoinSet};
use tokio::time::{Instant, sleep_until};

use self::assignment::PendingRevoke;
use self::drain::Drain;
use self::outage::Outage;
use self::write::InFlight;
use crate::backoff::Backoff;
use crate::decode::Row;
use crate::events::{DropReason, Dropped, SinkFailed, SinkWorks};
use crate::intake::Event;
use crate::lifecycle::{Epoch, Partitions};
use crate::sink::{Sink, SinkError, Written};
use crate::sizing::Sizing;
use crate::status::Status;
use crate::{Error, PipelineOptions};

/// What the engine asks of the group; a test's group is a channel.
pub(crate) trait Group: Clone + Send + Sync + 'static {
    fn commit(&self, positions: Vec<Position>);
    fn seek(&self, partition: TopicPartition, next_offset: i64);
    fn release(&self, records: usize);
    fn release_bytes(&self, bytes: usize);
    fn limit_buffer(&self, records: usize, bytes: usize);
    fn leave(&self) -> impl Future<Output = Result<(), tidegate_kafka::Error>> + Send;
}

impl Group for GroupHandle {
    fn commit(&self, positions: Vec<Position>) {
        Self::commit(self, positions);
    }

    fn seek(&self, partition: TopicPartition, next_offset: i64) {
        Self::seek(self, partition, next_offset);
    }

    fn release(&self, records: usize) {
        Self::release(self, records);
    }

    fn release_bytes(&self, bytes: usize) {
        Self::release_bytes(self, bytes);
    }

    fn limit_buffer(&self, records: usize, bytes: usize) {
        Self::limit_buffer(self, records, bytes);
    }

    async fn leave(&self) -> Result<(), tidegate_kafka::Error> {
        Self::leave(self).await
    }
}

type Positions = Result<Vec<Option<i64>>, SinkError>;

/// A task that ended.
enum Done {
    Written(Result<Written, SinkError>),
    Assigned {
        partitions: Vec<TopicPartition>,
        reply: AssignReply,
        positions: Positions,
    },
    Reread {
        fenced: Vec<(TopicPartition, Epoch)>,
        positions: Positions,
    },
    Checked {
        idle: Vec<(TopicPartition, Epoch, i64)>,
        positions: Positions,
    },
    /// The sink was asked whether it is back.
    Asked(Positions),
    Left(Result<(), tidegate_kafka::Error>),
}

pub(crate) struct Engine<R, S, G> {
    sink: Arc<S>,
    group: G,
    options: PipelineOptions,
    /// Bound on the wait for a write that a revoke is waiting for.
    revoke_timeout: Duration,
    sizing: Sizing,
    partitions: Partitions<R>,
    /// Bytes that came in and were not counted back to the group.
    held_bytes: usize,
    tasks: JoinSet<Done>,
    in_flight: Vec<InFlight<R>>,
    backoff: Backoff,
    /// No write starts before this.
    retry_at: Option<Instant>,
    /// The last write failed and may be tried again: one at a time until one succeeds.
    failing: Option<Outage>,
    revokes: Vec<PendingRevoke>,
    /// Assignments of partitions that are in flight: their position is not known yet.
    waiting_assigns: VecDeque<(Vec<TopicPartition>, AssignReply)>,
    drain: Option<Drain>,
    failure: Option<Error>,
    status: Arc<Status>,
}

impl<R, S, G> Engine<R, S, G>
where
    R: Row,
    S: Sink<R>,
    G: Group,
{
    pub(crate) fn new(
        sink: Arc<S>,
        group: G,
        options: PipelineOptions,
        revoke_timeout: Duration,
        status: Arc<Status>,
    ) -> Self {
        Self {
            sizing: Sizing::new(&options, sink.concurrency(), sink.prepares()),
            sink,
            group,
            backoff: Backoff::new(options.retry_initial_ms, options.retry_max_ms),
            options,
            // The group's own bound must not pass first: it would go on without an answer.
            revoke_timeout: revoke_timeout.mul_f64(0.8),
            partitions: Partitions::default(),
            held_bytes: 0,
            tasks: JoinSet::new(),
            in_flight: Vec::new(),
            failing: None,
            retry_at: None,
            revokes: Vec::new(),
            waiting_assigns: VecDeque::new(),
            drain: None,
            failure: None,
            status,
        }
    }

    /// Runs until `shutdown` and the drain after it, or until a failure.
    pub(crate) async fn run(
        mut self,
        mut events: mpsc::Receiver<Event<R>>,
        shutdown: impl Future<Output = ()>,
    ) -> Result<(), Error> {
        let mut shutdown = pin!(shutdown);
        let mut group_ended = false;
        self.limit_buffer();
        while !self.finished() {
            self.start_writes();
            self.release_bytes();
            self.publish();
            let wake = self.next_wake();
            tokio::select! {
                biased;
                () = &mut shutdown, if self.drain.is_none() => self.begin_drain(),
                Some(done) = self.tasks.join_next_with_id(), if !self.tasks.is_empty() => {
                    self.on_done(done);
                }
                () = sleep_until(wake.unwrap_or_else(Instant::now)), if wake.is_some() => {
                    self.on_wake();
                }
                event = events.recv(), if !group_ended => match event {
                    Some(event) => self.on_event(event),
                    None => {
                        group_ended = true;
                        self.on_group_ended();
                    }
                },
            }
        }
        self.release_bytes();
        self.publish();
        self.outcome()
    }

    fn on_event(&mut self, event: Event<R>) {
        match event {
            Event::Assign { partitions, reply } => self.on_assign(partitions, reply),
            Event::Entries(entries) => self.on_entries(entries),
            Event::Revoke { partitions, reply } => self.on_revoke(partitions, reply),
            Event::Lost { partitions } => self.on_lost(&partitions),
            Event::Seeked { partition, next_offset } => {
                self.partitions.seeked(&partition, next_offset);
            }
            Event::Fatal(error) => self.fail(Error::Kafka(error)),
        }
    }

    fn on_done(&mut self, done: Result<(Id, Done), JoinError>) {
        match done {
            Ok((task, Done::Written(result))) => self.on_written(task, result),
            Ok((_, Done::Assigned { partitions, reply, positions })) => {
                self.on_assigned(&partitions, reply, positions);
            }
            Ok((_, Done::Reread { fenced, positions })) => self.on_reread(fenced, positions),
            Ok((_, Done::Checked { idle, positions })) => self.on_checked(idle, positions),
            Ok((_, Done::Asked(positions))) => self.on_asked(positions),
            Ok((_, Done::Left(result))) => self.on_left(result),
            Err(error) => self.on_task_died(error),
        }
    }

    /// A task was aborted, or code of the sink panicked.
    fn on_task_died(&mut self, error: JoinError) {
        if let Some(flight) = self.end_flight(error.id()) {
            self.take_back(flight);
        }
        if let Ok(panic) = error.try_into_panic() {
            self.fail(Error::SinkPanicked(crate::panic_message(panic.as_ref())));
        }
    }

    /// The earliest moment at which something must happen without an event.
    fn next_wake(&self) -> Option<Instant> {
        let batch = match &self.drain {
            None if self.in_flight.len() < self.writes_at_once() => {
                let due = self.partitions.closes_at(self.sizing.limits());
                due.map(|due| self.retry_at.map_or(due, |retry_at| due.max(retry_at)))
            }
            _ => None,
        };
        let end = self.drain.as_ref().map(|drain| drain.deadline);
        let moments = [batch, self.ask_at(), self.next_abandon(), self.next_told(), end];
        moments.into_iter().flatten().min()
    }

    fn on_wake(&mut self) {
        let now = Instant::now();
        self.abandon_overdue(now);
        self.tell_long(now);
    }

    /// Counts records that were not written back to the group.
    fn drop_records(&self, reason: DropReason, records: usize) {
        if records > 0 {
            self.group.release(records);
            Dropped { reason, records }.emit(&self.status);
        }
    }

    /// What is in no buffer and no batch any more was written or dropped.
    fn release_bytes(&mut self) {
        let in_flight: usize = self.in_flight.iter().map(|flight| flight.bytes).sum();
        let held = self.partitions.buffered_bytes() + in_flight;
        let released = std::mem::replace(&mut self.held_bytes, held).saturating_sub(held);
        if released > 0 {
            self.group.release_bytes(released);
        }
    }

    fn limit_buffer(&self) {
        self.group.limit_buffer(self.sizing.buffer_records(), self.sizing.buffer_bytes());
    }

    fn publish(&self) {
        let metrics = &self.status.metrics;
        metrics.buffered_records.set(self.partitions.buffered_records() as i64);
        metrics.buffered_bytes.set(self.partitions.buffered_bytes() as i64);
        metrics.in_flight_records.set(self.partitions.in_flight_records() as i64);
        metrics.in_flight_batches.set(self.in_flight.len() as i64);
        let in_flight = self.in_flight.iter().filter_map(|flight| flight.oldest_ms);
        let oldest = self.partitions.oldest_age_key_ms().into_iter().chain(in_flight).min();
        self.status.set_oldest_record_ms(oldest);
        self.status.set_sink(self.sizing.report());
    }
}

/// Calls the sink until it answers or fails for good.
pub(crate) async fn with_retries<T, F>(
    doing: &'static str,
    mut backoff: Backoff,
    status: &Status,
    mut call: impl FnMut() -> F,
) -> Result<T, SinkError>
where
    F: Future<Output = Result<T, SinkError>>,
{
    loop {
        match call().await {
            Ok(answer) => {
                SinkWorks.emit(status);
                return Ok(answer);
            }
            Err(SinkError::Retry(why)) => {
                let wait = backoff.next_wait();
                SinkFailed { kind: "retry", doing, why: &why, retry_in: Some(wait) }.emit(status);
                tokio::time::sleep(wait).await;
            }
            Err(error) => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests;
