//! `tidegate table` and `tidegate dead-letters` on both databases, from outside: what
//! they print, how they exit, what they say about wrong input.

#[path = "support/store.rs"]
mod store;
mod support;

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::Value;
use store::Store;
use support::tidegate;

const ORDERS: &str = r#"
table = "orders"
mode = "upsert"
key = ["nr"]
columns = [
  { name = "nr", type = "bigint" },
  { name = "total", type = "numeric", nullable = true },
  { name = "note", type = "text" },
]
"#;

/// What a command did.
#[derive(Debug)]
struct Ran {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

impl Ran {
    fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    fn lines(&self) -> Vec<&str> {
        self.stdout.lines().collect()
    }

    #[track_caller]
    fn ends_with(&self, code: i32) -> &Self {
        assert_eq!(self.code, Some(code), "{self:?}");
        self
    }

    /// One line on stderr that has all of these.
    #[track_caller]
    fn says(&self, parts: &[&str]) -> &Self {
        assert_eq!(self.stderr.lines().count(), 1, "{self:?}");
        for part in parts {
            assert!(self.stderr.contains(part), "{part:?} is not in {self:?}");
        }
        self
    }
}

/// A database, a directory, a mapping file.
struct World {
    store: Store,
    directory: tempfile::TempDir,
}

impl World {
    fn sqlite() -> Self {
        let directory = tempfile::tempdir().expect("directory");
        Self { store: Store::sqlite(directory.path()), directory }
    }

    fn postgres() -> Self {
        Self { store: Store::postgres(), directory: tempfile::tempdir().expect("directory") }
    }

    fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.directory.path().join(name);
        std::fs::write(&path, text).expect("file");
        path
    }

    fn run(&self, arguments: &[&str]) -> Ran {
        let output = tidegate()
            .args(arguments)
            .args(["--database", &self.store.url()])
            .output()
            .expect("tidegate runs");
        let text = |bytes| String::from_utf8(bytes).expect("utf-8");
        Ran { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
    }
}

#[test]
fn tables_are_created_and_checked_in_sqlite() {
    tables(&World::sqlite());
}

#[test]
fn tables_are_created_and_checked_in_postgres() {
    tables(&World::postgres());
}

fn tables(world: &World) {
    let mapping = world.file("orders.toml", ORDERS);
    let mapping = mapping.to_str().expect("utf-8");
    let table = |what: &str, more: &[&str]| {
        world.run(&[&["table", what, "--mapping", mapping][..], more].concat())
    };
    // Printed, and nothing done; then the print is what makes the table.
    let printed = table("create", &[]);
    printed.ends_with(0);
    assert!(printed.stdout.contains("CREATE TABLE IF NOT EXISTS \"orders\""), "{printed:?}");
    assert_eq!(printed.stderr, "");
    table("check", &[]).ends_with(1).says(&["there is no table orders"]);
    world.store.sql(&printed.stdout);
    let fits = table("check", &[]);
    fits.ends_with(0).says(&["table orders fits"]);
    assert_eq!(fits.stdout, "");
    assert_eq!(table("check", &["--json"]).ends_with(0).json(), serde_json::json!([]));
    for _ in 0..2 {
        table("create", &["--apply"]).ends_with(0).says(&["table orders is there"]);
    }

    // Another table of that name, which lacks a column and wants more.
    world.store.sql("DROP TABLE orders");
    world.store.sql(
        "CREATE TABLE orders (nr bigint PRIMARY KEY, total text NOT NULL, place text NOT NULL, \
         kafka_topic text, kafka_partition integer, kafka_offset bigint, \
         record_timestamp_ms bigint, committed_at_ms bigint)",
    );
    let drift = table("check", &[]);
    drift.ends_with(1).says(&["orders", "does not fit in"]);
    for expected in [
        "error: column total: is NOT NULL, the mapping may write NULL",
        "error: column note: missing, expected",
        "error: column place: is NOT NULL without a default and is not written",
    ] {
        assert!(drift.lines().iter().any(|line| line.starts_with(expected)), "{drift:?}");
    }
    let json = table("check", &["--json"]);
    json.ends_with(1);
    let drifts = json.json();
    let note = drifts.as_array().expect("an array").iter().find(|drift| drift["column"] == "note");
    assert_eq!(note.expect("note")["is_error"], true, "{drifts}");
    let errors = drifts.as_array().expect("an array").iter().filter(|d| d["is_error"] == true);
    assert!(drift.stderr.contains(&format!("in {} places", errors.count())), "{drift:?}");
    let apply = table("create", &["--apply"]);
    apply.ends_with(1).says(&["was there already", "column note: missing"]);
}

#[test]
fn wrong_input_of_the_tools_is_one_line() {
    let world = World::sqlite();
    world.run(&["table", "check", "--mapping", "/none.toml"]).ends_with(2).says(&["/none.toml"]);
    for (text, parts) in [
        (ORDERS.replace("bigint", "int8"), ["columns[0].type", "int8", "bigint"]),
        (ORDERS.replace("key = [\"nr\"]", ""), ["key", "upsert", "columns of the key"]),
        (ORDERS.replace("[\"nr\"]", "[\"total\"]"), ["key", "total", "NULL"]),
        (ORDERS.replace("table =", "tabel ="), ["tabel", "unknown field", "table"]),
    ] {
        let file = world.file("m.toml", &text);
        let file = file.to_str().expect("utf-8");
        for command in [&["table", "create"][..], &["dead-letters", "replay"]] {
            let run = world.run(&[command, &["--mapping", file]].concat());
            run.ends_with(2).says(&parts).says(&[file]);
        }
    }
    let elsewhere = |arguments: &[&str]| {
        let output = tidegate().args(arguments).output().expect("runs");
        let stderr = String::from_utf8(output.stderr).expect("utf-8");
        Ran { code: output.status.code(), stdout: String::new(), stderr }
    };
    for command in
        [&["table", "check"][..], &["dead-letters", "list"], &["dead-letters", "show", "1"]]
    {
        let run = elsewhere(&[command, &["--database", "mysql://x"]].concat());
        run.ends_with(2).says(&["mysql://x", "sqlite:PATH", "postgres://"]);
        let url = "postgres://me@127.0.0.1:9/d";
        let started = Instant::now();
        elsewhere(&[command, &["--database", url]].concat()).ends_with(1).says(&["127.0.0.1:9"]);
        assert!(started.elapsed() < Duration::from_secs(10));
    }
    let no_time = world.run(&["dead-letters", "list", "--since", "yesterday"]);
    no_time.ends_with(2);
    assert!(no_time.stderr.contains("--since") && no_time.stderr.contains("yesterday"));
}

/// A mistyped name must not become a new database.
#[test]
fn what_was_never_written_has_no_dead_letters() {
    let world = World::sqlite();
    let commands = [&["list"][..], &["show", "1"], &["replay"], &["replay", "1"]];
    for command in commands {
        world.run(&[&["dead-letters"][..], command].concat()).ends_with(1).says(&["no such file"]);
    }
    assert!(!world.directory.path().join("db").exists(), "a tool has created it");
    for world in [world, World::postgres()] {
        world.store.sql("CREATE TABLE x (y integer)");
        for command in commands {
            let run = world.run(&[&["dead-letters"][..], command].concat());
            run.ends_with(1).says(&["no table dead_letters", "tidegate consume"]);
        }
        assert!(world.store.try_sql("SELECT count(*) FROM trades").is_err());
    }
}

fn trade(at: usize) -> String {
    format!(
        r#"{{"account_id":"ACC1","trade_id":"TRD{at}","symbol":"AAPL","trade_type":"BUY","quantity":{at},"price":1.50,"timestamp":"2026-01-01T00:00:00.000Z"}}"#
    )
}

/// Writes letters with these payloads, as a consumer would have.
fn bury(world: &World, payloads: impl Iterator<Item = String>) {
    world.run(&["table", "create", "--apply"]).ends_with(0);
    let bytes = |text: &str| match world.store.is_postgres() {
        true => format!("convert_to('{text}', 'UTF8')"),
        false => format!("CAST('{text}' AS BLOB)"),
    };
    let header = r#"[{"key":"trace","value":"AP8="}]"#;
    let rows: Vec<String> = payloads
        .enumerate()
        .map(|(at, payload)| {
            let (key, payload) = (bytes("ACC1"), bytes(&payload));
            let topic = if at % 2 == 0 { "even" } else { "odd" };
            format!(
                "('{topic}', 0, {at}, 1767225600123, {key}, {payload}, '{header}', \
                 'rejected_by_database', 'check', {})",
                1_800_000_000_000_i64 + at as i64
            )
        })
        .collect();
    // An argument of psql has a limit.
    for rows in rows.chunks(100) {
        world.store.sql(&format!(
            "INSERT INTO dead_letters (kafka_topic, kafka_partition, kafka_offset, \
             record_timestamp_ms, key, payload, headers, reason_code, reason, committed_at_ms) \
             VALUES {}",
            rows.join(", ")
        ));
    }
}

#[test]
fn letters_are_listed_shown_and_replayed_in_sqlite() {
    letters(&World::sqlite());
}

#[test]
fn letters_are_listed_shown_and_replayed_in_postgres() {
    letters(&World::postgres());
}

fn letters(world: &World) {
    let letters = |more: &[&str]| world.run(&[&["dead-letters"][..], more].concat());
    bury(world, [trade(0), trade(1), "{".into(), trade(3)].into_iter());

    let listed = letters(&["list"]);
    listed.ends_with(0).says(&["4 dead letters"]);
    assert_eq!(listed.lines().len(), 4);
    let first = listed.lines()[0];
    for part in ["2027-01-15T08:00:00.000Z", "even/0@0", "rejected_by_database", "check"] {
        assert!(first.contains(part), "{part:?} is not in {first}");
    }
    let count = |more: &[&str]| letters(&[&["list"][..], more].concat()).ends_with(0).lines().len();
    assert_eq!(count(&["--topic", "odd"]), 2);
    assert_eq!(count(&["--reason", "bad_json"]), 0);
    assert_eq!(count(&["--limit", "3"]), 3);
    assert_eq!(count(&["--since", "2027-01-15T08:00:00.001Z"]), 3);
    assert_eq!(count(&["--until", "2027-01-15T08:00:00.001Z"]), 1);
    let json = letters(&["list", "--json"]);
    let objects: Vec<Value> =
        json.lines().iter().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(objects.len(), 4);
    let id = |at: usize| objects[at]["id"].to_string();

    let shown = letters(&["show", &id(2)]);
    shown.ends_with(0);
    for part in ["record       even/0@2", "key          ACC1", "base64:AP8=", "payload      {"] {
        assert!(shown.stdout.contains(part), "{part:?} is not in {shown:?}");
    }
    let one = letters(&["show", &id(2), "--json"]).ends_with(0).json();
    assert_eq!((&one, &one["payload"]["text"]), (&objects[2], &"{".into()));
    letters(&["show", "99"]).ends_with(1).says(&["there is no dead letter 99"]);
    letters(&["show", "many"]).ends_with(2);

    // One of the four has no row in it: it stays, with the new reason.
    // They are of two topics, and the table may be of one.
    letters(&["replay"]).ends_with(1).says(&["letters of 2 topics (even, odd)", "--topic"]);
    let replayed = letters(&["replay", "--all-topics", "--json"]);
    replayed.ends_with(1).says(&["3 stored, 1 refused again"]);
    let done = replayed.json();
    assert_eq!(
        (&done["stored"], &done["refused"][0][1]),
        (&3.into(), &"bad_json".into()),
        "{done}"
    );
    assert_eq!((world.store.count("trades"), world.store.count("dead_letters")), (3, 1));
    let again = letters(&["replay"]);
    again.ends_with(1).says(&["0 stored, 1 refused again"]);
    assert!(again.stdout.starts_with(&format!("{}  bad_json  ", id(2))), "{again:?}");
    assert_eq!(world.store.count("trades"), 3, "a second replay stores nothing twice");
    let gone = letters(&["replay", &id(0), &id(2)]);
    gone.ends_with(1).says(&[&format!("there is no dead letter {}", id(0))]);
    letters(&["replay", "--reason", "tombstone"]).ends_with(0).says(&["0 stored"]);

    // By another mapping it is a row.
    world.store.sql("DELETE FROM dead_letters");
    let mapping = world.file("orders.toml", ORDERS);
    let mapping = mapping.to_str().expect("utf-8");
    let order = |nr: u32| format!(r#"{{"nr":{nr},"note":"n{nr}"}}"#);
    bury(world, [order(7), order(8), order(7).replace("n7", "later")].into_iter());
    let orders = |topic: &str, stored: &str| {
        letters(&["replay", "--mapping", mapping, "--topic", topic]).ends_with(0).says(&[stored]);
    };
    let no_table = letters(&["replay", "--mapping", mapping, "--topic", "odd"]);
    no_table.ends_with(1).says(&["there is no table orders"]);
    world.run(&["table", "create", "--apply", "--mapping", mapping]).ends_with(0);
    orders("odd", "1 stored");
    orders("even", "2 stored");
    let rows = world.store.sql("SELECT nr, note FROM orders ORDER BY nr");
    assert_eq!(rows, "7|later\n8|n8");
}

#[test]
fn a_killed_replay_is_finished_by_the_next_in_sqlite() {
    killed_replay(&World::sqlite());
}

#[test]
fn a_killed_replay_is_finished_by_the_next_in_postgres() {
    killed_replay(&World::postgres());
}

/// Four pages; killed when the first is committed and the next is being written.
fn killed_replay(world: &World) {
    const LETTERS: usize = 2_000;
    bury(world, (0..LETTERS).map(trade));
    world.store.sql(match world.store.is_postgres() {
        true => {
            "CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS \
             $$ BEGIN PERFORM pg_sleep(0.002); RETURN NEW; END $$; \
             CREATE TRIGGER slow BEFORE INSERT ON trades FOR EACH ROW EXECUTE FUNCTION slow()"
        }
        false => {
            "CREATE TABLE waste (x); CREATE TRIGGER slow BEFORE INSERT ON trades BEGIN \
             INSERT INTO waste SELECT count(*) FROM dead_letters a, \
               (SELECT 1 FROM dead_letters LIMIT 20) b; DELETE FROM waste; END"
        }
    });
    let mut replay = tidegate()
        .args(["dead-letters", "replay", "--all-topics", "--database", &world.store.url()])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("starts");
    let deadline = Instant::now() + Duration::from_secs(60);
    while world.store.count("trades") == 0 {
        assert!(Instant::now() < deadline, "no page was stored");
        assert!(replay.try_wait().expect("wait").is_none(), "it ended at once");
        std::thread::park_timeout(Duration::from_millis(2));
    }
    replay.kill().expect("kills");
    replay.wait().expect("waits");
    let (rows, left) = (world.store.count("trades"), world.store.count("dead_letters"));
    assert_eq!(rows + left, LETTERS as u64, "a row and its letter, or neither");
    assert!(rows > 0 && left > 0, "{rows} stored, {left} left: not in the middle");

    world.store.sql(match world.store.is_postgres() {
        true => "DROP TRIGGER slow ON trades",
        false => "DROP TRIGGER slow",
    });
    let next = world.run(&["dead-letters", "replay", "--all-topics"]);
    next.ends_with(0).says(&[&format!("{left} stored")]);
    let distinct =
        "SELECT count(*), count(DISTINCT trade_id), count(DISTINCT kafka_offset) FROM trades";
    assert_eq!(world.store.sql(distinct), format!("{LETTERS}|{LETTERS}|{LETTERS}"));
    assert_eq!(world.store.count("dead_letters"), 0);
}

/// Files named in messages are those that were given.
#[test]
fn a_mapping_is_taken_from_the_environment_too() {
    let world = World::sqlite();
    let mapping = world.file("orders.yaml", "table: orders\ncolumns: [{name: a, type: text}]\n");
    let run = |variable: &Path| {
        let output = tidegate()
            .args(["table", "create", "--database", "sqlite:unused.db"])
            .env("TIDEGATE_MAPPING", variable)
            .output()
            .expect("runs");
        (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned())
    };
    let (code, printed) = run(&mapping);
    assert_eq!(code, Some(0));
    assert!(printed.contains("\"orders\"") && printed.contains("\"a\" TEXT"), "{printed}");
    assert_eq!(run(Path::new("/none.yaml")).0, Some(2));
}
