//! What the pipeline owns: partitions, their buffered records, the batches in
//! flight, and the positions the sink is known to hold.
//!
//! Pure: no clock, no I/O, no tasks. The engine feeds events in and carries the
//! answers out. Four invariants, held by the property tests:
//! 1. every record delivered is counted out exactly once, as written or dropped;
//! 2. a partition's records reach the sink in offset order, each at most once per
//!    position the sink confirmed;
//! 3. the result of a batch never touches a partition that was revoked, lost or
//!    assigned again since the batch was taken (epochs);
//! 4. a partition is in at most one batch in flight, of whatever epoch. So batches
//!    may end in any order.
//!
//! Rejected: keeping an unwritten batch for its retry. It goes back to the front
//! of the buffers, so that revoke, lost and fenced have one place to look at.
//! Partitions bound to a connection for good: a hot one would wait behind its
//! neighbours while other connections idle.

use std::collections::BTreeMap;
use std::time::Duration;

use tidegate_kafka::{Position, TopicPartition};
use tokio::time::Instant;

use crate::batch::{Batch, Entry, PositionUpdate};
use crate::buffer::{Queue, take_oldest};
use crate::sizing::Limits;

/// Tells one ownership of a partition from the next.
pub(crate) type Epoch = u64;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Records are buffered and written.
    Active,
    /// Revoked while its records are in flight: takes nothing, waits for the write.
    Revoking,
    /// Fenced: takes nothing until the group has moved to the sink's position.
    Seeking,
}

#[derive(Debug)]
struct Partition<R> {
    epoch: Epoch,
    state: State,
    /// `next_offset` that the sink holds, as this owner last saw it.
    position: Option<i64>,
    /// Where deliveries may begin: the sink's position at the last assignment or seek.
    start: Option<i64>,
    /// Lowest offset not delivered yet.
    next_delivery: i64,
    queue: Queue<R>,
}

/// What became of delivered records. Those that are not counted here wait for a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Accepted {
    /// Not ours (any more), or a seek is under way. Count them out.
    pub(crate) not_owned: usize,
    /// Delivered before. Count them out.
    pub(crate) repeated: usize,
    /// The first of the former that was below the position the sink held at the start, which is
    /// then another topic's.
    pub(crate) below: Option<BelowPosition>,
}

/// A record's offset, and the sink's position at the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BelowPosition {
    pub(crate) offset: i64,
    pub(crate) position: i64,
}

/// Tells one batch in flight from the others.
pub(crate) type FlightId = u64;

/// A batch in flight, as far as the bookkeeping goes.
#[derive(Debug)]
struct InFlight {
    id: FlightId,
    epochs: BTreeMap<TopicPartition, Epoch>,
    records: usize,
}

/// Which partitions a batch is taken from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Choice {
    /// All that are not in flight: the oldest records of all.
    All,
    /// As few as fill it, oldest heads first: the others are left for the next batch.
    Few,
}

/// What could go into a batch now: partitions in flight are left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Waiting {
    records: usize,
    bytes: usize,
    oldest: Option<Instant>,
}

/// Everything that is owned.
#[derive(Debug)]
pub(crate) struct Partitions<R> {
    owned: BTreeMap<TopicPartition, Partition<R>>,
    in_flight: Vec<InFlight>,
    next_epoch: Epoch,
    next_flight: FlightId,
}

impl<R> Default for Partitions<R> {
    fn default() -> Self {
        Self { owned: BTreeMap::new(), in_flight: Vec::new(), next_epoch: 0, next_flight: 0 }
    }
}

impl<R> Partitions<R> {
    /// Starts an ownership at the sink's position (`None`: the sink has none).
    /// Returns the records dropped if the partition was still owned.
    pub(crate) fn assign(&mut self, partition: TopicPartition, position: Option<i64>) -> usize {
        self.next_epoch += 1;
        let fresh = Partition {
            epoch: self.next_epoch,
            state: State::Active,
            position,
            start: position,
            next_delivery: position.unwrap_or(0),
            queue: Queue::default(),
        };
        self.owned.insert(partition, fresh).map_or(0, |old| old.queue.len())
    }

    /// Buffers records of one partition, in offset order, or says why not.
    pub(crate) fn accept(
        &mut self,
        partition: &TopicPartition,
        entries: impl Iterator<Item = Entry<R>>,
    ) -> Accepted {
        let mut accepted = Accepted::default();
        let owned = self.owned.get_mut(partition).filter(|owned| owned.state == State::Active);
        let Some(owned) = owned else {
            accepted.not_owned = entries.count();
            return accepted;
        };
        for entry in entries {
            let offset = entry.record.offset;
            if offset >= owned.next_delivery {
                owned.next_delivery = offset + 1;
                owned.queue.push_back(entry);
            } else if let Some(position) = owned.start.filter(|position| offset < *position) {
                accepted.not_owned += 1;
                accepted.below.get_or_insert(BelowPosition { offset, position });
            } else {
                accepted.repeated += 1;
            }
        }
        accepted
    }

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

    fn waiting(&self) -> Waiting {
        let mut waiting = Waiting::default();
        for (partition, owned) in &self.owned {
            let Some(head) = owned.queue.head_arrived() else { continue };
            if !is_busy(&self.in_flight, partition) {
                waiting.records += owned.queue.len();
                waiting.bytes += owned.queue.bytes();
                waiting.oldest = Some(waiting.oldest.map_or(head, |oldest| oldest.min(head)));
            }
        }
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

    /// The position of a fenced partition was read again. Returns whether it is
    /// still wanted, that is, whether the group must seek there.
    pub(crate) fn reposition(
        &mut self,
        partition: &TopicPartition,
        epoch: Epoch,
        position: i64,
    ) -> bool {
        match self.owned.get_mut(partition) {
            Some(owned) if owned.epoch == epoch && owned.state == State::Seeking => {
                owned.position = Some(position);
                owned.start = Some(position);
                owned.next_delivery = position;
                true
            }
            _ => false,
        }
    }

    /// Partitions with nothing buffered or in flight, and the position the sink holds.
    pub(crate) fn idle(&self) -> Vec<(TopicPartition, Epoch, i64)> {
        let is_idle = |partition: &TopicPartition, owned: &Partition<R>| {
            owned.state == State::Active
                && owned.queue.len() == 0
                && !is_busy(&self.in_flight, partition)
        };
        self.owned
            .iter()
            .filter(|(partition, owned)| is_idle(partition, owned))
            .filter_map(|(partition, owned)| {
                Some((partition.clone(), owned.epoch, owned.position?))
            })
            .collect()
    }

    /// The sink does not hold `known` any more: takes nothing until the position is
    /// read again. `None` if something has been written since, or will be and then
    /// tells; else the records dropped.
    pub(crate) fn moved(
        &mut self,
        partition: &TopicPartition,
        epoch: Epoch,
        known: i64,
    ) -> Option<usize> {
        if is_busy(&self.in_flight, partition) {
            return None;
        }
        let owned = self.owned.get_mut(partition).filter(|owned| {
            owned.epoch == epoch && owned.state == State::Active && owned.position == Some(known)
        })?;
        owned.position = None;
        owned.state = State::Seeking;
        Some(owned.queue.clear())
    }

    /// Whether a fenced partition still waits for its position.
    pub(crate) fn awaits_position(&self, partition: &TopicPartition, epoch: Epoch) -> bool {
        self.owned
            .get(partition)
            .is_some_and(|owned| owned.epoch == epoch && owned.state == State::Seeking)
    }

    /// The group delivers from `next_offset` on. A seek asked for by an earlier
    /// ownership can arrive late; then old records come again, and that is all.
    pub(crate) fn seeked(&mut self, partition: &TopicPartition, next_offset: i64) {
        let Some(owned) = self.owned.get_mut(partition) else { return };
        if owned.state == State::Seeking && owned.position == Some(next_offset) {
            owned.state = State::Active;
        } else if owned.start.is_some_and(|start| next_offset < start) {
            owned.start = Some(next_offset);
        }
    }

    /// Takes nothing more for these partitions and drops what is buffered.
    /// Returns the records dropped. They stay owned until [`Self::release`].
    pub(crate) fn revoke(&mut self, partitions: &[TopicPartition]) -> usize {
        let mut dropped = 0;
        for partition in partitions {
            if let Some(owned) = self.owned.get_mut(partition) {
                owned.state = State::Revoking;
                dropped += owned.queue.clear();
            }
        }
        dropped
    }

    /// Whether records of any of these partitions are in flight, from this ownership.
    pub(crate) fn any_in_flight(&self, partitions: &[TopicPartition]) -> bool {
        partitions.iter().any(|partition| {
            self.owned.get(partition).is_some_and(|owned| {
                let from = |flight: &InFlight| flight.epochs.get(partition) == Some(&owned.epoch);
                self.in_flight.iter().any(from)
            })
        })
    }

    /// Ends the ownership of revoked partitions; returns their final positions.
    pub(crate) fn release(&mut self, partitions: &[TopicPartition]) -> Vec<Position> {
        let mut positions = Vec::new();
        for partition in partitions {
            // Assigned again meanwhile, because the revoke took longer than the group waited.
            if self.owned.get(partition).is_none_or(|owned| owned.state != State::Revoking) {
                continue;
            }
            if let Some(next_offset) = self.owned.remove(partition).and_then(|owned| owned.position)
            {
                positions.push(position_of(partition, next_offset));
            }
        }
        positions
    }

    /// Ends the ownership at once. Returns the records dropped; those in flight
    /// are counted out when their write ends.
    pub(crate) fn lost(&mut self, partitions: &[TopicPartition]) -> usize {
        partitions
            .iter()
            .filter_map(|partition| self.owned.remove(partition))
            .map(|owned| owned.queue.len())
            .sum()
    }

    /// Drops everything buffered, for the end. Returns the records dropped.
    pub(crate) fn stop_intake(&mut self) -> usize {
        let all: Vec<TopicPartition> = self.owned.keys().cloned().collect();
        self.revoke(&all)
    }

    pub(crate) fn buffered_records(&self) -> usize {
        self.owned.values().map(|owned| owned.queue.len()).sum()
    }

    pub(crate) fn buffered_bytes(&self) -> usize {
        self.owned.values().map(|owned| owned.queue.bytes()).sum()
    }

    pub(crate) fn in_flight_records(&self) -> usize {
        self.in_flight.iter().map(|flight| flight.records).sum()
    }

    /// Smallest age key among the buffered heads, Unix milliseconds.
    pub(crate) fn oldest_age_key_ms(&self) -> Option<i64> {
        self.owned.values().filter_map(|owned| owned.queue.head_age_key_ms()).min()
    }

    /// The partitions owned, in order.
    pub(crate) fn owned(&self) -> impl Iterator<Item = &TopicPartition> {
        self.owned.keys()
    }
}

impl Waiting {
    fn is_full(self, limits: Limits) -> bool {
        self.records >= limits.max_records || self.bytes >= limits.max_bytes
    }

    fn closes_at(self, limits: Limits) -> Option<Instant> {
        let wait = if self.is_full(limits) { Duration::ZERO } else { limits.max_age };
        self.oldest.map(|oldest| oldest + wait)
    }
}

fn is_busy(in_flight: &[InFlight], partition: &TopicPartition) -> bool {
    in_flight.iter().any(|flight| flight.epochs.contains_key(partition))
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

fn position_of(partition: &TopicPartition, next_offset: i64) -> Position {
    Position { topic: partition.topic.clone(), partition: partition.partition, next_offset }
}

#[cfg(test)]
mod tests;
