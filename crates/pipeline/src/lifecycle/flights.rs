//! Batches: when one is due, what goes into it, and what comes of it.

use std::collections::BTreeMap;
use std::time::Duration;

use tidegate_kafka::{Position, TopicPartition};
use tokio::time::Instant;

use super::{Epoch, FlightId, InFlight, Partition, Partitions, State, is_busy, position_of};
use crate::batch::{Batch, Entry, PositionUpdate};
use crate::buffer::{Queue, take_oldest};
use crate::sizing::Limits;

/// Which partitions a batch is taken from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Choice {
    /// All that are not in flight: the oldest records of all.
    All,
    /// As few as fill it, oldest heads first: the others are left for the next batch.
    Few,
}

/// What could go into a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Waiting {
    records: usize,
    bytes: usize,
    oldest: Option<Instant>,
}

impl<R> Partitions<R> {
    /// Whether a batch can be taken that has reached its size (`by_age: false`) or
    /// one of its limits (`by_age: true`).
    pub(crate) fn batch_due(&self, limits: Limits, now: Instant, by_age: bool) -> bool {
        let waiting = self.waiting();
        waiting.is_full(limits) || by_age && waiting.closes_at(limits).is_some_and(|at| at <= now)
    }

    /// When what is buffered is a batch: at once if it has the size, else when its
    /// first record has waited long enough; `None` without records.
    pub(crate) fn closes_at(&self, limits: Limits) -> Option<Instant> {
        self.waiting().closes_at(limits)
    }

    /// Whether a full batch is buffered, also of partitions in flight.
    pub(crate) fn batch_held(&self, limits: Limits) -> bool {
        let mut held = Waiting::default();
        self.owned.values().for_each(|owned| held.add(&owned.queue));
        held.is_full(limits)
    }

    fn waiting(&self) -> Waiting {
        let mut waiting = Waiting::default();
        let free = self.owned.iter().filter(|(partition, _)| !is_busy(&self.in_flight, partition));
        free.for_each(|(_, owned)| waiting.add(&owned.queue));
        waiting
    }

    /// Takes the oldest records as another batch in flight; `None` if there are
    /// none outside the batches in flight.
    pub(crate) fn take(&mut self, limits: Limits, choice: Choice) -> Option<(FlightId, Batch<R>)> {
        let in_flight = &self.in_flight;
        let free = self
            .owned
            .iter_mut()
            .filter(|(partition, _)| !is_busy(in_flight, partition))
            .map(|(partition, owned)| (partition, &mut owned.queue));
        let entries = match choice {
            Choice::All => take_oldest(free, limits),
            Choice::Few => take_oldest(few(free, limits), limits),
        };
        if entries.is_empty() {
            return None;
        }
        let ends = ends(&entries);
        let mut epochs = BTreeMap::new();
        let mut positions = Vec::with_capacity(ends.len());
        for (partition, next_offset) in ends {
            let owned = self.owned.get(&partition)?;
            epochs.insert(partition.clone(), owned.epoch);
            positions.push(PositionUpdate { partition, expected: owned.position, next_offset });
        }
        self.next_flight += 1;
        let id = self.next_flight;
        self.in_flight.push(InFlight { id, epochs, records: entries.len() });
        Some((id, Batch { entries, positions }))
    }

    fn end_flight(&mut self, flight: FlightId) -> Option<InFlight> {
        let at = self.in_flight.iter().position(|in_flight| in_flight.id == flight)?;
        Some(self.in_flight.swap_remove(at))
    }

    /// A batch in flight was written. Returns what to commit to Kafka: the
    /// positions of partitions that are still owned and not being revoked.
    pub(crate) fn written(
        &mut self,
        flight: FlightId,
        positions: &[PositionUpdate],
    ) -> Vec<Position> {
        let Some(flight) = self.end_flight(flight) else { return Vec::new() };
        let mut commit = Vec::new();
        for update in positions {
            if let Some(owned) = current(&mut self.owned, &flight, &update.partition) {
                owned.position = Some(update.next_offset);
                if owned.state == State::Active {
                    commit.push(position_of(&update.partition, update.next_offset));
                }
            }
        }
        commit
    }

    /// A batch in flight was not written and goes back to the buffers. Returns
    /// the records dropped because their partition is gone or going.
    pub(crate) fn returned(&mut self, flight: FlightId, batch: Batch<R>) -> usize {
        let Some(flight) = self.end_flight(flight) else { return 0 };
        let mut dropped = 0;
        for entry in batch.entries.into_iter().rev() {
            match current(&mut self.owned, &flight, &partition_of(&entry)) {
                Some(owned) if owned.state == State::Active => owned.queue.push_front(entry),
                _ => dropped += 1,
            }
        }
        dropped
    }

    /// A batch was refused because others moved the positions of `fenced`.
    /// Their records are dropped, the rest goes back. Returns the records dropped
    /// and the partitions whose position must be read again.
    pub(crate) fn fenced(
        &mut self,
        flight: FlightId,
        batch: Batch<R>,
        fenced: &[TopicPartition],
    ) -> (usize, Vec<(TopicPartition, Epoch)>) {
        let mut dropped = 0;
        let mut reread = Vec::new();
        let in_flight = self.in_flight.iter().find(|in_flight| in_flight.id == flight);
        for partition in fenced {
            let Some(in_flight) = in_flight else { break };
            let Some(owned) = current(&mut self.owned, in_flight, partition) else { continue };
            owned.position = None;
            if owned.state == State::Active {
                owned.state = State::Seeking;
                dropped += owned.queue.clear();
                reread.push((partition.clone(), owned.epoch));
            }
        }
        dropped += self.returned(flight, batch);
        (dropped, reread)
    }
}

impl Waiting {
    fn add<R>(&mut self, queue: &Queue<R>) {
        let Some(head) = queue.head_arrived() else { return };
        self.records += queue.len();
        self.bytes += queue.bytes();
        self.oldest = Some(self.oldest.map_or(head, |oldest| oldest.min(head)));
    }

    fn is_full(self, limits: Limits) -> bool {
        self.records >= limits.max_records || self.bytes >= limits.max_bytes
    }

    fn closes_at(self, limits: Limits) -> Option<Instant> {
        let wait = if self.is_full(limits) { Duration::ZERO } else { limits.max_age };
        self.oldest.map(|oldest| oldest + wait)
    }
}

/// The queues with the oldest heads, as many as fill a batch.
fn few<'a, R: 'a>(
    queues: impl Iterator<Item = (&'a TopicPartition, &'a mut Queue<R>)>,
    limits: Limits,
) -> impl Iterator<Item = (&'a TopicPartition, &'a mut Queue<R>)> {
    let mut queues: Vec<_> = queues.filter(|(_, queue)| queue.len() > 0).collect();
    queues.sort_by_key(|(_, queue)| queue.head_age_key_ms());
    let (mut records, mut bytes) = (0, 0);
    queues.into_iter().take_while(move |(_, queue)| {
        let wanted = records < limits.max_records && bytes < limits.max_bytes;
        records += queue.len();
        bytes += queue.bytes();
        wanted
    })
}

/// Where a batch leaves each of its partitions.
fn ends<R>(entries: &[Entry<R>]) -> BTreeMap<TopicPartition, i64> {
    let mut ends = BTreeMap::new();
    let mut records = entries.iter().peekable();
    while let Some(entry) = records.next() {
        let goes_on = records.peek().is_some_and(|next| {
            next.record.partition == entry.record.partition
                && next.record.topic == entry.record.topic
        });
        if !goes_on {
            ends.insert(partition_of(entry), entry.record.offset + 1);
        }
    }
    ends
}

/// The partition, if its ownership is the one the batch was taken under.
fn current<'a, R>(
    owned: &'a mut BTreeMap<TopicPartition, Partition<R>>,
    flight: &InFlight,
    partition: &TopicPartition,
) -> Option<&'a mut Partition<R>> {
    let epoch = flight.epochs.get(partition)?;
    owned.get_mut(partition).filter(|owned| owned.epoch == *epoch)
}

fn partition_of<R>(entry: &Entry<R>) -> TopicPartition {
    TopicPartition { topic: entry.record.topic.clone(), partition: entry.record.partition }
}
