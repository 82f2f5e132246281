use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command as Process, Stdio};
use std::sync::Arc;

use rusqlite::Connection;
use tempfile::TempDir;
use tidegate_kafka::Header;

use super::{SqliteOptions, SqliteSink};
use crate::batch::{Batch, Entry, PositionUpdate};
use crate::decode::{Decoder, TradeRow, reason};
use crate::sink::{Database, Sink, SinkContext, SinkError};
use crate::table::{MappedDecoder, Mapping, TableKind};
use crate::testing::{batch, partition, record, trade, trade_json};

struct Fixture {
    directory: TempDir,
    sink: SqliteSink,
}

fn options(path: &Path) -> SqliteOptions {
    SqliteOptions { path: path.to_owned(), busy_timeout_ms: 0, ..SqliteOptions::default() }
}

fn context(cluster: &str) -> SinkContext {
    SinkContext { group: "workers".into(), cluster_id: Some(cluster.into()), owner: "pod-1".into() }
}

async fn prepared(path: &Path) -> SqliteSink {
    let sink = SqliteSink::new(options(path)).expect("thread starts");
    Sink::<TradeRow>::prepare(&sink, &context("cluster-a")).await.expect("prepares");
    sink
}

impl Fixture {
    async fn new() -> Self {
        let directory = TempDir::new().expect("temporary directory");
        let sink = prepared(&directory.path().join("t.db")).await;
        Self { directory, sink }
    }

    fn database(&self) -> Connection {
        Connection::open(self.directory.path().join("t.db")).expect("opens")
    }

    async fn write(&self, batch: Batch<TradeRow>) -> Result<super::Written, SinkError> {
        self.sink.write(Arc::new(batch)).await
    }

    async fn position(&self, p: i32) -> Option<i64> {
        self.sink.positions(&[partition(p)]).await.expect("reads")[0]
    }
}

fn count(database: &Connection, table: &str) -> i64 {
    database
        .query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0))
        .expect("counts")
}

fn fatal(result: Result<impl std::fmt::Debug, SinkError>) -> String {
    match result {
        Err(SinkError::Fatal(text)) => text,
        other => panic!("expected a fatal error, got {other:?}"),
    }
}

#[tokio::test]
async fn rows_and_position_become_visible_together() {
    let f = Fixture::new().await;
    assert_eq!(f.position(3).await, None);
    let before = crate::clock::now_ms();
    let written = f.write(batch(vec![trade(3, 10), trade(3, 11)], None)).await.expect("writes");
    assert_eq!(f.position(3).await, Some(12));
    let row: (String, i64, String, i64, i64, i64, i64) = f
        .database()
        .query_row(
            "SELECT trade_id, quantity, price, kafka_partition, kafka_offset, \
             record_timestamp_ms, committed_at_ms FROM trades ORDER BY id LIMIT 1",
            [],
            |r| Ok((r.get(0)?, r.get(1)?, r.get(2)?, r.get(3)?, r.get(4)?, r.get(5)?, r.get(6)?)),
        )
        .expect("one row");
    let expected = ("TRD3-10".into(), 7, "123.40".into(), 3, 10, 1_010, written.committed_at_ms);
    assert_eq!(row, expected);
    assert!(written.committed_at_ms >= before);
}

#[tokio::test]
async fn a_second_owner_is_fenced_and_stores_nothing() {
    let f = Fixture::new().await;
    f.write(batch(vec![trade(0, 0), trade(0, 1)], None)).await.expect("first owner");
    let zombie = f.write(batch(vec![trade(0, 0)], None)).await;
    assert_eq!(zombie, Err(SinkError::Fenced { partitions: vec![partition(0)] }));
    let stale = f.write(batch(vec![trade(0, 1)], Some(1))).await;
    assert_eq!(stale, Err(SinkError::Fenced { partitions: vec![partition(0)] }));
    assert_eq!(count(&f.database(), "trades"), 2);
    f.write(batch(vec![trade(0, 2)], Some(2))).await.expect("the owner goes on");
}

#[tokio::test]
async fn a_dead_letter_keeps_everything_about_its_record() {
    let f = Fixture::new().await;
    let mut poison = record(0, 5, "{");
    poison.headers = vec![
        Header { key: "trace".into(), value: Some(vec![0u8, 255].into()) },
        Header { key: "none".into(), value: None },
    ];
    f.write(batch(vec![trade(0, 4), poison, trade(0, 6)], None)).await.expect("writes");
    let found: (i64, Vec<u8>, Vec<u8>, String, String, i64) = f
        .database()
        .query_row(
            "SELECT kafka_offset, key, payload, headers, reason_code, \
             (SELECT committed_at_ms FROM trades LIMIT 1) - committed_at_ms FROM dead_letters",
            [],
            |r| Ok((r.get(0)?, r.get(1)?, r.get(2)?, r.get(3)?, r.get(4)?, r.get(5)?)),
        )
        .expect("one dead letter");
    let headers = r#"[{"key":"trace","value":"AP8="},{"key":"none","value":null}]"#;
    let expected =
        (5, b"ACC1000".to_vec(), b"{".to_vec(), headers.into(), reason::BAD_JSON.into(), 0);
    assert_eq!(found, expected);
    assert_eq!(count(&f.database(), "trades"), 2);
    assert_eq!(f.position(0).await, Some(7));
}

/// One refused row in ten thousand costs one statement, not a search: the
/// trigger counts every attempt to insert, also the undone ones of a retry.
#[tokio::test]
async fn a_row_the_database_refuses_is_dead_lettered_without_a_search() {
    let f = Fixture::new().await;
    f.database()
        .execute_batch(
            "CREATE TABLE attempts (n INTEGER);
             CREATE TRIGGER counts BEFORE INSERT ON trades WHEN NEW.symbol <> 'BAD'
               BEGIN INSERT INTO attempts VALUES (1); END;
             CREATE TRIGGER refuses BEFORE INSERT ON trades WHEN NEW.symbol = 'BAD'
               BEGIN SELECT RAISE(ABORT, 'symbol BAD is not traded'); END;",
        )
        .expect("triggers");
    let mut records: Vec<_> = (0..10_000).map(|offset| trade(0, offset)).collect();
    records[7_777] = record(0, 7_777, &trade_json("TRD", "BAD"));
    let written = f.write(batch(records, None)).await.expect("writes");
    let [(7_777, why)] = written.rejected.as_slice() else { panic!("{:?}", written.rejected) };
    assert_eq!(why.code, reason::REJECTED_BY_DATABASE);
    let database = f.database();
    assert_eq!(count(&database, "trades"), 9_999);
    assert_eq!(count(&database, "attempts"), 9_999, "no row was inserted twice");
    let reason: String = database
        .query_row("SELECT reason FROM dead_letters WHERE kafka_offset = 7777", [], |r| r.get(0))
        .expect("the refused row");
    assert!(reason.contains("symbol BAD is not traded"), "{reason}");
}

#[tokio::test]
async fn a_constraint_that_ends_the_transaction_is_named() {
    let f = Fixture::new().await;
    f.database()
        .execute_batch(
            "CREATE TRIGGER refuses BEFORE INSERT ON trades
               BEGIN SELECT RAISE(ROLLBACK, 'never'); END;",
        )
        .expect("trigger");
    let text = fatal(f.write(batch(vec![trade(0, 0)], None)).await);
    assert!(text.contains("use ABORT"), "{text}");
    assert_eq!(f.position(0).await, None);
}

#[tokio::test]
async fn a_locked_file_is_a_retry_and_works_again_afterwards() {
    let f = Fixture::new().await;
    let blocker = f.database();
    blocker.execute_batch("BEGIN IMMEDIATE").expect("locks");
    let locked = f.write(batch(vec![trade(0, 0)], None)).await;
    assert!(matches!(&locked, Err(SinkError::Retry(why)) if why.contains("lock")), "{locked:?}");
    assert_eq!(f.position(0).await, None, "readers do not wait for a writer");
    blocker.execute_batch("ROLLBACK").expect("unlocks");
    f.write(batch(vec![trade(0, 0)], None)).await.expect("writes");
}

#[tokio::test]
async fn an_abandoned_write_that_waits_for_the_lock_writes_nothing() {
    let directory = TempDir::new().expect("temporary directory");
    let path = directory.path().join("t.db");
    let sink = SqliteSink::new(SqliteOptions { busy_timeout_ms: 600_000, ..options(&path) })
        .expect("thread starts");
    Sink::<TradeRow>::prepare(&sink, &context("cluster-a")).await.expect("prepares");
    let blocker = Connection::open(&path).expect("opens");
    blocker.execute_batch("BEGIN IMMEDIATE").expect("locks");
    {
        let mut write = std::pin::pin!(sink.write(Arc::new(batch(vec![trade(0, 0)], None))));
        let polled =
            std::future::poll_fn(|cx| std::task::Poll::Ready(write.as_mut().poll(cx))).await;
        assert!(polled.is_pending());
    }
    // Served after the abandoned write, so it proves that the wait ended.
    assert_eq!(sink.positions(&[partition(0)]).await, Ok(vec![None]));
    blocker.execute_batch("ROLLBACK").expect("unlocks");
    assert_eq!(sink.positions(&[partition(0)]).await, Ok(vec![None]));
}

#[tokio::test]
async fn another_cluster_is_refused() {
    let f = Fixture::new().await;
    let other = SqliteSink::<TradeRow>::new(options(&f.directory.path().join("t.db"))).unwrap();
    let text = fatal(other.prepare(&context("cluster-b")).await);
    assert!(text.contains("cluster-a") && text.contains("cluster-b"), "{text}");
    other.prepare(&context("cluster-a")).await.expect("its own cluster is welcome");
}

#[tokio::test]
async fn what_is_not_our_database_is_refused() {
    let directory = TempDir::new().expect("temporary directory");
    let at = |name: &str| directory.path().join(name);
    std::fs::write(at("text"), "this is certainly not a database file".repeat(100)).unwrap();
    Connection::open(at("newer"))
        .and_then(|db| {
            db.execute_batch(
                "CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT);
                 INSERT INTO meta VALUES ('schema_version', '2');",
            )
        })
        .unwrap();
    drop(prepared(&at("drifted")).await);
    Connection::open(at("drifted"))
        .and_then(|db| db.execute_batch("ALTER TABLE trades DROP COLUMN price"))
        .unwrap();
    for (name, expected) in [
        ("text", "not a database"),
        ("newer", "schema version 2"),
        ("drifted", "price"),
        ("absent/t.db", "no directory"),
        ("", "is a directory"),
    ] {
        let sink = SqliteSink::<TradeRow>::new(options(&at(name))).expect("thread starts");
        let text = fatal(sink.prepare(&context("cluster-a")).await);
        assert!(text.contains(expected), "{name}: {text}");
    }
}

#[tokio::test]
async fn a_file_put_in_its_place_is_noticed() {
    let f = Fixture::new().await;
    f.write(batch(vec![trade(0, 0)], None)).await.expect("writes");
    for name in ["t.db", "t.db-wal", "t.db-shm"] {
        let _ = std::fs::remove_file(f.directory.path().join(name));
    }
    let lost = f.write(batch(vec![trade(0, 1)], Some(1))).await;
    assert!(matches!(&lost, Err(SinkError::Retry(why)) if why.contains("removed")), "{lost:?}");
    // The new file has no position: the owner of the old one is fenced.
    let fenced = f.write(batch(vec![trade(0, 1)], Some(1))).await;
    assert_eq!(fenced, Err(SinkError::Fenced { partitions: vec![partition(0)] }));
}

const CHILD_DATABASE: &str = "TIDEGATE_TEST_CHILD_DATABASE";

/// What the next test does as its own child.
#[tokio::main(flavor = "current_thread")]
async fn write_until_killed(path: &str) {
    let sink = prepared(Path::new(path)).await;
    for p in 0.. {
        let mut next = sink.positions(&[partition(p % 3)]).await.unwrap()[0];
        let from = next.unwrap_or(0);
        let records = (from..from + 200).map(|offset| trade(p % 3, offset)).collect();
        let batch = batch(records, next.take());
        Sink::write(&sink, Arc::new(batch)).await.unwrap();
        println!("written");
    }
}

#[test]
fn kill_9_leaves_rows_and_positions_consistent() {
    if let Ok(path) = std::env::var(CHILD_DATABASE) {
        return write_until_killed(&path);
    }
    let directory = TempDir::new().expect("temporary directory");
    let path = directory.path().join("t.db");
    for round in 1..=4u32 {
        let mut child = Process::new(std::env::current_exe().expect("this test"))
            .args(["--exact", "--nocapture"])
            .arg("sink::sqlite::tests::kill_9_leaves_rows_and_positions_consistent")
            .env(CHILD_DATABASE, &path)
            .stdout(Stdio::piped())
            .spawn()
            .expect("child starts");
        let output = BufReader::new(child.stdout.take().expect("piped"));
        // It never stops writing, so it dies wherever it happens to be.
        let progress = output.lines().map_while(Result::ok).filter(|line| line.contains("written"));
        assert_eq!(progress.take(5 * round as usize).count(), 5 * round as usize);
        child.kill().expect("SIGKILL");
        child.wait().expect("reaped");

        let database = Connection::open(&path).expect("opens");
        let mut positions =
            database.prepare("SELECT kafka_partition, next_offset FROM positions").unwrap();
        let positions: Vec<(i32, i64)> = positions
            .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))
            .and_then(Iterator::collect)
            .expect("reads");
        assert_eq!(positions.len(), 3);
        for (p, next_offset) in positions {
            let mut rows = database
                .prepare("SELECT kafka_offset FROM trades WHERE kafka_partition = ?1 ORDER BY id")
                .unwrap();
            let rows: Vec<i64> =
                rows.query_map([p], |row| row.get(0)).and_then(Iterator::collect).expect("reads");
            assert_eq!(rows, (0..next_offset).collect::<Vec<_>>(), "partition {p}, round {round}");
        }
    }
}

/// Two NULLs are different to a unique index: each would have been a row of its own.
#[tokio::test]
async fn a_record_without_the_key_replaces_none_and_is_a_dead_letter() {
    let text = "table = 'keyed'\nmode = 'upsert'\nkey = ['k', 'n']
         columns = [{name='n',type='integer'}]\nrecord = {key_text='k',offset='o'}";
    let mapping = Arc::new(Mapping::from_text("m.toml", text).expect("reads"));
    let directory = TempDir::new().expect("temporary directory");
    let path = directory.path().join("t.db");
    let database = Connection::open(&path).expect("opens");
    // A table of one's own may let the key be NULL.
    database
        .execute_batch("CREATE TABLE keyed (n INTEGER, k TEXT, o INTEGER, UNIQUE (n, k))")
        .expect("creates");
    let sink = SqliteSink::mapped(options(&path), &mapping).expect("thread starts");
    sink.prepare(&context("cluster-a")).await.expect("prepares");
    let decoder = MappedDecoder::new(mapping);
    let entries = (0..).zip([None, Some(""), None, Some("")]).map(|(offset, key)| {
        let mut record = record(0, offset, r#"{"n":1}"#);
        record.key = key.map(|key: &'static str| key.as_bytes().into());
        let outcome = decoder.decode(&record);
        Entry::of(record, outcome)
    });
    let positions = [PositionUpdate { partition: partition(0), expected: None, next_offset: 4 }];
    let written = sink.write(Arc::new(Batch::of(entries, positions))).await.expect("writes");
    let refused: Vec<usize> = written.rejected.iter().map(|(entry, _)| *entry).collect();
    assert_eq!(refused, [0, 2]);
    let found: (i64, String, i64) = database
        .query_row("SELECT n, k, o FROM keyed", [], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?))
        })
        .expect("one row");
    assert_eq!((count(&database, "keyed"), found), (1, (1, String::new(), 3)));
}

#[tokio::test]
async fn a_schema_is_refused_before_a_file_is_made() {
    let text = "table = 'shop.orders'\ncolumns = [{name='n',type='integer'}]";
    let mapping = Arc::new(Mapping::from_text("m.toml", text).expect("reads"));
    let directory = TempDir::new().expect("temporary directory");
    let path = directory.path().join("t.db");
    let sink = SqliteSink::mapped(options(&path), &mapping).expect("thread starts");
    let prepared = sink.prepare(&context("cluster-a")).await;
    let (kind, database) = (TableKind::Mapped(mapping), Database::sqlite(&path));
    let (created, checked) = (kind.create(&database).await, kind.check(&database).await.map(drop));
    let expected = format!(
        "sqlite:{}: table shop.orders: SQLite has no schemas, allowed is a name without a dot",
        path.display()
    );
    for said in [prepared, created, checked] {
        assert_eq!(said, Err(SinkError::Fatal(expected.clone())));
    }
    assert!(!path.exists());
}
