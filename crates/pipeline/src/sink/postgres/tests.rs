//! On a real server: the scenarios of the SQLite sink, and what only a server
//! can do to its clients.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use tidegate_kafka::Header;
use tidegate_pgtest::Server;

use super::{PostgresOptions, PostgresSink};
use crate::batch::Batch;
use crate::decode::{TradeRow, reason};
use crate::sink::{Sink, SinkContext, SinkError, Written};
use crate::testing::{batch, partition, record, trade, trade_json};

/// One server for all tests, a database for each.
pub(super) static SERVER: LazyLock<Server> =
    LazyLock::new(|| Server::start(&["fsync=off"]).expect("a PostgreSQL server"));

pub(super) struct Fixture {
    pub(super) database: String,
    pub(super) sink: PostgresSink,
}

pub(super) fn new_database() -> String {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let name = format!("t{}", NUMBER.fetch_add(1, Ordering::Relaxed));
    SERVER.create_database(&name).expect("creates");
    name
}

pub(super) fn options(url: &str) -> PostgresOptions {
    PostgresOptions::new(url.parse().expect(url))
}

pub(super) fn context(cluster: &str) -> SinkContext {
    SinkContext { group: "workers".into(), cluster_id: Some(cluster.into()), owner: "pod-1".into() }
}

pub(super) async fn prepared(url: &str) -> PostgresSink {
    let sink = PostgresSink::new(options(url));
    Sink::<TradeRow>::prepare(&sink, &context("cluster-a")).await.expect("prepares");
    sink
}

impl Fixture {
    pub(super) async fn new() -> Self {
        let database = new_database();
        let sink = prepared(&SERVER.url(&database)).await;
        Self { database, sink }
    }

    pub(super) fn sql(&self, sql: &str) -> String {
        SERVER.psql(&self.database, sql).expect(sql)
    }

    pub(super) fn count(&self, table: &str) -> String {
        self.sql(&format!("SELECT count(*) FROM {table}"))
    }

    pub(super) async fn write(&self, batch: Batch<TradeRow>) -> Result<Written, SinkError> {
        self.sink.write(Arc::new(batch)).await
    }

    pub(super) async fn position(&self, p: i32) -> Option<i64> {
        self.sink.positions(&[partition(p)]).await.expect("reads")[0]
    }
}

fn fatal(result: Result<impl std::fmt::Debug, SinkError>) -> String {
    match result {
        Err(SinkError::Fatal(text)) => text,
        other => panic!("expected a fatal error, got {other:?}"),
    }
}

pub(super) fn retry(result: Result<impl std::fmt::Debug, SinkError>) -> String {
    match result {
        Err(SinkError::Retry(text)) => text,
        other => panic!("expected a retry, got {other:?}"),
    }
}

pub(super) fn fenced(p: i32) -> Result<Written, SinkError> {
    Err(SinkError::Fenced { partitions: vec![partition(p)] })
}

#[tokio::test]
async fn rows_and_position_become_visible_together() {
    let f = Fixture::new().await;
    assert_eq!(f.position(3).await, None);
    let before = crate::clock::now_ms();
    let written = f.write(batch(vec![trade(3, 10), trade(3, 11)], None)).await.expect("writes");
    assert_eq!(f.position(3).await, Some(12));
    let row = f.sql(
        "SET timezone = 'UTC'; SELECT account_id, trade_id, symbol, trade_type, quantity, price, \
         timestamp, kafka_topic, kafka_partition, kafka_offset, record_timestamp_ms, \
         committed_at_ms FROM trades ORDER BY id LIMIT 1",
    );
    let expected = format!(
        "ACC1000|TRD3-10|AAPL|BUY|7|123.40|2026-01-01 00:00:00+00|t|3|10|1010|{}",
        written.committed_at_ms
    );
    assert_eq!(row, expected);
    assert!(written.committed_at_ms >= before);
}

#[tokio::test]
async fn prices_are_stored_as_they_were_sent() {
    let f = Fixture::new().await;
    let prices = [
        "0",
        "-0",
        "0.00",
        "1",
        "-1",
        "10000",
        "100000000",
        "9999.9999",
        "0.0001",
        "0.00001",
        "-123456789.123456789",
        "12345678901234567890123456789012345678",
        "3.10",
        "1000000.5",
        "0.1234567890123456789012345678901234567",
    ];
    let records = prices.iter().enumerate().map(|(offset, price)| {
        let text = trade_json("TRD", "AAPL").replace("123.40", price);
        record(0, offset as i64, &text)
    });
    let written = f.write(batch(records.collect(), None)).await.expect("writes");
    assert_eq!(written.rejected, []);
    let stored = f.sql("SELECT price FROM trades ORDER BY id");
    let expected: Vec<&str> =
        prices.iter().map(|price| if *price == "-0" { "0" } else { price }).collect();
    assert_eq!(stored.lines().collect::<Vec<_>>(), expected);
}

#[tokio::test]
async fn a_second_owner_is_fenced_and_stores_nothing() {
    let f = Fixture::new().await;
    f.write(batch(vec![trade(0, 0), trade(0, 1)], None)).await.expect("first owner");
    assert_eq!(f.write(batch(vec![trade(0, 0)], None)).await, fenced(0));
    assert_eq!(f.write(batch(vec![trade(0, 1)], Some(1))).await, fenced(0));
    assert_eq!(f.count("trades"), "2");
    f.write(batch(vec![trade(0, 2)], Some(2))).await.expect("the owner goes on");
}

/// Two owners at once: both have looked at the position before either moves it.
#[tokio::test]
async fn of_two_owners_at_once_one_is_fenced() {
    let f = Fixture::new().await;
    let other = prepared(&SERVER.url(&f.database)).await;
    for round in 0..50 {
        let expected = (round > 0).then_some(round);
        let (mine, theirs) = tokio::join!(
            f.write(batch(vec![trade(0, round)], expected)),
            other.write(Arc::new(batch(vec![trade(0, round)], expected)))
        );
        let (winner, loser) = if mine.is_ok() { (mine, theirs) } else { (theirs, mine) };
        assert!(winner.is_ok(), "{winner:?}");
        assert_eq!(loser, fenced(0));
        assert_eq!(f.position(0).await, Some(round + 1));
    }
    assert_eq!(f.sql("SELECT count(*), count(DISTINCT kafka_offset) FROM trades"), "50|50");
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
    let found = f.sql(
        "SELECT kafka_offset, key, payload, headers, reason_code, \
         (SELECT committed_at_ms FROM trades LIMIT 1) - committed_at_ms FROM dead_letters",
    );
    let expected = format!(
        "5|\\x41434331303030|\\x7b|{}|{}|0",
        r#"[{"key":"trace","value":"AP8="},{"key":"none","value":null}]"#,
        reason::BAD_JSON
    );
    assert_eq!(found, expected);
    assert_eq!(f.count("trades"), "2");
    assert_eq!(f.position(0).await, Some(7));
}

/// PostgreSQL's texts have no NUL, and a reason quotes what was sent.
#[tokio::test]
async fn a_reason_that_quotes_a_nul_stops_nobody() {
    let f = Fixture::new().await;
    let odd = trade_json("TRD", "AAPL").replace("{", r#"{"a\u0000b": 1, "#);
    f.write(batch(vec![record(0, 0, &odd)], None)).await.expect("writes");
    assert_eq!(f.sql("SELECT reason_code FROM dead_letters"), reason::BAD_FIELD);
    assert_eq!(f.count("trades"), "0");
}

/// A sequence counts every COPY, also those that are rolled back.
const COUNT_ATTEMPTS: &str = "
    CREATE SEQUENCE attempts;
    CREATE FUNCTION attempt() RETURNS trigger LANGUAGE plpgsql AS
      'BEGIN PERFORM nextval(''attempts''); RETURN NULL; END';
    CREATE TRIGGER attempts BEFORE INSERT ON trades FOR EACH STATEMENT EXECUTE FUNCTION attempt()";

async fn one_bad_row_in_ten_thousand(f: &Fixture) -> u32 {
    f.sql(COUNT_ATTEMPTS);
    let mut records: Vec<_> = (0..10_000).map(|offset| trade(0, offset)).collect();
    records[7_777] = record(0, 7_777, &trade_json("TRD", "BAD"));
    let written = f.write(batch(records, None)).await.expect("writes");
    let [(7_777, why)] = written.rejected.as_slice() else { panic!("{:?}", written.rejected) };
    assert_eq!(why.code, reason::REJECTED_BY_DATABASE);
    assert_eq!(f.count("trades"), "9999");
    assert_eq!(
        f.sql("SELECT kafka_offset, reason_code FROM dead_letters"),
        "7777|rejected_by_database"
    );
    assert_eq!(
        f.sql(
            "SELECT count(*) FROM (SELECT kafka_offset - lag(kafka_offset) OVER (ORDER BY id) \
               AS step FROM trades) AS steps WHERE step < 1"
        ),
        "0",
        "the order is kept"
    );
    assert_eq!(f.position(0).await, Some(10_000));
    f.sql("SELECT last_value FROM attempts").parse().expect("a number")
}

#[tokio::test]
async fn a_row_that_the_server_names_is_found_in_three_more_attempts() {
    let f = Fixture::new().await;
    f.sql("ALTER TABLE trades ADD CHECK (symbol <> 'BAD')");
    assert_eq!(one_bad_row_in_ten_thousand(&f).await, 1 + 3);
}

/// A constraint that is checked at COMMIT names no row: a hundred parts, then
/// 99 of them and a hundred rows.
#[tokio::test]
async fn a_row_that_nobody_names_is_found_in_two_exchanges() {
    let f = Fixture::new().await;
    f.sql(
        "CREATE TABLE symbols (symbol text PRIMARY KEY); INSERT INTO symbols VALUES ('AAPL'); \
         ALTER TABLE trades ADD FOREIGN KEY (symbol) REFERENCES symbols DEFERRABLE INITIALLY DEFERRED",
    );
    assert_eq!(one_bad_row_in_ten_thousand(&f).await, 1 + 100 + 99 + 100);
}

#[tokio::test]
async fn each_way_of_refusing_a_row_makes_a_dead_letter() {
    let f = Fixture::new().await;
    f.sql(
        "ALTER TABLE trades ALTER symbol TYPE varchar(5), ALTER price TYPE numeric(8, 2), \
         ADD CHECK (quantity > 0); \
         CREATE UNIQUE INDEX ON trades (trade_id); \
         CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS \
           'BEGIN IF NEW.account_id = ''NOBODY'' THEN \
              RAISE ''no such account'' USING ERRCODE = ''T0001''; END IF; RETURN NEW; END'; \
         CREATE TRIGGER refuses BEFORE INSERT ON trades FOR EACH ROW EXECUTE FUNCTION refuse()",
    );
    // The table has changed: what was prepared is not asked again.
    let sink = prepared(&SERVER.url(&f.database)).await;
    let good = |id: &str| trade_json(id, "AAPL");
    let texts = [
        (good("A"), None),
        (good("B").replace("AAPL", "TOOLONG"), Some("22001")),
        (good("C").replace("123.40", "99999999.00"), Some("22003")),
        (good("D").replace("\"quantity\":7", "\"quantity\":0"), Some("23514")),
        (good("A"), Some("23505")),
        (good("E").replace("ACC1000", "NOBODY"), Some("no such account")),
        (good("F").replace("2026-01-01T", "someday"), Some("ISO 8601")),
        (good("G"), None),
    ];
    let records = texts.iter().enumerate().map(|(at, (text, _))| record(0, at as i64, text));
    let written = sink.write(Arc::new(batch(records.collect(), None))).await.expect("writes");
    assert_eq!(f.sql("SELECT trade_id FROM trades ORDER BY id"), "A\nG");
    let refused: Vec<(usize, &str)> =
        texts.iter().enumerate().filter_map(|(at, (_, why))| why.map(|why| (at, why))).collect();
    assert_eq!(written.rejected.len(), refused.len(), "{:?}", written.rejected);
    for ((at, why), (expected_at, part)) in written.rejected.iter().zip(refused) {
        assert_eq!(*at, expected_at);
        assert!(why.reason.contains(part), "{part}: {}", why.reason);
    }
    assert_eq!(f.count("dead_letters"), "6");
}

#[tokio::test]
async fn a_locked_table_is_a_retry_and_works_again_afterwards() {
    let f = Fixture::new().await;
    let url = SERVER.url(&f.database);
    let sink = PostgresSink::new(PostgresOptions { lock_timeout_ms: 300, ..options(&url) });
    Sink::<TradeRow>::prepare(&sink, &context("cluster-a")).await.expect("prepares");
    let blocker = Blocker::new(&f.database, "LOCK TABLE trades IN EXCLUSIVE MODE").await;
    let why = retry(sink.write(Arc::new(batch(vec![trade(0, 0)], None))).await);
    assert!(why.contains("55P03"), "{why}");
    assert_eq!(f.position(0).await, None, "readers do not wait for a writer");
    drop(blocker);
    write_until_it_works(&sink, batch(vec![trade(0, 0)], None)).await;
}

/// A session that holds a lock until it is dropped.
struct Blocker(#[allow(dead_code)] tidegate_postgres::Connected);

impl Blocker {
    async fn new(database: &str, lock: &str) -> Self {
        let url = SERVER.url(database).parse().expect("URL");
        let options = tidegate_postgres::ConnectOptions::new(url);
        let session = tidegate_postgres::connect(&options, "blocker").await.expect("connects");
        session.client.batch_execute(&format!("BEGIN; {lock}")).await.expect("locks");
        Self(session)
    }
}

async fn write_until_it_works(sink: &PostgresSink, batch: Batch<TradeRow>) {
    let batch = Arc::new(batch);
    let trying = async {
        while let Err(error) = sink.write(Arc::clone(&batch)).await {
            assert!(matches!(error, SinkError::Retry(_)), "{error:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), trying).await.expect("works at last");
}

/// Wherever a write is abandoned, it is there as a whole or not at all.
#[tokio::test]
async fn an_abandoned_write_is_whole_or_nothing() {
    let f = Fixture::new().await;
    let mut next = 0;
    for microseconds in (0..6_000).step_by(150) {
        let records = (next..next + 300).map(|offset| trade(0, offset)).collect();
        let write = f.write(batch(records, (next > 0).then_some(next)));
        let result = tokio::time::timeout(Duration::from_micros(microseconds), write).await;
        if let Ok(result) = &result {
            result.as_ref().expect("writes");
        } else {
            wait_for_the_end_of_sessions(&f).await;
        }
        let stored = f.position(0).await.unwrap_or(0);
        assert!(stored == next + 300 || result.is_err() && stored == next, "{stored} after {next}");
        next = stored;
        assert_eq!(f.count("trades"), next.to_string());
    }
}

/// What an abandoned session has sent is done or undone when it is gone. A write
/// that was abandoned before it had one leaves the idle one as it was.
async fn wait_for_the_end_of_sessions(f: &Fixture) {
    let sessions = "SELECT count(*) FROM pg_stat_activity \
                    WHERE datname = current_database() AND application_name LIKE 'tidegate%'";
    let deadline = std::time::Instant::now() + Duration::from_secs(30);
    let idle = f.sink.pool.idle().to_string();
    while f.sql(sessions) != idle {
        assert!(std::time::Instant::now() < deadline, "an abandoned session stays");
        tokio::task::yield_now().await;
    }
}

/// The successor of an owner that is frozen in the middle of a batch goes on.
#[tokio::test]
async fn a_frozen_owner_holds_up_nobody() {
    let f = Fixture::new().await;
    f.write(batch(vec![trade(0, 0)], None)).await.expect("writes");
    let frozen = prepared(&SERVER.url(&f.database)).await;
    let records = (1..20_000).map(|offset| trade(0, offset)).collect();
    let mut write = Box::pin(frozen.write(Arc::new(batch(records, Some(1)))));
    let copying = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() \
                   AND query LIKE 'COPY%' AND state = 'active'";
    // Polled until its COPY has begun, and never again until its successor is done.
    while f.sql(copying) == "0" {
        let once = std::future::poll_fn(|cx| std::task::Poll::Ready(write.as_mut().poll(cx)));
        assert!(once.await.is_pending(), "it was to be frozen in the middle");
        tokio::task::yield_now().await;
    }
    f.write(batch(vec![trade(0, 1)], Some(1))).await.expect("the successor writes");
    assert_eq!(write.await, fenced(0));
    assert_eq!(f.count("trades"), "2");
}

#[tokio::test]
async fn a_session_that_the_server_ends_is_opened_again() {
    let f = Fixture::new().await;
    f.write(batch(vec![trade(0, 0)], None)).await.expect("writes");
    f.sql(
        "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity \
         WHERE datname = current_database() AND pid <> pg_backend_pid()",
    );
    write_until_it_works(&f.sink, batch(vec![trade(0, 1)], Some(1))).await;
    assert_eq!(f.count("trades"), "2");
}

#[tokio::test]
async fn a_read_only_database_is_a_retry() {
    let f = Fixture::new().await;
    f.sql(&format!("ALTER DATABASE {} SET default_transaction_read_only = on", f.database));
    let sink = prepared(&SERVER.url(&f.database)).await;
    let why = retry(sink.write(Arc::new(batch(vec![trade(0, 0)], None))).await);
    assert!(why.contains("25006"), "{why}");
}

#[tokio::test]
async fn pods_that_start_together_create_the_tables_once() {
    let url = SERVER.url(&new_database());
    let start = || async {
        let sink = PostgresSink::<TradeRow>::new(options(&url));
        sink.prepare(&context("cluster-a")).await
    };
    let all = tokio::join!(start(), start(), start(), start(), start(), start());
    assert_eq!(all, (Ok(()), Ok(()), Ok(()), Ok(()), Ok(()), Ok(())));
}

#[tokio::test]
async fn another_cluster_is_refused() {
    let f = Fixture::new().await;
    let other = PostgresSink::<TradeRow>::new(options(&SERVER.url(&f.database)));
    let text = fatal(other.prepare(&context("cluster-b")).await);
    assert!(text.contains("cluster-a") && text.contains("cluster-b"), "{text}");
    other.prepare(&context("cluster-a")).await.expect("its own cluster is welcome");
}

#[tokio::test]
async fn what_is_not_our_database_is_refused() {
    for (sql, expected) in [
        ("UPDATE meta SET value = '2' WHERE key = 'schema_version'", "schema version 2"),
        ("ALTER TABLE trades DROP COLUMN price", "price"),
        (
            "ALTER TABLE trades ALTER quantity TYPE integer",
            "column quantity: has type integer, expected bigint",
        ),
        ("ALTER TABLE dead_letters DROP COLUMN reason", "reason"),
        ("DROP TABLE positions", "positions"),
    ] {
        let f = Fixture::new().await;
        f.sql(sql);
        let sink = PostgresSink::<TradeRow>::new(options(&SERVER.url(&f.database)));
        let text = fatal(sink.prepare(&context("cluster-a")).await);
        assert!(text.contains(expected), "{sql}: {text}");
    }
    let latin = new_database() + "_latin";
    SERVER
        .psql("postgres", &format!("CREATE DATABASE {latin} ENCODING 'LATIN1' TEMPLATE template0"))
        .expect("creates");
    let sink = PostgresSink::<TradeRow>::new(options(&SERVER.url(&latin)));
    let text = fatal(sink.prepare(&context("cluster-a")).await);
    assert!(text.contains("LATIN1"), "{text}");
}

#[tokio::test]
async fn who_cannot_be_reached_and_who_does_not_let_us_in() {
    let prepare = |url: String| async move {
        PostgresSink::<TradeRow>::new(options(&url)).prepare(&context("cluster-a")).await
    };
    let nobody = prepare("postgres://u:s3cret@127.0.0.1:1/x".into()).await;
    let why = retry(nobody);
    assert!(why.contains("postgres://u@127.0.0.1:1/x") && !why.contains("s3cret"), "{why}");
    let why = fatal(prepare(SERVER.url("no_such_database")).await);
    assert!(why.contains("3D000"), "{why}");
    let why = fatal(prepare(SERVER.url("postgres").replace("tidegate@", "stranger@")).await);
    assert!(why.contains("stranger"), "{why}");
    // This server has no TLS.
    let why = fatal(prepare(SERVER.url("postgres") + "?sslmode=require").await);
    assert!(why.contains("TLS"), "{why}");
}

/// A server that is killed while batches are written recovers, and every batch
/// is there as a whole or not at all.
#[tokio::test]
async fn a_server_killed_while_it_writes_loses_and_doubles_nothing() {
    let mut server = Server::start(&[]).expect("a PostgreSQL server");
    server.create_database("k").expect("creates");
    let url = server.url("k");
    let writing = tokio::spawn(async move {
        let sink = prepared(&url).await;
        let (mut next, mut failures) = (0, 0);
        while next < 200_000 {
            let expected = (next > 0).then_some(next);
            let records = (next..next + 500).map(|offset| trade(0, offset)).collect();
            match sink.write(Arc::new(batch(records, expected))).await {
                Ok(_) => next += 500,
                // The answer of a COMMIT was lost: the position tells.
                Err(SinkError::Fenced { .. }) => {
                    next = sink.positions(&[partition(0)]).await.unwrap()[0].unwrap();
                }
                Err(SinkError::Retry(_)) => {
                    failures += 1;
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
                Err(error) => panic!("{error}"),
            }
        }
        (next, failures)
    });
    let server = tokio::task::spawn_blocking(move || {
        let deadline = std::time::Instant::now() + Duration::from_secs(120);
        for round in 1..=3u32 {
            let written = format!("SELECT count(*) >= {} FROM trades", 20_000 * round);
            while server.psql("k", &written).unwrap_or_default() != "t" {
                assert!(std::time::Instant::now() < deadline, "no progress in round {round}");
            }
            server.kill().expect("kills");
            server.start_again().expect("recovers");
        }
        server
    })
    .await
    .expect("kills and recovers");
    let (next, failures) = writing.await.expect("writes");
    assert!(failures > 0, "the writer has noticed nothing");
    let found = server.psql(
        "k",
        "SELECT count(*), count(DISTINCT kafka_offset), min(kafka_offset), max(kafka_offset) + 1, \
         (SELECT next_offset FROM positions) FROM trades",
    );
    assert_eq!(found.unwrap(), format!("{next}|{next}|0|{next}|{next}"));
}

/// What lies between us and the server: it carries bytes until it is told not to,
/// and then tells nobody.
#[derive(Default)]
struct Wire {
    dead: std::sync::atomic::AtomicBool,
}

impl Wire {
    /// Listens; returns the port.
    async fn start(self: &Arc<Self>) -> u16 {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("listener");
        let port = listener.local_addr().expect("address").port();
        let wire = Arc::clone(self);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let server = tokio::net::TcpStream::connect(("127.0.0.1", SERVER.port()));
                let (from_client, to_client) = client.into_split();
                let (from_server, to_server) = server.await.expect("connects").into_split();
                tokio::spawn(Arc::clone(&wire).carry(from_client, to_server));
                tokio::spawn(Arc::clone(&wire).carry(from_server, to_client));
            }
        });
        port
    }

    async fn carry(
        self: Arc<Self>,
        mut from: tokio::net::tcp::OwnedReadHalf,
        mut to: tokio::net::tcp::OwnedWriteHalf,
    ) {
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
        let mut bytes = vec![0; 4096];
        while let Ok(count @ 1..) = from.read(&mut bytes).await {
            if self.dead.load(Ordering::SeqCst) {
                std::future::pending::<()>().await;
            }
            to.write_all(&bytes[..count]).await.expect("writes");
        }
    }
}

/// A connection that says nothing and never ends (a proxy or a firewall forgot it, and
/// answers the keepalives): the write ends by its own limit and the next one connects.
#[tokio::test]
async fn a_half_open_connection_is_given_up() {
    let database = new_database();
    let wire = Arc::new(Wire::default());
    let port = wire.start().await;
    let url = SERVER.url(&database).replace(&SERVER.port().to_string(), &port.to_string());
    let sink = PostgresSink::new(PostgresOptions { answer_timeout_ms: 2_000, ..options(&url) });
    Sink::<TradeRow>::prepare(&sink, &context("cluster-a")).await.expect("prepares");
    let first = Arc::new(batch(vec![trade(0, 0)], None));
    sink.write(first).await.expect("the wire carries");
    wire.dead.store(true, Ordering::SeqCst);
    let second = Arc::new(batch(vec![trade(0, 1)], Some(1)));
    let waited = tokio::time::timeout(Duration::from_secs(20), sink.write(Arc::clone(&second)));
    let error = retry(waited.await.expect("it gives up"));
    assert!(error.contains("no answer within 2s"), "{error}");
    wire.dead.store(false, Ordering::SeqCst);
    sink.write(second).await.expect("over a new connection");
    let positions = Sink::<TradeRow>::positions(&sink, &[partition(0)]).await.expect("reads");
    assert_eq!(positions, [Some(2)]);
    assert_eq!(SERVER.psql(&database, "SELECT count(*) FROM trades").expect("counts"), "2");
}
