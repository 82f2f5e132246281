//! The examples of the library on a real broker, as its rustdoc says that they run; each is
//! killed and started again, or told to stop by Ctrl-C.

#[path = "support/broker.rs"]
mod broker;
#[path = "support/http_request.rs"]
mod http_request;
#[path = "support/send.rs"]
mod send;
mod support;

use std::collections::BTreeMap;
use std::io::Write as _;
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use broker::TestBroker;
use send::{Sent, send};
use serde_json::Value;
use support::{Process, wait_for};
use tidegate_kafka::{Admin, ConnectionOptions, LagReader};

const LIMIT: Duration = Duration::from_secs(60);

/// A broker whose dead members are soon forgotten, with the topic `t`.
struct Kafka(TestBroker);

impl Kafka {
    fn connection(&self) -> ConnectionOptions {
        ConnectionOptions::new(self.0.bootstrap())
    }
}

fn world() -> (Kafka, tempfile::TempDir) {
    let kafka = Kafka(TestBroker::plain());
    let admin = Admin::new(&kafka.connection()).expect("admin");
    // The records are of a day in the past.
    admin.create_topic("t", 2, 1, &[("retention.ms", "-1")]).expect("topic");
    (kafka, tempfile::tempdir().expect("directory"))
}

/// Starts an example with a broker, the topic and what is its own.
fn start(kafka: &Kafka, directory: &Path, name: &str, own: &[&str]) -> Process {
    let tests = std::env::current_exe().expect("this test's path");
    let profile = tests.parent().and_then(Path::parent).expect("deps, in the profile's directory");
    let path = profile.join("examples").join(name);
    assert!(path.exists(), "{}: cargo build --workspace --examples makes it", path.display());
    let mut command = Command::new(path);
    command.args([kafka.0.bootstrap(), "t"]).args(own).env("NO_COLOR", "1");
    Process::start(command, directory, name)
}

fn send_payloads(kafka: &Kafka, payloads: &[String]) -> Vec<(i32, i64)> {
    let records: Vec<Sent<'_>> =
        payloads.iter().map(|payload| ("a", Some(payload.as_bytes()), &[][..])).collect();
    send(&kafka.connection(), &records)
}

fn is_read(kafka: &Kafka, group: &str) -> Option<()> {
    let offsets = LagReader::new(&kafka.connection(), group, "t").ok()?.read().ok()?;
    let lag: i64 = offsets.iter().map(tidegate_kafka::PartitionOffsets::lag_records).sum();
    (lag == 0).then_some(())
}

#[test]
fn own_sink_stores_each_trade_once_whoever_kills_it() {
    let (kafka, directory) = world();
    let path = directory.path().join("out.jsonl");
    let file = path.to_str().expect("utf-8");
    let stored = || -> Vec<String> {
        let text = std::fs::read_to_string(&path).unwrap_or_default();
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        let of = |line: &str| -> Value { serde_json::from_str(line).expect("JSON") };
        let trades = whole.lines().flat_map(|line| of(line)["trades"].as_array().cloned());
        trades.flatten().filter_map(|id| id.as_str().map(str::to_owned)).collect()
    };
    let trade = |at: usize| {
        format!(
            r#"{{"account_id":"ACC1","trade_id":"TRD{at}","symbol":"AAPL","trade_type":"BUY","quantity":1,"price":1.50,"timestamp":"2026-01-01T00:00:00.000Z"}}"#
        )
    };
    for round in 0..3 {
        send_payloads(&kafka, &(round * 50..(round + 1) * 50).map(trade).collect::<Vec<_>>());
        let mut example = start(&kafka, directory.path(), "own_sink", &[file]);
        let all = || stored().len() >= (round + 1) * 50;
        example.wait_until("this round's trades", LIMIT, all);
        match round {
            2 => drop(example.drain("INT", LIMIT)),
            _ => drop(example), // kill -9
        }
    }
    assert_eq!(stored(), (0..150).map(|at| format!("TRD{at}")).collect::<Vec<_>>());
}

/// What a service was told, by name.
type Payments = Arc<Mutex<BTreeMap<String, Vec<u8>>>>;

/// A service that has no time at first; its address.
fn service() -> (String, Payments) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("listens");
    let address = listener.local_addr().expect("address").to_string();
    let told = Payments::default();
    let payments = Arc::clone(&told);
    std::thread::spawn(move || {
        for (number, stream) in listener.incoming().flatten().enumerate() {
            let payments = Arc::clone(&payments);
            std::thread::spawn(move || serve(stream, number < 2, &payments));
        }
    });
    (address, told)
}

fn serve(mut stream: TcpStream, is_busy: bool, payments: &Payments) {
    while let Ok((request, body)) = http_request::read(&stream) {
        let Some(name) = request.strip_prefix("PUT /payments/") else { return };
        let name = name.split(' ').next().unwrap_or_default().to_owned();
        let status = if is_busy { "503 Service Unavailable" } else { "201 Created" };
        if !is_busy {
            payments.lock().expect("lock").insert(name, body);
        }
        let answer = format!("HTTP/1.1 {status}\r\nContent-Length: 2\r\n\r\nok");
        if stream.write_all(answer.as_bytes()).is_err() {
            return;
        }
    }
}

#[test]
fn own_handler_tells_a_busy_service_every_payment_under_its_place() {
    let (kafka, directory) = world();
    let (address, told) = service();
    let payload = |at: usize| format!(r#"{{"payer":"ann","cents":{at}}}"#);
    let payloads: Vec<String> = (0..100).map(payload).collect();
    let mut places = send_payloads(&kafka, &payloads[..60]);
    let mut example = start(&kafka, directory.path(), "own_handler", &[&address]);
    let count = || told.lock().expect("lock").len();
    example.wait_until("sixty payments", LIMIT, || count() == 60);
    drop(example); // kill -9: what was not committed comes again, under its name.
    places.extend(send_payloads(&kafka, &payloads[60..]));
    let mut example = start(&kafka, directory.path(), "own_handler", &[&address]);
    example.wait_until("all payments", LIMIT, || count() == 100);
    wait_for("the offsets follow", LIMIT, || is_read(&kafka, "payments-to-service"));
    example.drain("INT", LIMIT);
    let told = told.lock().expect("lock");
    for ((partition, offset), payload) in places.iter().zip(&payloads) {
        let body = &told[&format!("t-{partition}-{offset}")];
        assert_eq!(body, payload.as_bytes(), "{partition}/{offset}");
    }
}

#[test]
fn own_record_adds_up_tells_what_is_none_and_shows_the_metrics() {
    let (kafka, directory) = world();
    let payloads = [r#"{"payer":"ann","cents":250}"#, "{", r#"{"payer":"ann","cents":"1"}"#]
        .into_iter()
        .chain([r#"{"payer":"bob","cents":1}"#, r#"{"payer":"ann","cents":50}"#]);
    send_payloads(&kafka, &payloads.map(str::to_owned).collect::<Vec<_>>());
    let example = start(&kafka, directory.path(), "own_record", &[]);
    wait_for("all is read", LIMIT, || is_read(&kafka, "payment-totals"));
    example.drain("INT", LIMIT);
    let said = std::fs::read_to_string(directory.path().join("own_record.out")).expect("said");
    for part in [
        r#"totals={"ann": 300, "bob": 1}"#,
        "offset=1 why=bad_json: EOF",
        "offset=2 why=bad_field: invalid type",
        "kafka_messages_processed_total{status=\"success\"} 3",
        "kafka_messages_processed_total{status=\"error\"} 2",
    ] {
        assert!(said.contains(part), "{part} is not in\n{said}");
    }
}
