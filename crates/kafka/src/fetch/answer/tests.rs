//! A broker that fills answers by Kafka's rules, and what is read of it.

use std::collections::BTreeMap;
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use kafka_protocol::messages::fetch_response::FetchableTopicResponse;
use kafka_protocol::records::{
    Compression, Record, RecordBatchEncoder, RecordEncodeOptions, TimestampType,
};
use tokio::sync::mpsc::{Receiver, channel};

use super::*;
use crate::fetch::broker::{ANSWER_BYTES, partition_bytes};
use crate::fetch::partitions::{Backoff, Leader, Partitions};
use crate::group::Shared;
use crate::{GroupOptions, GroupProtocol};

const NODE: i32 = 1;
/// No log here ends.
const STABLE_OFFSET: i64 = 1 << 40;

/// A batch of one record.
fn batch(offset: i64, bytes: usize) -> Bytes {
    let record = Record {
        transactional: false,
        control: false,
        delete_horizon: false,
        partition_leader_epoch: 0,
        producer_id: -1,
        producer_epoch: 0,
        timestamp_type: TimestampType::Creation,
        offset,
        sequence: 0,
        timestamp: 1_000,
        key: None,
        value: Some(vec![b'x'; bytes].into()),
        headers: Default::default(),
    };
    let mut batch = BytesMut::new();
    let options = RecordEncodeOptions { version: 2, compression: Compression::None };
    RecordBatchEncoder::encode(&mut batch, &[record], &options).expect("encodes");
    batch.freeze()
}

struct World {
    inner: Inner,
    events: Receiver<GroupEvent>,
    decompressor: Decompressor,
    /// Bytes of each batch of a partition. Each is behind without end.
    batch_bytes: BTreeMap<i32, usize>,
    /// Tells nothing of its log's end.
    is_silent: bool,
    start: i32,
}

impl World {
    fn new(batch_bytes: impl IntoIterator<Item = (i32, usize)>) -> Self {
        let batch_bytes: BTreeMap<i32, usize> = batch_bytes.into_iter().collect();
        let backoff = Backoff { first: Duration::ZERO, most: Duration::ZERO };
        let mut partitions = Partitions::new(backoff);
        batch_bytes.keys().for_each(|partition| partitions.add(*partition, Some(0)));
        let leader = |partition: &i32| (*partition, Leader { node: NODE, epoch: 0 });
        let leaders = batch_bytes.keys().map(leader).collect();
        partitions.learn([(NODE, "a:1".to_owned())], leaders, Instant::now());
        let (sender, events) = channel(4_096);
        let options = GroupOptions::default();
        let state = State {
            partitions,
            threads: HashSet::new(),
            spare: None,
            trouble: String::new(),
            in_trouble: false,
            events: Some(sender),
            error: None,
        };
        let inner = Inner {
            member: Arc::new(Shared::new(GroupProtocol::Classic, &options)),
            options,
            state: Mutex::new(state),
            changed: Condvar::new(),
        };
        let decompressor = Decompressor::default();
        Self { inner, events, decompressor, batch_bytes, is_silent: false, start: 0 }
    }

    /// Whole batches in the order of the request, while they fit; of the first partition
    /// with data one that does not fit as well.
    fn answer(&self, asked: &[Asked]) -> FetchResponse {
        let most = partition_bytes(asked.len());
        let mut left = ANSWER_BYTES;
        let mut is_first = true;
        let mut partitions = Vec::new();
        for asked in asked {
            let mut records = BytesMut::new();
            if let Some(bytes) = self.batch_bytes.get(&asked.partition).filter(|_| left > 0) {
                let mut offset = asked.offset;
                loop {
                    let next = batch(offset, *bytes);
                    let comes_whole = is_first && records.is_empty();
                    if !comes_whole && records.len() + next.len() > most.min(left) {
                        break;
                    }
                    records.extend_from_slice(&next);
                    offset += 1;
                }
                is_first &= records.is_empty();
                left = left.saturating_sub(records.len());
            }
            let data = PartitionData::default()
                .with_partition_index(asked.partition)
                .with_last_stable_offset(if self.is_silent { -1 } else { STABLE_OFFSET })
                .with_records(Some(records.freeze()));
            partitions.push(data);
        }
        let topic = FetchableTopicResponse::default().with_partitions(partitions);
        FetchResponse::default().with_responses(vec![topic])
    }

    /// Asks once; the partitions that were read, in their order.
    fn ask(&mut self) -> Vec<i32> {
        let asked = self.inner.lock().partitions.ask(NODE, self.start, Instant::now());
        let answer = self.answer(&asked);
        let next = take(&self.inner, NODE, &asked, answer, &mut self.decompressor);
        self.start = next.unwrap_or(self.start);
        let mut read = Vec::new();
        while let Ok(event) = self.events.try_recv() {
            let GroupEvent::Records(records) = event else { panic!("{event:?}") };
            read.extend(records.map(|record| record.partition));
        }
        read.dedup();
        read
    }

    /// In how many of so many answers each partition was.
    fn answers(&mut self, requests: usize) -> BTreeMap<i32, usize> {
        let mut answers = self.batch_bytes.keys().map(|partition| (*partition, 0)).collect();
        for _ in 0..requests {
            for partition in self.ask() {
                *BTreeMap::entry(&mut answers, partition).or_default() += 1;
            }
        }
        answers
    }
}

#[test]
fn a_batch_larger_than_its_share_is_read_though_its_neighbours_are_behind() {
    let large = ANSWER_BYTES / 2;
    for middle in [vec![1], vec![1, 2], vec![1, 3], vec![2, 3, 4]] {
        let batch_bytes = (0..6).map(|at| (at, if middle.contains(&at) { large } else { 20_000 }));
        let answers = World::new(batch_bytes).answers(60);
        let least = answers.values().min();
        assert!(least >= Some(&10), "{middle:?} are large: {answers:?}");
    }
}

/// As of three partitions behind whose middle one has a head batch of 500 KB.
#[test]
fn of_three_partitions_each_has_its_turn() {
    let mut world = World::new([(0, 20_000), (1, 500_000), (2, 20_000)]);
    assert_eq!(world.ask(), [0, 2]);
    assert_eq!(world.ask(), [1, 2, 0]);
    let answers = world.answers(30);
    assert!(answers.values().all(|answers| *answers >= 10), "{answers:?}");
}

#[test]
fn of_a_thousand_partitions_each_is_read_once_before_any_is_read_again() {
    let mut world = World::new((0..1_000).map(|at| (at, 60_000)));
    let an_answer = world.ask().len();
    assert!(an_answer >= 8, "{an_answer}");
    let answers = world.answers(1_000 / an_answer - 1);
    assert!(answers.values().all(|answers| *answers <= 1), "{answers:?}");
    let answers = world.answers(1_000usize.div_ceil(an_answer));
    assert!(answers.values().all(|answers| (1..=2).contains(answers)), "{answers:?}");
}

#[test]
fn a_broker_that_tells_no_end_is_asked_behind_what_was_read() {
    let mut world = World::new((0..100).map(|at| (at, 60_000)));
    world.is_silent = true;
    let answers = world.answers(13);
    assert!(answers.values().all(|answers| (1..=2).contains(answers)), "{answers:?}");
}

/// A partition whose records never come does not keep the others from their turns.
#[test]
fn the_start_moves_on_from_a_partition_that_is_never_read() {
    let mut world = World::new((0..100).map(|at| (at, 60_000)));
    world.batch_bytes.remove(&50);
    let answers = world.answers(40);
    assert!(answers.values().all(|answers| *answers >= 2), "{answers:?}");
}
