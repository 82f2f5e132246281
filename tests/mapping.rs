//! `tidegate consume --mapping` from a real broker into both databases, and the audit
//! of such a table.

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

use std::path::{Path, PathBuf};
use std::time::Duration;

use consumer::consume;
use kafka::Kafka;
use send::{Sent, send};
use serde_json::Value;
use store::Store;
use support::{Process, tidegate};

const LIMIT: Duration = Duration::from_secs(60);

/// A column of each type, and everything that Kafka says.
const ORDERS: &str = r#"
table = "orders"
unknown_fields = "ignore"
columns = [
  { name = "order_id", type = "uuid", from = "/order/id" },
  { name = "customer", type = "text", non_empty = true },
  { name = "status", type = "text", allowed = ["OPEN", "PAID"], default = "OPEN" },
  { name = "lines", type = "integer" },
  { name = "cents", type = "bigint", accept_text = true },
  { name = "total", type = "numeric" },
  { name = "weight", type = "double", nullable = true },
  { name = "gift", type = "boolean", default = false },
  { name = "placed_at", type = "timestamptz" },
  { name = "seen_at", type = "timestamptz", epoch = "ms" },
  { name = "due", type = "date", nullable = true },
  { name = "first_item", type = "text", from = "/items/0/name", nullable = true },
  { name = "signature", type = "bytea", encoding = "hex", nullable = true },
  { name = "document", type = "jsonb", from = "/extra", nullable = true },
]
[record]
topic = "kafka_topic"
partition = "kafka_partition"
offset = "kafka_offset"
timestamp = "record_time"
key_text = "kafka_key"
headers = "kafka_headers"
committed_at = "written_at"
"#;

const FULL: &str = r#"{"order":{"id":"6f1c1b52-0000-4000-8000-000000000001"},"customer":"Ada",
 "status":"PAID","lines":2,"cents":"9007199254740993","total":12345678901234567890.10,
 "weight":0.5,"gift":true,"placed_at":"2026-01-31T12:00:00+02:00","seen_at":1767225600123,
 "due":"2026-02-28","items":[{"name":"pen"},{"name":"ink"}],"signature":"00ff",
 "extra":{"k":[1,null]},"nobody":"asks"}"#;

fn with(from: &str, to: &str) -> Vec<u8> {
    assert!(FULL.contains(from), "{from}");
    FULL.replace(from, to).into_bytes()
}

fn written(directory: &Path, name: &str, text: &str) -> PathBuf {
    let path = directory.join(name);
    std::fs::write(&path, text).expect("file");
    path
}

/// Runs a command to its end: exit code, stdout, stderr.
fn run(arguments: &[&str]) -> (Option<i32>, String, String) {
    let output = tidegate().args(arguments).output().expect("tidegate runs");
    let text = |bytes| String::from_utf8(bytes).expect("utf-8");
    (output.status.code(), text(output.stdout), text(output.stderr))
}

#[test]
fn every_type_and_what_kafka_says_arrive_in_sqlite() {
    let directory = tempfile::tempdir().expect("directory");
    orders_arrive(&Store::sqlite(directory.path()), directory.path());
}

#[test]
fn every_type_and_what_kafka_says_arrive_in_postgres() {
    let directory = tempfile::tempdir().expect("directory");
    orders_arrive(&Store::postgres(), directory.path());
}

fn orders_arrive(store: &Store, directory: &Path) {
    let mapping = written(directory, "orders.toml", ORDERS);
    let (mapping, url) = (mapping.to_str().expect("utf-8"), store.url());
    let create = ["table", "create", "--mapping", mapping, "--database", &url, "--apply"];
    assert_eq!(run(&create).0, Some(0), "{:?}", run(&create));
    store.sql(match store.is_postgres() {
        true => "ALTER TABLE orders ADD CONSTRAINT few CHECK (lines < 100)",
        false => {
            "CREATE TRIGGER few BEFORE INSERT ON orders WHEN NEW.lines >= 100 \
             BEGIN SELECT RAISE(ABORT, 'few lines only'); END"
        }
    });
    let kafka = Kafka::start();
    kafka.create_topic("t", 2);
    // The key decides the partition: "a" and "b" of two partitions are told by the answer.
    let header: &[(&str, &[u8])] = &[("trace", b"\x00\xff")];
    let minimal = br#"{"order":{"id":"6f1c1b5200004000800000000000000a"},"customer":"Bob",
        "lines":1,"cents":-5,"total":-0.00,"placed_at":"2026-01-31T12:00:00Z","seen_at":0}"#;
    let bad = [
        (with("\"lines\":2,", ""), "bad_field", "lines is missing"),
        (with("\"Ada\"", "\"\""), "bad_value", "customer is empty"),
        (with("PAID", "LOST"), "bad_value", "allowed is OPEN, PAID"),
        (with("12345678901234567890.10", "1e3"), "bad_value", "without exponent"),
        (with("2026-02-28", "2026-02-30"), "bad_value", "due is \"2026-02-30\""),
        (with("{\"order\":", "{\"Order\":"), "bad_field", "order/id is missing"),
        (b"{\"order\":".to_vec(), "bad_json", "EOF"),
        (with("\"Ada\"", "\"A\\u0000\""), "nul_character", "customer"),
        (with("\"lines\":2", "\"lines\":100"), "rejected_by_database", "few"),
    ];
    let good: [Sent<'_>; 2] = [("a", Some(FULL.as_bytes()), header), ("b", Some(minimal), &[])];
    let mut records = good.to_vec();
    records.extend(bad.iter().map(|(payload, ..)| ("a", Some(&payload[..]), header)));
    records.push(("b", None, &[]));
    let places = send(&kafka.connection(), &records);

    let arguments = ["--mapping", mapping];
    let command = || consume(&kafka.bootstrap(), &url, &arguments);
    let mut consumer = Process::start(command(), directory, "consume");
    consumer.wait_until("rows and dead letters", LIMIT, || {
        store.count("orders") == 2 && store.count("dead_letters") == bad.len() as u64 + 1
    });
    consumer.drain("TERM", LIMIT);
    check_rows(store, &places);
    check_letters(&url, &bad, &places);
    check_drift(store, directory, &kafka, command);
}

fn check_rows(store: &Store, places: &[(i32, i64)]) {
    let text = |column: &str| match (store.is_postgres(), column) {
        (true, "placed_at" | "seen_at" | "record_time") => {
            format!("to_char({column} AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"')")
        }
        (true, "document" | "kafka_headers") => format!("replace({column}::text, ' ', '')"),
        (true, "gift") => "gift::int".into(),
        _ => column.into(),
    };
    let columns = [
        "order_id",
        "customer",
        "status",
        "lines",
        "cents",
        "total",
        "weight",
        "gift",
        "placed_at",
        "seen_at",
        "due",
        "first_item",
        "signature",
        "document",
        "kafka_topic",
        "kafka_partition",
        "kafka_offset",
        "record_time",
        "kafka_key",
        "kafka_headers",
    ];
    let select = columns.map(text).join(", ");
    let rows = store.sql(&format!("SELECT {select} FROM orders ORDER BY customer"));
    let rows: Vec<Vec<&str>> = rows.lines().map(|row| row.split('|').collect()).collect();
    let place = |at: usize| (places[at].0.to_string(), places[at].1.to_string());
    let ((a, a_offset), (b, b_offset)) = (place(0), place(1));
    // SQLite keeps a time as it was sent.
    let placed = match store.is_postgres() {
        true => {
            ["2026-01-31T10:00:00.000Z", "2026-01-31T12:00:00.000Z", "1970-01-01T00:00:00.000Z"]
        }
        false => ["2026-01-31T12:00:00+02:00", "2026-01-31T12:00:00Z", "1970-01-01T00:00:00Z"],
    };
    let short_id = match store.is_postgres() {
        true => "6f1c1b52-0000-4000-8000-00000000000a",
        false => "6f1c1b5200004000800000000000000a",
    };
    let time = "2026-01-01T00:00:00.123Z";
    let ada = [
        "6f1c1b52-0000-4000-8000-000000000001",
        "Ada",
        "PAID",
        "2",
        "9007199254740993",
        "12345678901234567890.10",
        "0.5",
        "1",
        placed[0],
        time,
        "2026-02-28",
        "pen",
        "\\x00ff",
        "{\"k\":[1,null]}",
        "t",
        &a,
        &a_offset,
        time,
        "a",
        "[{\"key\":\"trace\",\"value\":\"AP8=\"}]",
    ];
    let total = if store.is_postgres() { "0.00" } else { "-0.00" };
    let bob = [
        short_id, "Bob", "OPEN", "1", "-5", total, "", "0", placed[1], placed[2], "", "", "", "",
        "t", &b, &b_offset, time, "b", "[]",
    ];
    assert_eq!(rows, [ada.to_vec(), bob.to_vec()]);
    let late = "SELECT count(*) FROM orders WHERE written_at IS NULL OR written_at < record_time";
    assert_eq!(store.sql(late), "0");
}

fn check_letters(url: &str, bad: &[(Vec<u8>, &str, &str)], places: &[(i32, i64)]) {
    let (code, stdout, stderr) = run(&["dead-letters", "list", "--json", "--database", url]);
    assert_eq!(code, Some(0), "{stderr}");
    let letters: Vec<Value> =
        stdout.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(letters.len(), bad.len() + 1, "{stdout}");
    let of = |place: (i32, i64)| {
        let is_it = |letter: &&Value| {
            letter["partition"] == place.0 && letter["offset"] == place.1 && letter["topic"] == "t"
        };
        letters.iter().find(is_it).unwrap_or_else(|| panic!("no letter of {place:?}: {stdout}"))
    };
    for (at, (payload, code, reason)) in bad.iter().enumerate() {
        let letter = of(places[at + 2]);
        let said = letter["reason"].as_str().expect("a reason");
        assert_eq!(letter["reason_code"], *code, "{letter}");
        assert!(said.contains(reason), "{reason:?} is not in {said:?}");
        let sent = std::str::from_utf8(payload).expect("utf-8");
        assert_eq!(letter["payload"]["text"], sent, "{letter}");
        assert_eq!(letter["key"]["text"], "a");
        assert_eq!(letter["headers"][0][1]["base64"], "AP8=", "{letter}");
    }
    let tombstone = of(places[bad.len() + 2]);
    assert_eq!(
        (&tombstone["reason_code"], &tombstone["payload"]),
        (&"tombstone".into(), &Value::Null)
    );
}

/// A table that lost a column is refused before anything is read.
fn check_drift(
    store: &Store,
    directory: &Path,
    kafka: &Kafka,
    command: impl Fn() -> std::process::Command,
) {
    let positions = "SELECT kafka_partition, next_offset, owner FROM positions ORDER BY 1";
    let before = (store.sql(positions), store.count("orders"), store.count("dead_letters"));
    store.sql("ALTER TABLE orders DROP COLUMN weight");
    send(&kafka.connection(), &[("a", Some(FULL.as_bytes()), &[]), ("b", Some(b"{"), &[])]);
    let mut refused = Process::start(command(), directory, "drift");
    let code = refused.ended(LIMIT).code();
    let log = refused.log();
    assert_eq!(code, Some(1), "{log}");
    let last = log.lines().last().unwrap_or_default();
    assert!(last.contains("weight") && last.contains("missing"), "{log}");
    let after = (store.sql(positions), store.count("orders"), store.count("dead_letters"));
    assert_eq!(before, after, "nothing was read");
    // The column is back: what waited is stored.
    store.sql(match store.is_postgres() {
        true => "ALTER TABLE orders ADD COLUMN weight double precision",
        false => "ALTER TABLE orders ADD COLUMN weight REAL",
    });
    let mut consumer = Process::start(command(), directory, "again");
    consumer.wait_until("what waited", LIMIT, || {
        (store.count("orders"), store.count("dead_letters")) == (before.1 + 1, before.2 + 1)
    });
    consumer.drain("TERM", LIMIT);
}

const TRADES: &str = r#"
table = "deals"
unknown_fields = "ignore"
columns = [
  { name = "who", type = "text", from = "/account_id" },
  { name = "paid", type = "numeric", from = "/price" },
  { name = "shares", type = "integer", from = "/quantity" },
]
[record]
partition = "part"
offset = "place"
key_text = "account"
committed_at = "written_at"
"#;

#[test]
fn a_mapped_table_is_audited_in_sqlite() {
    let directory = tempfile::tempdir().expect("directory");
    audit_finds(&Store::sqlite(directory.path()), directory.path());
}

#[test]
fn a_mapped_table_is_audited_in_postgres() {
    let directory = tempfile::tempdir().expect("directory");
    audit_finds(&Store::postgres(), directory.path());
}

/// Appended, then upserted by account; each time complete, and with a row less.
fn audit_finds(store: &Store, directory: &Path) {
    let kafka = Kafka::start();
    kafka.create_topic("t", 4);
    let profile = "seed = 3\nkeys = 40\npoison_per_million = 30000\n\
        phases = [{ kind = \"step\", rate_per_s = 1000.0, duration_s = 3.0 }]";
    let profile = written(directory, "poison.toml", profile);
    let ledger = directory.join("ledger");
    let ledger = ledger.to_str().expect("utf-8");
    let bootstrap = kafka.bootstrap();
    let produced = run(&[
        "produce",
        "--brokers",
        &bootstrap,
        "--topic",
        "t",
        "--metrics-addr",
        "off",
        "--profile",
        profile.to_str().expect("utf-8"),
        "--ledger",
        ledger,
    ]);
    assert_eq!(produced.0, Some(0), "{}", produced.2);

    let upsert = "mode = \"upsert\"\nkey = [\"account\"]\n";
    for (name, text, group) in [
        ("append.toml", TRADES.to_owned(), "append"),
        ("upsert.toml", format!("{upsert}{}", TRADES.replace("deals", "accounts")), "upsert"),
    ] {
        let mapping = written(directory, name, &text);
        let mapping = mapping.to_str().expect("utf-8");
        let arguments = ["--mapping", mapping, "--group", group];
        let url = store.url();
        let audit = || {
            let run = run(&[
                "audit",
                "--json",
                "--ledger",
                ledger,
                "--database",
                &url,
                "--mapping",
                mapping,
            ]);
            let report: Value = serde_json::from_str(&run.1).unwrap_or_else(|_| run.2.into());
            (run.0, report)
        };
        let mut command = tidegate();
        command
            .args(["consume", "--brokers", &bootstrap, "--topic", "t", "--metrics-addr", "off"])
            .args(["--database", &url])
            .args(arguments);
        let mut consumer = Process::start(command, directory, group);
        consumer.wait_until("everything is stored", LIMIT, || {
            let (_, report) = audit();
            report["pending"] == 0
        });
        consumer.drain("TERM", LIMIT);
        let (code, report) = audit();
        assert_eq!(code, Some(0), "{group}: {report}");
        assert_eq!((&report["lost"], &report["duplicated"]), (&0.into(), &0.into()));
        assert_eq!(report["order_checked"], true);
        assert!(report["dead_lettered"].as_u64() > Some(20), "{report}");
        assert!(report["age_ms"]["max"].as_i64() >= Some(0), "{report}");
        let number = |field: &str| report[field].as_u64().unwrap_or_default();
        let all = number("stored") + number("replaced") + number("dead_lettered");
        assert_eq!(all, number("sent"), "{report}");
        assert_eq!(number("replaced") > 0, group == "upsert", "{report}");
        let table = if group == "upsert" { "accounts" } else { "deals" };
        store.sql(&format!("DELETE FROM {table} WHERE place = (SELECT max(place) FROM {table})"));
        let (code, report) = audit();
        assert_eq!(code, Some(3), "{report}");
        assert!(report["lost"].as_u64() >= Some(1), "{report}");
        // The next group has dead letters of its own.
        store.sql("DELETE FROM dead_letters");
        store.sql("DELETE FROM positions");
    }
    let blind = written(directory, "blind.toml", &TRADES.replace("offset = \"place\"\n", ""));
    let (code, _, stderr) = run(&[
        "audit",
        "--ledger",
        ledger,
        "--database",
        &store.url(),
        "--mapping",
        blind.to_str().expect("utf-8"),
    ]);
    assert_eq!((code, stderr.lines().count()), (Some(2), 1), "{stderr}");
    for part in ["--mapping", "blind.toml", "partition and offset", "/trade_id"] {
        assert!(stderr.contains(part), "{part:?} is not in {stderr}");
    }
}
