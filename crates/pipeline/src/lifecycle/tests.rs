use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use proptest::prelude::*;
use tidegate_kafka::{Position, TopicPartition};

use super::{Accepted, BelowPosition, Choice, Epoch, FlightId, Partitions};
use crate::batch::Batch;
use crate::sizing::Limits;
use crate::testing::{entry, partition, record};

const PARTITIONS: i32 = 4;
/// Writes at the same time.
const IN_FLIGHT: usize = 3;

fn limits(max_records: usize) -> Limits {
    Limits { max_records, max_bytes: usize::MAX, max_age: Duration::ZERO }
}

type Subject = Partitions<crate::TradeRow>;

const BUFFERED: Accepted = Accepted { not_owned: 0, repeated: 0, below: None };

fn deliver(subject: &mut Subject, p: i32, offset: i64) -> Accepted {
    subject.accept(&partition(p), std::iter::once(entry(record(p, offset, "x"))))
}

/// One step of the world around the bookkeeping.
#[derive(Debug, Clone)]
enum Step {
    Assign(i32),
    Deliver(i32, i64),
    DeliverAgain(i32),
    Take(usize, bool),
    /// The sink answers with the truth, about one of the batches in flight.
    WriteEnds(usize),
    /// The sink fails and has written nothing.
    WriteFails(usize),
    /// The sink commits, but its answer gets lost.
    WriteCommitsAndFails(usize),
    OtherOwnerWrites(i32, i64),
    /// The sink fails over and has forgotten this many of the last records.
    SinkForgets(i32, i64),
    /// The sink is asked about partitions without records; later it answers.
    AskIdle,
    Answered,
    Reread,
    Seeked,
    Revoke(i32),
    Lost(i32),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let p = || 0..PARTITIONS;
    let step = prop_oneof![
        3 => p().prop_map(Step::Assign),
        6 => (p(), 1..6i64).prop_map(|(p, n)| Step::Deliver(p, n)),
        1 => p().prop_map(Step::DeliverAgain),
        6 => (1..8usize, any::<bool>()).prop_map(|(max, few)| Step::Take(max, few)),
        5 => (0..IN_FLIGHT).prop_map(Step::WriteEnds),
        1 => (0..IN_FLIGHT).prop_map(Step::WriteFails),
        1 => (0..IN_FLIGHT).prop_map(Step::WriteCommitsAndFails),
        1 => (p(), 1..4i64).prop_map(|(p, n)| Step::OtherOwnerWrites(p, n)),
        1 => (p(), 1..6i64).prop_map(|(p, n)| Step::SinkForgets(p, n)),
        1 => Just(Step::AskIdle),
        1 => Just(Step::Answered),
        2 => Just(Step::Reread),
        2 => Just(Step::Seeked),
        1 => p().prop_map(Step::Revoke),
        1 => p().prop_map(Step::Lost),
    ];
    prop::collection::vec(step, 0..120)
}

/// A database with compare-and-set positions, a log without gaps, a group.
#[derive(Default)]
struct World {
    subject: Subject,
    stored: BTreeMap<i32, Vec<i64>>,
    position: BTreeMap<i32, i64>,
    /// Next offset the group delivers, for partitions it has assigned.
    fetch: BTreeMap<i32, i64>,
    flights: Vec<(FlightId, Batch<crate::TradeRow>)>,
    reread: Vec<(TopicPartition, Epoch)>,
    seeks: Vec<(TopicPartition, i64)>,
    revoking: Vec<TopicPartition>,
    /// Partition, epoch and position when the sink was asked, and what it will answer.
    asked: Vec<(TopicPartition, Epoch, i64, Option<i64>)>,
    /// Partitions of which the sink has forgotten something.
    forgotten: BTreeSet<i32>,
    delivered: usize,
    released: usize,
}

impl World {
    fn step(&mut self, step: &Step) {
        match *step {
            Step::Assign(p) => self.assign(p),
            Step::Deliver(p, count) => {
                for _ in 0..count {
                    self.deliver(p, 0);
                }
            }
            Step::DeliverAgain(p) => self.deliver(p, -1),
            Step::Take(max, few) => {
                let choice = if few { Choice::Few } else { Choice::All };
                if self.flights.len() < IN_FLIGHT {
                    self.flights.extend(self.subject.take(limits(max), choice));
                }
            }
            Step::WriteEnds(which) => self.write_ends(which),
            Step::WriteFails(which) => self.write_fails(which),
            Step::WriteCommitsAndFails(which) => {
                if let Some((_, batch)) = self.flights.get(which)
                    && self.fenced(batch).is_empty()
                {
                    let batch = batch.clone();
                    self.store(&batch);
                }
                self.write_fails(which);
            }
            Step::OtherOwnerWrites(p, count) => {
                for _ in 0..count {
                    let next = self.position.entry(p).or_default();
                    self.stored.entry(p).or_default().push(*next);
                    *next += 1;
                }
            }
            Step::SinkForgets(p, count) => self.forget(p, count),
            Step::AskIdle => {
                let position = |p: &TopicPartition| self.position.get(&p.partition).copied();
                let idle = self.subject.idle().into_iter();
                self.asked =
                    idle.map(|(p, epoch, at)| (p.clone(), epoch, at, position(&p))).collect();
            }
            Step::Answered => self.answered(),
            Step::Reread => self.read_again(),
            Step::Seeked => self.seek(),
            Step::Revoke(p) => {
                if self.fetch.remove(&p).is_some() {
                    self.released += self.subject.revoke(&[partition(p)]);
                    self.revoking.push(partition(p));
                    self.settle();
                }
            }
            Step::Lost(p) => {
                if self.fetch.remove(&p).is_some() {
                    self.released += self.subject.lost(&[partition(p)]);
                }
            }
        }
    }

    fn assign(&mut self, p: i32) {
        if self.fetch.contains_key(&p) {
            return;
        }
        let position = self.position.get(&p).copied();
        self.released += self.subject.assign(partition(p), position);
        self.fetch.insert(p, position.unwrap_or(0));
    }

    fn deliver(&mut self, p: i32, shift: i64) {
        let Some(next) = self.fetch.get_mut(&p) else { return };
        let offset = *next + shift;
        if offset < 0 {
            return;
        }
        *next = (*next).max(offset + 1);
        self.delivered += 1;
        if deliver(&mut self.subject, p, offset) != BUFFERED {
            self.released += 1;
        }
    }

    fn fenced(&self, batch: &Batch<crate::TradeRow>) -> Vec<TopicPartition> {
        let moved = |update: &&crate::PositionUpdate| {
            self.position.get(&update.partition.partition).copied() != update.expected
        };
        batch.positions().iter().filter(moved).map(|update| update.partition.clone()).collect()
    }

    fn store(&mut self, batch: &Batch<crate::TradeRow>) {
        for entry in batch.entries() {
            self.stored.entry(entry.record.partition).or_default().push(entry.record.offset);
        }
        for update in batch.positions() {
            self.position.insert(update.partition.partition, update.next_offset);
        }
    }

    fn end(&mut self, which: usize) -> Option<(FlightId, Batch<crate::TradeRow>)> {
        (which < self.flights.len()).then(|| self.flights.swap_remove(which))
    }

    fn write_ends(&mut self, which: usize) {
        let Some((flight, batch)) = self.end(which) else { return };
        let fenced = self.fenced(&batch);
        if fenced.is_empty() {
            self.store(&batch);
            let commit = self.subject.written(flight, batch.positions());
            self.check_commit(&commit);
            self.released += batch.len();
        } else {
            let (dropped, reread) = self.subject.fenced(flight, batch, &fenced);
            self.released += dropped;
            self.reread.extend(reread);
        }
        self.settle();
    }

    /// What Kafka is told is what the sink holds, by who owns it and gives it not up.
    fn check_commit(&self, commit: &[Position]) {
        for Position { partition, next_offset, .. } in commit {
            assert_eq!(self.position.get(partition), Some(next_offset), "not what is stored");
            assert!(self.fetch.contains_key(partition), "of another's partition");
        }
    }

    fn write_fails(&mut self, which: usize) {
        let Some((flight, batch)) = self.end(which) else { return };
        self.released += self.subject.returned(flight, batch);
        self.settle();
    }

    fn settle(&mut self) {
        let (waiting, settled): (Vec<_>, Vec<_>) = std::mem::take(&mut self.revoking)
            .into_iter()
            .partition(|p| self.subject.any_in_flight(std::slice::from_ref(p)));
        self.revoking = waiting;
        for final_position in self.subject.release(&settled) {
            let stored = self.position.get(&final_position.partition).copied().unwrap_or(0);
            let is_written = final_position.next_offset <= stored;
            let was_written = self.forgotten.contains(&final_position.partition);
            assert!(is_written || was_written, "committed beyond what is written");
        }
    }

    /// Not while a seek is on its way: then its offset is of another sink.
    fn forget(&mut self, p: i32, count: i64) {
        if let Some(position) = self.position.get_mut(&p).filter(|_| self.seeks.is_empty()) {
            *position = (*position - count).max(0);
            self.stored.entry(p).or_default().truncate(*position as usize);
            self.forgotten.insert(p);
        }
    }

    /// As the engine does with what the sink said of idle partitions.
    fn answered(&mut self) {
        for (partition, epoch, known, position) in std::mem::take(&mut self.asked) {
            let Some(position) = position.filter(|position| *position != known) else { continue };
            let Some(dropped) = self.subject.moved(&partition, epoch, known) else { continue };
            self.released += dropped;
            assert!(self.subject.awaits_position(&partition, epoch));
            assert!(self.subject.reposition(&partition, epoch, position));
            self.seeks.push((partition, position));
        }
    }

    fn read_again(&mut self) {
        for (partition, epoch) in std::mem::take(&mut self.reread) {
            let position = self.position[&partition.partition];
            if self.subject.reposition(&partition, epoch, position) {
                self.seeks.push((partition, position));
            }
        }
    }

    fn seek(&mut self) {
        for (partition, next_offset) in std::mem::take(&mut self.seeks) {
            if let Some(fetch) = self.fetch.get_mut(&partition.partition) {
                *fetch = next_offset;
                self.subject.seeked(&partition, next_offset);
            }
        }
    }

    fn check(&self) {
        let held = self.subject.buffered_records() + self.subject.in_flight_records();
        assert_eq!(self.delivered, self.released + held, "each record is counted out once");
        for (p, stored) in &self.stored {
            let expected: Vec<i64> = (0..self.position[p]).collect();
            assert_eq!(*stored, expected, "partition {p}: once each, in order, none missing");
        }
        let mut flying: Vec<&TopicPartition> =
            self.flights.iter().flat_map(|(_, b)| b.positions()).map(|u| &u.partition).collect();
        flying.sort();
        assert!(flying.windows(2).all(|pair| pair[0] != pair[1]), "twice in flight: {flying:?}");
    }

    /// With no more disturbances everything delivered gets written.
    fn quiesce(&mut self) {
        let behind = |world: &Self| {
            world.fetch.iter().any(|(p, fetch)| world.position.get(p) != Some(fetch))
        };
        for round in 0.. {
            while !self.flights.is_empty() {
                self.write_ends(0);
            }
            self.answered();
            self.read_again();
            self.seek();
            for p in 0..PARTITIONS {
                self.deliver(p, 0);
            }
            let mut batches = 0;
            while let Some(taken) = self.subject.take(limits(4), Choice::All) {
                batches += 1;
                assert!(batches < 10_000, "the same records again and again");
                self.flights.push(taken);
                self.write_ends(0);
            }
            self.check();
            if round >= 4 && !behind(self) {
                break;
            }
            // Every offset of the log can be delivered again, but not for ever.
            assert!(round < 1_000, "stands still: {:?} at {:?}", self.position, self.fetch);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn every_record_is_stored_once_in_order_and_counted_out_once(steps in steps()) {
        let mut world = World::default();
        for step in &steps {
            world.step(step);
            world.check();
        }
        world.quiesce();
    }
}

#[test]
fn the_oldest_head_goes_first_and_a_partition_keeps_its_order() {
    let mut subject = Subject::default();
    for p in [0, 1] {
        subject.assign(partition(p), None);
    }
    // The helper's timestamps grow with the offset.
    for (p, offset) in [(0, 50), (0, 51), (1, 10), (1, 60)] {
        assert_eq!(deliver(&mut subject, p, offset), BUFFERED);
    }
    let (_, batch) = subject.take(limits(10), Choice::All).expect("records wait");
    let order: Vec<_> =
        batch.entries().iter().map(|e| (e.record.partition, e.record.offset)).collect();
    assert_eq!(order, [(1, 10), (0, 50), (0, 51), (1, 60)]);
}

#[test]
fn a_batch_closes_by_bytes_but_takes_at_least_one_record() {
    let mut subject = Subject::default();
    subject.assign(partition(0), None);
    for offset in 0..3 {
        let long = entry(record(0, offset, &"x".repeat(100)));
        assert_eq!(subject.accept(&partition(0), std::iter::once(long)), BUFFERED);
    }
    let limits = Limits { max_records: 10, max_bytes: 50, max_age: Duration::from_secs(60) };
    assert!(subject.batch_due(limits, tokio::time::Instant::now(), false));
    assert_eq!(subject.take(limits, Choice::All).map(|(_, batch)| batch.len()), Some(1));
}

#[test]
fn a_timestamp_in_the_future_does_not_starve_its_partition() {
    let mut subject = Subject::default();
    subject.assign(partition(0), None);
    let mut future = record(0, 0, "x");
    future.timestamp_ms = Some(i64::MAX);
    assert_eq!(subject.accept(&partition(0), std::iter::once(entry(future))), BUFFERED);
    assert!(subject.oldest_age_key_ms().is_some_and(|key| key <= crate::clock::now_ms()));
}

#[test]
fn a_record_below_the_sinks_position_is_not_a_repetition() {
    let mut subject = Subject::default();
    subject.assign(partition(0), Some(500));
    let below = Some(BelowPosition { offset: 0, position: 500 });
    assert_eq!(deliver(&mut subject, 0, 0), Accepted { not_owned: 1, below, ..BUFFERED });
    assert_eq!(deliver(&mut subject, 0, 500), BUFFERED);
}

/// The topic was created anew while it was read: what its log holds below is not what is stored.
#[test]
fn a_record_below_what_was_delivered_is_a_repetition_only_after_a_seek() {
    let mut subject = Subject::default();
    subject.assign(partition(0), None);
    for offset in 0..5 {
        assert_eq!(deliver(&mut subject, 0, offset), BUFFERED);
    }
    let below = Some(BelowPosition { offset: 0, position: 5 });
    assert_eq!(deliver(&mut subject, 0, 0), Accepted { not_owned: 1, below, ..BUFFERED });
    subject.seeked(&partition(0), 3);
    for offset in 3..5 {
        assert_eq!(deliver(&mut subject, 0, offset), Accepted { repeated: 1, ..BUFFERED });
    }
    assert_eq!(deliver(&mut subject, 0, 5), BUFFERED);
    assert!(deliver(&mut subject, 0, 3).below.is_some(), "the seek is over");
}

#[test]
fn a_partition_assigned_again_is_not_ended_by_its_late_revoke() {
    let mut subject = Subject::default();
    subject.assign(partition(0), None);
    deliver(&mut subject, 0, 0);
    let (flight, batch) = subject.take(limits(1), Choice::All).expect("a record waits");
    subject.revoke(&[partition(0)]);
    subject.assign(partition(0), None);
    assert!(
        subject.written(flight, batch.positions()).is_empty(),
        "the result belongs to the old epoch"
    );
    assert!(subject.release(&[partition(0)]).is_empty());
    assert_eq!(subject.owned().count(), 1);
}

#[test]
fn few_partitions_fill_a_batch_and_the_others_are_left_for_the_next() {
    let mut subject = Subject::default();
    for p in 0..3 {
        subject.assign(partition(p), None);
        for offset in 0..4 {
            // Of equal age: partition 0 goes first.
            deliver(&mut subject, p, offset);
        }
    }
    let take = |subject: &mut Subject| {
        subject.take(limits(4), Choice::Few).map(|(_, batch)| {
            let at: Vec<i32> = batch.positions().iter().map(|u| u.partition.partition).collect();
            (at, batch.len())
        })
    };
    assert_eq!(take(&mut subject), Some((vec![0], 4)));
    assert_eq!(take(&mut subject), Some((vec![1], 4)));
    deliver(&mut subject, 0, 4);
    assert_eq!(take(&mut subject), Some((vec![2], 4)));
    assert_eq!(take(&mut subject), None, "partition 0 is in flight");
}
