//! Reading a real broker's log: every compression, transactions that were given up, a log
//! that begins late, groups without a position.

#[path = "support/broker.rs"]
mod broker;
#[path = "support/kafka.rs"]
mod kafka;
mod support;

use std::time::{Duration, Instant};

use kafka::Kafka;
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions};
use rdkafka::client::DefaultClientContext;
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};
use rdkafka::{Offset, TopicPartitionList};
use support::wait_for;
use tidegate_kafka::{
    Admin, GroupConsumer, GroupEvent, GroupHandle, GroupOptions, Record, StartPosition,
};
use tokio::sync::mpsc::Receiver;

const LIMIT: Duration = Duration::from_secs(30);

fn producer(kafka: &Kafka, settings: &[(&str, &str)]) -> BaseProducer {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", kafka.bootstrap()).set("linger.ms", "50");
    for (key, value) in settings {
        config.set(*key, *value);
    }
    config.create().expect("producer")
}

fn payload(codec: &str, number: i32) -> String {
    format!("{codec} {number} {}", "and the same again ".repeat(20))
}

/// A member of a group of its own.
struct Reader {
    handle: GroupHandle,
    events: Receiver<GroupEvent>,
}

impl Reader {
    fn join(kafka: &Kafka, topic: &str, group: &str) -> Self {
        Self::join_with(kafka, topic, group, GroupOptions::default())
    }

    fn join_with(kafka: &Kafka, topic: &str, group: &str, options: GroupOptions) -> Self {
        let options = GroupOptions {
            connection: kafka.connection(),
            group: group.into(),
            topic: topic.into(),
            ..options
        };
        let (handle, events) = GroupConsumer::spawn(options).expect("joins");
        Self { handle, events }
    }

    /// The next so many records; partitions start where `start` says.
    fn read(&mut self, count: usize, start: Option<i64>) -> Vec<Record> {
        let mut records = Vec::new();
        while records.len() < count {
            match self.events.blocking_recv() {
                Some(GroupEvent::Assign { partitions, reply }) => reply.send(
                    partitions
                        .into_iter()
                        .map(|partition| StartPosition { partition, next_offset: start })
                        .collect(),
                ),
                Some(GroupEvent::Records(told)) => records.extend(told),
                other => panic!("{other:?}"),
            }
        }
        self.handle.release(records.len());
        records
    }
}

fn offsets(records: &[Record]) -> Vec<i64> {
    records.iter().map(|record| record.offset).collect()
}

#[test]
fn every_compression_and_header_is_read_as_it_was_written() {
    let kafka = Kafka::start();
    kafka.create_topic("codecs", 1);
    let codecs = ["none", "gzip", "snappy", "lz4", "zstd"];
    for codec in codecs {
        let producer = producer(&kafka, &[("compression.codec", codec)]);
        for number in 0..100 {
            let text = payload(codec, number);
            let headers = OwnedHeaders::new()
                .insert(Header { key: "n", value: Some(&number.to_string()) })
                .insert(Header::<&str> { key: "null", value: None });
            let record = BaseRecord::to("codecs").key(codec).payload(&text).headers(headers);
            producer.send(record.timestamp(1_000 + i64::from(number))).expect("queued");
        }
        producer.flush(LIMIT).expect("acknowledged");
    }
    let records = Reader::join(&kafka, "codecs", "all").read(500, Some(0));
    assert_eq!(offsets(&records), (0..500).collect::<Vec<_>>());
    for (codec, records) in codecs.iter().zip(records.chunks(100)) {
        for (number, record) in (0..).zip(records) {
            assert_eq!(record.key.as_deref(), Some(codec.as_bytes()));
            assert_eq!(record.payload.as_deref(), Some(payload(codec, number).as_bytes()));
            assert_eq!(record.timestamp_ms, Some(1_000 + i64::from(number)));
            let headers: Vec<_> = record.headers.iter().collect();
            assert_eq!((&*headers[0].key, &*headers[1].key), ("n", "null"));
            assert_eq!(headers[0].value.as_deref(), Some(number.to_string().as_bytes()));
            assert_eq!(headers[1].value, None);
        }
    }
}

/// Seven of eight partitions are empty, so no answer has as many bytes as are waited for.
#[test]
fn the_backlog_of_one_partition_does_not_wait_for_bytes_of_the_others() {
    const RECORDS: usize = 200;
    let kafka = Kafka::start();
    let topic = "one-of-eight";
    kafka.create_topic(topic, 8);
    let producer = producer(&kafka, &[("batch.size", "65536")]);
    let payload = vec![b'x'; 20_000];
    for _ in 0..RECORDS {
        let record: BaseRecord<'_, (), _> = BaseRecord::to(topic).partition(3).payload(&payload);
        producer.send(record).expect("sent");
    }
    producer.flush(LIMIT).expect("flushed");

    let wait = Duration::from_secs(30);
    let options = GroupOptions {
        fetch_min_bytes: 1 << 20,
        fetch_wait_max_ms: wait.as_millis() as u64,
        ..GroupOptions::default()
    };
    let started = Instant::now();
    let mut reader = Reader::join_with(&kafka, topic, "one-of-eight", options);
    // The last ones are less than an answer.
    let mut records = Vec::new();
    while records.len() < RECORDS - 14 {
        records.extend(reader.read(1, Some(0)));
        assert!(started.elapsed() < wait, "{} of {RECORDS}", records.len());
    }
    assert_eq!(offsets(&records), (0..records.len() as i64).collect::<Vec<_>>());
}

#[test]
fn a_transaction_that_was_given_up_is_not_read() {
    let kafka = Kafka::start();
    kafka.create_topic("transacted", 1);
    let producer = producer(&kafka, &[("transactional.id", "test")]);
    producer.init_transactions(LIMIT).expect("transactions");
    let plain = self::producer(&kafka, &[]);
    let send = |producer: &BaseProducer, text: &str| {
        for _ in 0..3 {
            let record = BaseRecord::to("transacted").key("k").payload(text);
            producer.send(record).expect("queued");
        }
        producer.flush(LIMIT).expect("acknowledged");
    };
    for round in 0..4 {
        producer.begin_transaction().expect("begins");
        send(&producer, if round % 2 == 0 { "kept" } else { "given up" });
        send(&plain, "beside");
        let ended = if round % 2 == 0 {
            producer.commit_transaction(LIMIT)
        } else {
            producer.abort_transaction(LIMIT)
        };
        ended.expect("ends");
    }
    send(&plain, "last");
    let records = Reader::join(&kafka, "transacted", "all").read(21, Some(0));
    let texts: Vec<_> = records.iter().filter_map(|record| record.payload.as_deref()).collect();
    let count = |text: &str| texts.iter().filter(|of| **of == text.as_bytes()).count();
    assert_eq!([count("kept"), count("given up"), count("beside"), count("last")], [6, 0, 12, 3]);
    assert!(records.is_sorted_by_key(|record| record.offset));
}

#[test]
fn without_a_position_the_groups_counts_and_a_log_that_begins_late_is_read_from_there() {
    let kafka = Kafka::start();
    kafka.create_topic("late", 1);
    let producer = producer(&kafka, &[]);
    let send = |count: usize| {
        for _ in 0..count {
            producer.send(BaseRecord::to("late").key("k").payload("v")).expect("queued");
        }
        producer.flush(LIMIT).expect("acknowledged");
    };
    send(10);
    let admin = Admin::new(&kafka.connection()).expect("admin");
    admin.pin_start_offsets("pinned", "late").expect("pinned");
    // A group that never was begins with the log; one that is pinned where it was pinned.
    let mut fresh = Reader::join(&kafka, "late", "fresh");
    assert_eq!(offsets(&fresh.read(10, None)), (0..10).collect::<Vec<_>>());
    let mut pinned = Reader::join(&kafka, "late", "pinned");
    let pinned_from = pinned.read(10, None)[0].offset;
    assert_eq!(pinned_from, 0, "pinned at the start of the log");

    delete_before(&kafka, 7);
    let mut expired = Reader::join(&kafka, "late", "expired");
    assert_eq!(offsets(&expired.read(3, Some(2))), [7, 8, 9], "2 is not in the log any more");
    send(2);
    assert_eq!(offsets(&expired.read(2, None)), [10, 11]);
    assert_eq!(offsets(&fresh.read(2, None)), [10, 11]);
}

/// A member that is in its group and reads nothing looks as if its topic were empty.
#[test]
fn a_member_says_that_it_cannot_read_until_it_can() {
    let mut kafka = Kafka::start();
    kafka.create_topic("away", 2);
    let send = |kafka: &Kafka| {
        let producer = producer(kafka, &[]);
        producer.send(BaseRecord::to("away").key("k").payload("v")).expect("queued");
        producer.flush(LIMIT).expect("acknowledged");
    };
    send(&kafka);
    let mut reader = Reader::join(&kafka, "away", "g");
    reader.read(1, None);
    let unread = |reader: &Reader| reader.handle.status().unread;
    assert_eq!(unread(&reader), None);
    kafka.stop();
    let said = wait_for("it says so", LIMIT, || unread(&reader));
    assert!(
        said.starts_with("2 partitions are not read: ") && said.contains("127.0.0.1"),
        "{said}"
    );
    kafka.start_again();
    wait_for("it reads again", LIMIT, || unread(&reader).is_none().then_some(()));
    send(&kafka);
    assert_eq!(reader.read(1, None).len(), 1);
}

fn delete_before(kafka: &Kafka, offset: i64) {
    let mut config = ClientConfig::new();
    let admin: AdminClient<DefaultClientContext> =
        config.set("bootstrap.servers", kafka.bootstrap()).create().expect("admin");
    let mut list = TopicPartitionList::new();
    list.add_partition_offset("late", 0, Offset::Offset(offset)).expect("offset");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime
        .expect("runtime")
        .block_on(admin.delete_records(&list, &AdminOptions::new()))
        .expect("deleted");
}
