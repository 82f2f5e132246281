//! Mapped tables and upserts on a real server.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock, Mutex};
use std::time::{Duration, Instant};

use futures_util::SinkExt as _;
use tidegate_kafka::Record;
use tidegate_pgtest::Server;
use tidegate_postgres::tokio_postgres::{self, NoTls};

use super::{PostgresOptions, PostgresSink};
use crate::batch::{Batch, Entry, PositionUpdate};
use crate::decode::{Decoder, reason};
use crate::sink::{Database, Sink, SinkContext, SinkError};
use crate::table::{MappedDecoder, MappedRow, Mapping, TableKind};
use crate::testing::{partition, record};

pub(super) static SERVER: LazyLock<Server> =
    LazyLock::new(|| Server::start(&["fsync=off"]).expect("a PostgreSQL server"));

pub(super) fn new_database() -> String {
    static NUMBER: AtomicUsize = AtomicUsize::new(0);
    let name = format!("m{}", NUMBER.fetch_add(1, Ordering::Relaxed));
    SERVER.create_database(&name).expect("creates");
    name
}

pub(super) const ACCOUNTS: &str = "
table = 'accounts'
mode = 'upsert'
key = ['id']
[[columns]]
name = 'id'
type = 'text'
[[columns]]
name = 'balance'
type = 'numeric'
";

pub(super) fn mapping(text: &str) -> Arc<Mapping> {
    Arc::new(Mapping::from_text("m.toml", text).expect("reads"))
}

pub(super) fn context() -> SinkContext {
    SinkContext { group: "workers".into(), cluster_id: None, owner: "pod-1".into() }
}

pub(super) fn batch(
    mapping: &Arc<Mapping>,
    records: Vec<Record>,
    expected: Option<i64>,
) -> Batch<MappedRow> {
    let decoder = MappedDecoder::new(mapping.clone());
    let next_offset = records.last().expect("records").offset + 1;
    let entry = |record: Record| {
        let outcome = decoder.decode(&record);
        Entry::new(record, outcome, tokio::time::Instant::now(), 0)
    };
    Batch {
        entries: records.into_iter().map(entry).collect(),
        positions: vec![PositionUpdate { partition: partition(0), expected, next_offset }],
    }
}

pub(super) fn account(offset: i64, id: &str, balance: &str) -> Record {
    record(0, offset, &format!(r#"{{"id":"{id}","balance":{balance}}}"#))
}

pub(super) async fn prepared(
    options: PostgresOptions,
    mapping: &Arc<Mapping>,
) -> PostgresSink<MappedRow> {
    let sink = PostgresSink::mapped(options, mapping);
    sink.prepare(&context()).await.expect("prepares");
    sink
}

pub(super) fn options(url: &str) -> PostgresOptions {
    PostgresOptions::new(url.parse().expect(url))
}

#[tokio::test]
async fn every_type_arrives_as_it_was_sent() {
    let database = new_database();
    let mapping = mapping(
        "table = 'things'
         columns = [{name='t',type='text'},{name='b',type='bigint'},{name='i',type='integer'},
           {name='n',type='numeric'},{name='d',type='double'},{name='o',type='boolean'},
           {name='at',type='timestamptz'},{name='day',type='date'},{name='u',type='uuid'},
           {name='j',type='jsonb'},{name='y',type='bytea'},{name='z',type='text',nullable=true}]
         record = {key='k',key_text='kt',headers='h',timestamp='ts',offset='o2',committed_at='c'}",
    );
    let sink = prepared(options(&SERVER.url(&database)), &mapping).await;
    let json = r#"{"t":"a\"é","b":-9,"i":7,"n":12345678901234567890.00100,"d":0.5,"o":true,
        "at":"2026-01-01T02:00:00+02:00","day":"1999-12-31",
        "u":"00010203-0405-0607-0809-0a0b0c0d0e0f","j":{"a":[1]},"y":"AP8="}"#;
    let written = sink.write(Arc::new(batch(&mapping, vec![record(0, 3, json)], None))).await;
    assert_eq!(written.expect("writes").rejected, []);
    let row = SERVER
        .psql(
            &database,
            "SET timezone='UTC'; SELECT t, b, i, n, d, o, at, day, u, j, y, z IS NULL, k, kt, h, ts, o2, \
             c > '2026-01-01' FROM things",
        )
        .expect("reads");
    assert_eq!(
        row,
        "a\"é|-9|7|12345678901234567890.00100|0.5|t|2026-01-01 00:00:00+00|1999-12-31|\
         00010203-0405-0607-0809-0a0b0c0d0e0f|{\"a\": [1]}|\\x00ff|t|\\x41434331303030|ACC1000|[]|\
         1970-01-01 00:00:01.003+00|3|t"
    );
}

#[tokio::test]
async fn the_last_record_of_a_key_wins() {
    let database = new_database();
    let mapping = mapping(ACCOUNTS);
    let sink = prepared(options(&SERVER.url(&database)), &mapping).await;
    let first = vec![account(0, "a", "1"), account(1, "b", "2"), account(2, "a", "3")];
    sink.write(Arc::new(batch(&mapping, first, None))).await.expect("writes");
    let second = vec![account(3, "b", "4"), account(4, "c", "5")];
    sink.write(Arc::new(batch(&mapping, second, Some(3)))).await.expect("writes");
    let sql = |sql: &str| SERVER.psql(&database, sql).expect(sql);
    assert_eq!(
        sql(
            "SELECT string_agg(id || balance || '@' || kafka_offset, ' ' ORDER BY id) FROM accounts"
        ),
        "a3@2 b4@3 c5@4"
    );
    // The last one is refused: the one before it takes its place.
    sql("ALTER TABLE accounts ADD CHECK (balance < 100)");
    let third = vec![account(5, "a", "6"), account(6, "a", "7"), account(7, "a", "100")];
    let written = sink.write(Arc::new(batch(&mapping, third, Some(5)))).await.expect("writes");
    assert_eq!(written.rejected.len(), 1, "{written:?}");
    assert_eq!(sql("SELECT balance FROM accounts WHERE id = 'a'"), "7");
    assert_eq!(sql("SELECT kafka_offset FROM dead_letters"), "7");
}

#[tokio::test]
async fn new_keys_are_copied_and_known_ones_upserted() {
    let database = new_database();
    let mapping = mapping(ACCOUNTS);
    let sink = prepared(options(&SERVER.url(&database)), &mapping).await;
    let sql = |sql: &str| SERVER.psql(&database, sql).expect(sql);
    // A COPY fires no trigger for updates, an upsert one for each statement.
    sql("CREATE TABLE upserts (at timestamptz); \
         CREATE FUNCTION tell() RETURNS trigger LANGUAGE plpgsql AS \
           'BEGIN INSERT INTO upserts VALUES (now()); RETURN NULL; END'; \
         CREATE TRIGGER tells AFTER UPDATE ON accounts FOR EACH STATEMENT EXECUTE FUNCTION tell()");
    let upserts = || sql("SELECT count(*) FROM upserts");
    let write = async |records: Vec<Record>, expected| {
        let written = sink.write(Arc::new(batch(&mapping, records, expected))).await;
        assert_eq!(written.expect("writes").rejected, []);
    };
    write(vec![account(0, "a", "1"), account(1, "b", "2")], None).await;
    assert_eq!(upserts(), "0", "new keys");
    write(vec![account(2, "c", "1"), account(3, "c", "2")], Some(2)).await;
    assert_eq!(upserts(), "1", "one key twice");
    write(vec![account(4, "d", "1"), account(5, "a", "3")], Some(4)).await;
    assert_eq!(upserts(), "2", "a known key");
    write(vec![account(6, "e", "1")], Some(6)).await;
    assert_eq!(upserts(), "3", "no attempt so soon");
    let all = "SELECT string_agg(id || balance, ' ' ORDER BY id) FROM accounts";
    assert_eq!(sql(all), "a3 b2 c2 d1 e1");
    assert_eq!(sql("SELECT next_offset FROM positions"), "7");
}

#[tokio::test]
async fn a_table_that_does_not_fit_is_told_by_column_before_a_record_is_read() {
    let database = new_database();
    let mapping = mapping(ACCOUNTS);
    let sql = |sql: &str| SERVER.psql(&database, sql).expect(sql);
    let kind = TableKind::Mapped(mapping.clone());
    let place = Database::Postgres(options(&SERVER.url(&database)));
    assert_eq!(kind.check(&place).await, Ok(None));
    kind.create(&place).await.expect("creates");
    assert_eq!(kind.check(&place).await, Ok(Some(Vec::new())));
    sql("ALTER TABLE accounts DROP CONSTRAINT accounts_pkey, ALTER balance TYPE bigint, \
         DROP COLUMN kafka_topic, ADD COLUMN owner text NOT NULL DEFAULT '', \
         ADD COLUMN branch text NOT NULL");
    let sink = PostgresSink::mapped(options(&SERVER.url(&database)), &mapping);
    let Err(SinkError::Fatal(text)) = sink.prepare(&context()).await else { panic!("it fits") };
    for part in [
        "column balance: has type bigint, expected numeric",
        "column kafka_topic: missing",
        "column branch: is NOT NULL without a default",
        "column id: is the key and has no unique index",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert_eq!(text.matches("column ").count(), 4, "{text}");
}

#[tokio::test]
async fn a_type_that_rounds_is_worth_a_note() {
    let database = new_database();
    let kind = TableKind::Mapped(mapping(ACCOUNTS));
    let place = Database::Postgres(options(&SERVER.url(&database)));
    kind.create(&place).await.expect("creates");
    SERVER.psql(&database, "ALTER TABLE accounts ALTER balance TYPE numeric(9,2)").expect("alters");
    let drifts = kind.check(&place).await.expect("answers").expect("is there");
    let said: Vec<String> = drifts.iter().map(ToString::to_string).collect();
    let rounds =
        "column balance: has type numeric(9,2): values are rounded to 2 digits after the point";
    assert_eq!(said, [rounds]);
    assert!(!drifts[0].is_error, "rows can be written all the same");
}

#[tokio::test]
async fn a_pod_that_stopped_in_the_middle_of_a_copy_holds_nobody_up() {
    let database = new_database();
    let mapping = mapping(ACCOUNTS);
    let url = SERVER.url(&database);
    let options = PostgresOptions { lock_timeout_ms: 300, ..options(&url) };
    let sink = prepared(options, &mapping).await;
    let stopped = async |name: &str| {
        let url = format!("{url}?application_name={}", name.replace(" ", "%20"));
        let (client, connection) = tokio_postgres::connect(&url, NoTls).await.expect("connects");
        tokio::spawn(connection);
        client.batch_execute("BEGIN").await.expect("begins");
        let sql = "COPY accounts (id, balance) FROM STDIN";
        let mut copy = Box::pin(client.copy_in::<_, bytes::Bytes>(sql).await.expect("copies"));
        // More than the server keeps before it looks at the rows.
        let rows = (0..20_000).map(|row| format!("{name}{row}\t1\n")).collect::<String>();
        copy.feed(rows.into()).await.expect("takes rows");
        copy.flush().await.expect("sends");
        (client, copy)
    };
    let ours = stopped("tidegate pod-0").await;
    let others = stopped("report").await;
    let started = Instant::now();
    let ours_again = || batch(&mapping, vec![account(0, "tidegate pod-00", "2")], None);
    while let Err(error) = sink.write(Arc::new(ours_again())).await {
        assert!(matches!(error, SinkError::Retry(_)), "{error}");
        assert!(started.elapsed() < Duration::from_secs(10), "{error}");
    }
    let rows = SERVER.psql(&database, "SELECT count(*) FROM accounts").expect("counts");
    assert_eq!(rows, "1", "what was not committed is gone");
    drop(ours);
    // Who is no pod of ours is waited for.
    for _ in 0..2 {
        let other = batch(&mapping, vec![account(1, "report0", "2")], Some(1));
        let error = sink.write(Arc::new(other)).await.expect_err("is held up");
        assert!(error.to_string().contains("55P03"), "{error}");
    }
    drop(others);
}

/// Between a client and a server: holds answers back until everything that was
/// sent is answered, and counts how often it lets them go.
struct Exchanges {
    port: u16,
    count: Arc<AtomicUsize>,
}

/// The client has nothing more to send for now.
const QUIET: Duration = Duration::from_millis(40);

impl Exchanges {
    fn new(server_port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("binds");
        let port = listener.local_addr().expect("address").port();
        let count = Arc::new(AtomicUsize::new(0));
        let counted = count.clone();
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let server = TcpStream::connect(("127.0.0.1", server_port)).expect("connects");
                Self::carry(&client, &server, &counted);
            }
        });
        Self { port, count }
    }

    fn carry(client: &TcpStream, server: &TcpStream, count: &Arc<AtomicUsize>) {
        let last = Arc::new(Mutex::new(Instant::now()));
        let (mut from, mut to) =
            (client.try_clone().expect("client"), server.try_clone().expect("server"));
        let sent = last.clone();
        std::thread::spawn(move || {
            let mut bytes = vec![0; 1 << 16];
            while let Ok(length @ 1..) = from.read(&mut bytes) {
                *sent.lock().expect("lock") = Instant::now();
                if to.write_all(&bytes[..length]).is_err() {
                    break;
                }
            }
            let _ = to.shutdown(Shutdown::Both);
        });
        let (mut from, mut to) =
            (server.try_clone().expect("server"), client.try_clone().expect("client"));
        let count = count.clone();
        std::thread::spawn(move || {
            let mut held = Vec::new();
            let mut bytes = vec![0; 1 << 16];
            from.set_read_timeout(Some(QUIET)).expect("timeout");
            loop {
                match from.read(&mut bytes) {
                    Ok(0) => break,
                    Ok(length) => held.extend_from_slice(&bytes[..length]),
                    Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                        let is_quiet = last.lock().expect("lock").elapsed() > QUIET;
                        if is_quiet && !held.is_empty() {
                            count.fetch_add(1, Ordering::SeqCst);
                            if to.write_all(&held).is_err() {
                                break;
                            }
                            held.clear();
                        }
                    }
                    Err(_) => break,
                }
            }
            let _ = to.shutdown(Shutdown::Both);
        });
    }
}

/// A batch of 10,000 with one row that nobody names: a handful of exchanges. A client that
/// gets no processor for a while looks as if it had nothing to send, which adds one; so
/// the least of a few tries counts.
#[tokio::test]
async fn a_bad_row_costs_a_handful_of_exchanges() {
    for mode in ["append", "upsert"] {
        let text = match mode {
            "append" => ACCOUNTS.replace("mode = 'upsert'\nkey = ['id']", ""),
            _ => ACCOUNTS.to_owned(),
        };
        let mapping = mapping(&text);
        let mut tries = Vec::new();
        let is_few = |(good, with_bad): &(usize, usize)| *good <= 3 && *with_bad <= good + 6;
        while tries.len() < 5 && !tries.iter().any(is_few) {
            tries.push(exchanges_of_a_good_and_a_bad_batch(&mapping).await);
        }
        eprintln!("{mode}: exchanges of a good batch, and of one with a bad row: {tries:?}");
        assert!(tries.iter().any(is_few), "{mode}: {tries:?}");
    }
}

async fn exchanges_of_a_good_and_a_bad_batch(mapping: &Arc<Mapping>) -> (usize, usize) {
    let database = new_database();
    let proxy = Exchanges::new(SERVER.port());
    let url = SERVER.url(&database).replace(&SERVER.port().to_string(), &proxy.port.to_string());
    let sink = prepared(options(&url), mapping).await;
    SERVER
        .psql(
            &database,
            "CREATE TABLE ids (id text PRIMARY KEY); \
             INSERT INTO ids SELECT 'k' || n FROM generate_series(0, 20000) AS n; \
             ALTER TABLE accounts ADD FOREIGN KEY (id) REFERENCES ids",
        )
        .expect("alters");
    let records = |from: i64, bad: Option<i64>| {
        (from..from + 10_000)
            .map(|offset| match bad {
                Some(bad) if bad == offset => account(offset, "nobody", "1"),
                _ => account(offset, &format!("k{offset}"), "1.5"),
            })
            .collect::<Vec<_>>()
    };
    let before = proxy.count.load(Ordering::SeqCst);
    sink.write(Arc::new(batch(mapping, records(0, None), None))).await.expect("writes");
    let good = proxy.count.load(Ordering::SeqCst) - before;
    let bad = batch(mapping, records(10_000, Some(17_777)), Some(10_000));
    let written = sink.write(Arc::new(bad)).await.expect("writes");
    let with_bad = proxy.count.load(Ordering::SeqCst) - before - good;
    let [(7_777, why)] = written.rejected.as_slice() else { panic!("{:?}", written.rejected) };
    assert_eq!(why.code, reason::REJECTED_BY_DATABASE);
    let count = SERVER.psql(&database, "SELECT count(*) FROM accounts").expect("counts");
    assert_eq!(count, "19999");
    (good, with_bad)
}
