//! Dead letters in a Kafka topic as well as in the table: before the commit, at least
//! once, whatever happens to the broker or the consumer.

#[path = "support/broker.rs"]
mod broker;
#[path = "support/consumer.rs"]
mod consumer;
#[path = "support/kafka.rs"]
mod kafka;
#[path = "support/send.rs"]
mod send;
#[path = "support/store.rs"]
mod store;
mod support;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use consumer::consume;
use kafka::Kafka;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::message::{Headers as _, Message as _};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use send::{Sent, send};
use store::Store;
use support::{Process, tidegate};
use tidegate_kafka::Admin;

const LIMIT: Duration = Duration::from_secs(60);
const DEAD: &str = "t-dead";
/// No headers.
const NONE: &[(&str, &[u8])] = &[];
const TOPIC: &[&str] = &["--dead-letter-topic", DEAD];

/// A record of the topic of dead letters.
#[derive(Debug, Clone, PartialEq)]
struct Letter {
    key: Option<String>,
    payload: Option<Vec<u8>>,
    headers: BTreeMap<String, Vec<u8>>,
}

impl Letter {
    fn header(&self, name: &str) -> &str {
        let value = self.headers.get(name).map_or(&b"-"[..], Vec::as_slice);
        std::str::from_utf8(value).expect("utf-8")
    }

    /// Where its record was.
    fn place(&self) -> (i32, i64) {
        let number = |name: &str| self.header(name).parse::<i64>().expect(name);
        (number("tidegate.partition") as i32, number("tidegate.offset"))
    }
}

/// Everything in the topic now.
fn letters(kafka: &Kafka) -> Vec<Letter> {
    let reader: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", kafka.bootstrap())
        .set("group.id", "reader")
        .create()
        .expect("a consumer");
    let (_, end) = reader.fetch_watermarks(DEAD, 0, Duration::from_secs(20)).expect("end");
    let mut all = TopicPartitionList::new();
    all.add_partition_offset(DEAD, 0, Offset::Beginning).expect("partition");
    reader.assign(&all).expect("assigned");
    let deadline = Instant::now() + Duration::from_secs(30);
    let mut found = Vec::new();
    let mut next = 0;
    while next < end {
        assert!(Instant::now() < deadline, "{next} of {end} letters read");
        let Some(message) = reader.poll(Duration::from_millis(200)) else { continue };
        let message = message.expect("a record");
        next = message.offset() + 1;
        let headers = message.headers().into_iter().flat_map(|headers| headers.iter());
        found.push(Letter {
            key: message.key().map(|key| String::from_utf8_lossy(key).into_owned()),
            payload: message.payload().map(<[u8]>::to_vec),
            headers: headers
                .map(|header| (header.key.to_owned(), header.value.unwrap_or(b"-").to_vec()))
                .collect(),
        });
    }
    found
}

fn trade(id: &str, quantity: &str) -> Vec<u8> {
    format!(
        r#"{{"account_id":"ACC1","trade_id":"{id}","symbol":"AAPL","trade_type":"BUY","quantity":{quantity},"price":1.50,"timestamp":"2026-01-01T00:00:00.000Z"}}"#
    )
    .into_bytes()
}

/// Refuses a quantity of 13, when the table is there.
fn refuse_13(store: &Store) {
    let url = store.url();
    let create = tidegate().args(["table", "create", "--apply", "--database", &url]).output();
    assert!(create.expect("runs").status.success());
    store.sql(match store.is_postgres() {
        true => "ALTER TABLE trades ADD CONSTRAINT unlucky CHECK (quantity <> 13)",
        false => {
            "CREATE TRIGGER unlucky BEFORE INSERT ON trades WHEN NEW.quantity = 13 \
             BEGIN SELECT RAISE(ABORT, 'unlucky'); END"
        }
    });
}

fn world() -> (Kafka, tempfile::TempDir) {
    let kafka = Kafka::start();
    kafka.create_topic("t", 2);
    (kafka, tempfile::tempdir().expect("directory"))
}

#[test]
fn letters_go_to_the_topic_as_well_as_into_sqlite() {
    let (kafka, directory) = world();
    both_have_them(&kafka, &Store::sqlite(directory.path()), directory.path());
}

#[test]
fn letters_go_to_the_topic_as_well_as_into_postgres() {
    let (kafka, directory) = world();
    both_have_them(&kafka, &Store::postgres(), directory.path());
}

/// Hexadecimal digits that do not compress below half of their length.
fn noise(length: usize) -> String {
    let mut state = 1_u64;
    let digits = (0..length).map(|_| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        char::from_digit((state >> 60) as u32, 16).unwrap_or('0')
    });
    digits.collect()
}

fn both_have_them(kafka: &Kafka, store: &Store, directory: &Path) {
    refuse_13(store);
    create_letters_topic(kafka, &[("max.message.bytes", "20000")]);
    let header: &[(&str, &[u8])] = &[("trace", b"\x00\xff")];
    let large = format!("{{{}", noise(60_000)).into_bytes();
    let (good, refused) = (trade("TRD1", "1"), trade("TRD2", "13"));
    let records: [Sent<'_>; 5] = [
        ("a", Some(&good), &[]),
        ("a", Some(b"{"), header),
        ("b", Some(&refused), header),
        ("b", None, &[]),
        ("b", Some(&large), header),
    ];
    let places = send(&kafka.connection(), &records);
    let command = consume(&kafka.bootstrap(), &store.url(), TOPIC);
    let mut consumer = Process::start(command, directory, "consume");
    consumer.wait_until("a row and four letters", LIMIT, || {
        store.count("trades") == 1 && store.count("dead_letters") == 4
    });
    consumer.drain("TERM", LIMIT);

    let letters = letters(kafka);
    assert_eq!(letters.len(), 4, "{letters:?}");
    let of = |at: usize| {
        let found = letters.iter().find(|letter| letter.place() == places[at]);
        found.unwrap_or_else(|| panic!("record {at} is not in {letters:?}"))
    };
    for (at, code, reason) in [
        (1, "bad_json", "EOF"),
        (2, "rejected_by_database", "unlucky"),
        (3, "tombstone", "no payload"),
    ] {
        let (letter, (key, payload, headers)) = (of(at), records[at]);
        assert_eq!(letter.key.as_deref(), Some(key));
        assert_eq!(letter.payload.as_deref(), payload);
        assert_eq!(letter.header("tidegate.reason_code"), code);
        assert!(letter.header("tidegate.reason").contains(reason), "{letter:?}");
        assert_eq!(letter.header("tidegate.topic"), "t");
        assert_eq!(letter.header("tidegate.timestamp_ms"), "1767225600123");
        let trace = letter.headers.get("trace").map(Vec::as_slice);
        assert_eq!(trace, headers.first().map(|(_, value)| *value));
    }
    // Larger than the topic takes: what and where, and how long it was.
    let cut = of(4);
    assert_eq!((cut.key.as_deref(), cut.payload.as_ref()), (Some("b"), None));
    assert_eq!(cut.header("tidegate.left_out_bytes"), large.len().to_string());
    let kept = "SELECT length(payload) FROM dead_letters WHERE length(payload) > 20000";
    assert_eq!(store.sql(kept), large.len().to_string(), "the table has it whole");
}

fn create_letters_topic(kafka: &Kafka, settings: &[(&str, &str)]) {
    let admin = Admin::new(&kafka.connection()).expect("admin");
    admin.create_topic(DEAD, 1, 1, settings).expect("topic");
}

/// Nothing is read before the topic is there.
#[test]
fn a_missing_topic_is_said_at_the_start() {
    let (kafka, directory) = world();
    let store = Store::sqlite(directory.path());
    send(&kafka.connection(), &[("a", Some(&trade("TRD1", "1")), &[]), ("a", Some(b"{"), &[])]);
    let command = || consume(&kafka.bootstrap(), &store.url(), TOPIC);
    let mut refused = Process::start(command(), directory.path(), "missing");
    let code = refused.ended(LIMIT).code();
    let log = refused.log();
    assert_eq!(code, Some(1), "{log}");
    let last = log.lines().last().unwrap_or_default();
    for part in ["dead_letter_topic", DEAD, "no such topic", &kafka.bootstrap(), "create it"] {
        assert!(last.contains(part), "{part:?} is not in {last}");
    }
    assert_eq!(store.count("trades"), 0);

    create_letters_topic(&kafka, &[]);
    let mut consumer = Process::start(command(), directory.path(), "there");
    consumer.wait_until("a row and a letter", LIMIT, || {
        store.count("trades") == 1 && store.count("dead_letters") == 1
    });
    consumer.drain("TERM", LIMIT);
    assert_eq!(letters(&kafka).len(), 1);
}

/// The broker goes away with a batch in flight: nothing is committed without its
/// letters, and all of them are in both places in the end.
#[test]
fn a_killed_broker_holds_the_batch_back_in_sqlite() {
    let (mut kafka, directory) = world();
    broker_is_killed(&mut kafka, &Store::sqlite(directory.path()), directory.path());
}

#[test]
fn a_killed_broker_holds_the_batch_back_in_postgres() {
    let (mut kafka, directory) = world();
    broker_is_killed(&mut kafka, &Store::postgres(), directory.path());
}

fn broker_is_killed(kafka: &mut Kafka, store: &Store, directory: &Path) {
    refuse_13(store);
    create_letters_topic(kafka, &[]);
    let payloads: Vec<Vec<u8>> = (0..30)
        .map(|at| match at % 3 {
            0 => trade(&format!("TRD{at}"), "1"),
            1 => trade(&format!("TRD{at}"), "13"),
            _ => b"{".to_vec(),
        })
        .collect();
    let records: Vec<Sent<'_>> = payloads.iter().map(|p| ("a", Some(&p[..]), NONE)).collect();
    let places = send(&kafka.connection(), &records);
    // The write waits for this long: the broker is gone when it begins.
    let slow = ["--dead-letter-topic", DEAD, "--batch-processing-time", "6"];
    let command = consume(&kafka.bootstrap(), &store.url(), &slow);
    let mut consumer = Process::start(command, directory, "stop");
    let log = directory.join("stop.log");
    let says = |text: &str| std::fs::read_to_string(&log).unwrap_or_default().contains(text);
    consumer.wait_until("a batch in flight", LIMIT, || says("Processing batch of"));
    // At once: one that is asked to stop may take as long as the write waits.
    kafka.kill();
    consumer.wait_until("the topic is not reached", LIMIT, || {
        says("dead_letter_topic") && says("holding back")
    });
    assert_eq!((store.count("trades"), store.count("dead_letters")), (0, 0), "{}", consumer.log());
    kafka.start_again();
    consumer.wait_until("everything is stored", LIMIT, || {
        store.count("trades") == 10 && store.count("dead_letters") == 20
    });
    consumer.drain("TERM", LIMIT);

    let found = letters(kafka);
    for (at, place) in places.iter().enumerate() {
        let times = found.iter().filter(|letter| letter.place() == *place).count();
        match at % 3 {
            0 => assert_eq!(times, 0, "a good record"),
            _ => assert!(times >= 1, "record {at} is in the table and not in the topic"),
        }
    }
    let twice = "SELECT count(*) FROM (SELECT 1 FROM dead_letters \
                 GROUP BY kafka_partition, kafka_offset HAVING count(*) > 1) AS x";
    assert_eq!(store.sql(twice), "0");
}

/// Killed again and again while letters are written: the topic lacks none of the table's.
#[test]
fn a_killed_consumer_leaves_no_letter_in_the_table_alone() {
    let (kafka, directory) = world();
    let store = Store::postgres();
    refuse_13(&store);
    create_letters_topic(&kafka, &[]);
    let payloads: Vec<Vec<u8>> = (0..600)
        .map(|at| match at % 3 {
            0 => trade(&format!("TRD{at}"), "1"),
            1 => trade(&format!("TRD{at}"), "13"),
            _ => b"{".to_vec(),
        })
        .collect();
    let records: Vec<Sent<'_>> = payloads
        .iter()
        .enumerate()
        .map(|(at, payload)| (["a", "b", "c"][at % 3], Some(&payload[..]), NONE))
        .collect();
    send(&kafka.connection(), &records);
    // Static membership: who comes back has its partitions at once.
    let small = [
        "--dead-letter-topic",
        DEAD,
        "--batch-size",
        "20",
        "--batch-processing-time",
        "0.02",
        "--instance-id",
        "pod-0",
        "--protocol",
        "classic",
    ];
    let start = || {
        let command = consume(&kafka.bootstrap(), &store.url(), &small);
        Process::start(command, directory.path(), "kill")
    };
    for target in [60, 200, 340] {
        let mut consumer = start();
        consumer.wait_until("some letters", LIMIT, || store.count("dead_letters") >= target);
        drop(consumer);
    }
    let mut consumer = start();
    consumer.wait_until("everything is stored", LIMIT, || {
        store.count("trades") == 200 && store.count("dead_letters") == 400
    });
    consumer.drain("TERM", LIMIT);
    let in_topic: Vec<(i32, i64)> = letters(&kafka).iter().map(Letter::place).collect();
    let rows = store.sql("SELECT kafka_partition, kafka_offset FROM dead_letters");
    for row in rows.lines() {
        let (partition, offset) = row.split_once('|').expect("two columns");
        let place = (partition.parse().expect("number"), offset.parse().expect("number"));
        assert!(in_topic.contains(&place), "{place:?} is in the table alone");
    }
}

#[test]
fn a_topic_that_cannot_be_is_refused_in_one_line() {
    for (arguments, parts) in [
        (&["--topic", "x", "--dead-letter-topic", "x"][..], ["\"x\"", "another topic"]),
        (&["--dead-letter-topic", "a b"], ["\"a b\"", "1 to 249"]),
        (&["--database", "none", "--dead-letter-topic", "x"], ["\"x\"", "none"]),
    ] {
        let output = tidegate().arg("consume").args(arguments).output().expect("runs");
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{stderr}");
        assert_eq!(stderr.lines().count(), 1, "{stderr}");
        assert!(stderr.contains("dead_letter_topic"), "{stderr}");
        for part in parts {
            assert!(stderr.contains(part), "{part:?} is not in {stderr}");
        }
    }
}
