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

mod flights;

use std::collections::BTreeMap;

use tidegate_kafka::{Position, TopicPartition};

use crate::batch::Entry;
use crate::buffer::Queue;

pub(crate) use self::flights::Choice;

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
    /// Where deliveries have got to, or begin: no record comes twice. A seek takes it back.
    floor: i64,
    /// Lowest offset not delivered yet.
    next_delivery: i64,
    queue: Queue<R>,
}

/// What became of delivered records. Those that are not counted here wait for a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Accepted {
    /// Not ours (any more), or a seek is under way. Count them out.
    pub(crate) not_owned: usize,
    /// Delivered before a seek. Count them out.
    pub(crate) repeated: usize,
    /// The first of the former that comes from below where its partition was read up to, which
    /// is then another topic's.
    pub(crate) below: Option<BelowPosition>,
}

/// A record's offset, and the position that was reached before.
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
            floor: position.unwrap_or(0),
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
            let (offset, position) = (entry.record.offset, owned.floor);
            if offset < position {
                accepted.not_owned += 1;
                accepted.below.get_or_insert(BelowPosition { offset, position });
                continue;
            }
            owned.floor = offset + 1;
            if offset >= owned.next_delivery {
                owned.next_delivery = offset + 1;
                owned.queue.push_back(entry);
            } else {
                accepted.repeated += 1;
            }
        }
        accepted
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
                owned.floor = position;
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
        } else {
            owned.floor = owned.floor.min(next_offset);
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

fn is_busy(in_flight: &[InFlight], partition: &TopicPartition) -> bool {
    in_flight.iter().any(|flight| flight.epochs.contains_key(partition))
}

fn position_of(partition: &TopicPartition, next_offset: i64) -> Position {
    Position { topic: partition.topic.clone(), partition: partition.partition, next_offset }
}

#[cfg(test)]
mod tests;
