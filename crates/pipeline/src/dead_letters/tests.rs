//! On both databases: a letter is read, replayed, refused again.

use std::sync::Arc;

use tidegate_kafka::Header;
use tidegate_pgtest::Server;

use super::{Filter, list, replay};
use crate::decode::reason;
use crate::sink::{Database, Sink, SinkContext};
use crate::table::{Mapping, TableKind};
use crate::testing::{batch, record, trade_json};
use crate::{PostgresOptions, PostgresSink, SqliteSink, TradeRow};

fn context() -> SinkContext {
    SinkContext { group: "g".into(), cluster_id: None, owner: "pod-1".into() }
}

/// Three letters: refused by a constraint, not JSON, refused by the constraint.
async fn write_letters(sink: &impl Sink<TradeRow>) {
    let mut second = record(0, 1, "{");
    second.headers = vec![Header { key: "h".into(), value: Some(vec![0u8, 255].into()) }];
    let records = vec![
        record(0, 0, &trade_json("A", "BAD")),
        second,
        record(0, 2, &trade_json("B", "BAD")),
        record(0, 3, &trade_json("C", "GOOD")),
    ];
    sink.write(Arc::new(batch(records, None))).await.expect("writes");
}

/// `sql` runs a statement; a query's answer is its first value.
async fn letters_come_and_go(database: &Database, sql: impl Fn(&str) -> String, allow: &str) {
    let all = list(database, &Filter::default()).await.expect("lists");
    let codes: Vec<&str> = all.iter().map(|letter| letter.reason_code.as_str()).collect();
    assert_eq!(
        codes,
        [reason::BAD_JSON, reason::REJECTED_BY_DATABASE, reason::REJECTED_BY_DATABASE]
    );
    assert_eq!(all[0].record.headers.len(), 1, "{:?}", all[0]);
    assert_eq!(all[0].record.offset, 1);
    assert_eq!(all[0].record.payload.as_deref(), Some(&b"{"[..]));
    let chosen =
        |filter: Filter| async move { list(database, &filter).await.expect("lists").len() };
    let by_reason = Filter { reason: Some(reason::BAD_JSON.into()), ..Filter::default() };
    assert_eq!(chosen(by_reason.clone()).await, 1);
    assert_eq!(chosen(Filter { topic: Some("other".into()), ..Filter::default() }).await, 0);
    assert_eq!(chosen(Filter { ids: vec![all[1].id], ..Filter::default() }).await, 1);
    assert_eq!(chosen(Filter { limit: Some(2), ..Filter::default() }).await, 2);
    let at = all[0].committed_at_ms;
    assert_eq!(chosen(Filter { since_ms: Some(at), ..Filter::default() }).await, 3);
    assert_eq!(chosen(Filter { until_ms: Some(at), ..Filter::default() }).await, 0);

    // A mapping that is forgotten, or another's, makes no table and changes no letter.
    let text = "table = 'other'\ncolumns = [{name='n',type='integer'}]";
    let other = TableKind::Mapped(Arc::new(Mapping::from_text("o.toml", text).expect("reads")));
    let error = replay(database, &other, &Filter::default()).await.expect_err("no such table");
    assert!(error.to_string().contains("there is no table other: --mapping"), "{error}");
    assert_eq!(other.check(database).await, Ok(None), "it was created");
    assert_eq!(list(database, &Filter::default()).await.expect("lists"), all);

    // The constraint is still there: all are refused again and stay.
    let done = replay(database, &TableKind::Trades, &Filter::default()).await.expect("replays");
    assert_eq!((done.stored, done.refused.len()), (0, 3), "{done:?}");
    sql(allow);
    let done = replay(database, &TableKind::Trades, &Filter::default()).await.expect("replays");
    assert_eq!((done.stored, done.refused.len()), (2, 1), "{done:?}");
    assert_eq!(done.refused[0].0, all[0].id);
    assert_eq!(sql("SELECT count(*) FROM trades WHERE symbol = 'BAD'"), "2");
    assert_eq!(sql("SELECT count(DISTINCT kafka_offset) FROM trades"), "3");
    let done = replay(database, &TableKind::Trades, &Filter::default()).await.expect("replays");
    assert_eq!((done.stored, done.refused.len()), (0, 1), "what is stored is gone");
    assert_eq!(sql("SELECT next_offset FROM positions"), "4", "positions are not touched");
}

#[tokio::test]
async fn sqlite_letters_come_and_go() {
    let directory = tempfile::tempdir().expect("temporary directory");
    let database = Database::sqlite(&directory.path().join("t.db"));
    let Database::Sqlite(options) = &database else { unreachable!() };
    let sink = SqliteSink::<TradeRow>::new(options.clone()).expect("thread");
    sink.prepare(&context()).await.expect("prepares");
    let connection = rusqlite::Connection::open(&options.path).expect("opens");
    let sql = |sql: &str| -> String {
        let mut statement = connection.prepare(sql).expect(sql);
        let mut rows = statement.query([]).expect(sql);
        let row = rows.next().expect(sql);
        row.map_or(String::new(), |row| {
            row.get::<_, rusqlite::types::Value>(0).map_or(String::new(), |value| match value {
                rusqlite::types::Value::Integer(number) => number.to_string(),
                other => format!("{other:?}"),
            })
        })
    };
    sql("CREATE TRIGGER refuses BEFORE INSERT ON trades WHEN NEW.symbol = 'BAD' \
         BEGIN SELECT RAISE(ABORT, 'not traded'); END");
    write_letters(&sink).await;
    letters_come_and_go(&database, sql, "DROP TRIGGER refuses").await;
}

fn postgres(server: &Server, name: &str) -> PostgresOptions {
    server.create_database(name).expect("creates");
    PostgresOptions::new(server.url(name).parse().expect("URL"))
}

#[tokio::test]
async fn postgres_letters_come_and_go() {
    let server = Server::start(&["fsync=off"]).expect("a PostgreSQL server");
    let options = postgres(&server, "l");
    let sink = PostgresSink::<TradeRow>::new(options.clone());
    sink.prepare(&context()).await.expect("prepares");
    server
        .psql("l", "ALTER TABLE trades ADD CONSTRAINT c CHECK (symbol <> 'BAD')")
        .expect("alters");
    write_letters(&sink).await;
    let sql = |sql: &str| server.psql("l", sql).expect(sql);
    letters_come_and_go(&Database::Postgres(options), sql, "ALTER TABLE trades DROP CONSTRAINT c")
        .await;
}

/// In upsert mode an old letter does not undo what came after it; two replays at
/// the same time store each letter once.
#[tokio::test]
async fn a_replay_never_goes_back_in_time() {
    let server = Server::start(&["fsync=off"]).expect("a PostgreSQL server");
    let options = postgres(&server, "u");
    let text = include_str!("../../../../config/tables/trade.toml")
        .replace("mode = \"append\"", "mode = \"upsert\"\nkey = [\"trade_id\"]");
    let kind = TableKind::Mapped(Arc::new(Mapping::from_text("t.toml", &text).expect("reads")));
    let database = Database::Postgres(options.clone());
    kind.create(&database).await.expect("creates");
    let sql = |sql: &str| server.psql("u", sql).expect(sql);
    let row = |id: &str, offset: u32| {
        format!(
            "INSERT INTO trades VALUES ('a', '{id}', 'NEW', 'BUY', 1, 1, now(), 't', 0, {offset}, 0, 0)"
        )
    };
    sql(&row("X", 9));
    sql(&row("Y", 1));
    // Written by hand: it does not say where it comes from.
    sql("INSERT INTO trades VALUES ('a', 'W', 'NEW', 'BUY', 1, 1, now())");
    let letter = |id: &str, offset: u32| {
        let json = trade_json(id, "OLD");
        format!(
            "INSERT INTO dead_letters (kafka_topic, kafka_partition, kafka_offset, payload, headers, \
             reason_code, reason, committed_at_ms) VALUES ('t', 0, {offset}, '{json}', '[]', 'x', 'x', 0)"
        )
    };
    for (id, offset) in [("W", 5), ("X", 5), ("Y", 5), ("Z", 5)] {
        sql(&letter(id, offset));
    }
    let filter = Filter::default();
    let (one, two) =
        tokio::join!(replay(&database, &kind, &filter), replay(&database, &kind, &filter));
    let stored = one.expect("replays").stored + two.expect("replays").stored;
    assert_eq!(stored, 4, "each letter once");
    let found = sql("SELECT string_agg(trade_id || symbol, ' ' ORDER BY trade_id) FROM trades");
    assert_eq!(found, "WOLD XNEW YOLD ZOLD");
    assert_eq!(sql("SELECT count(*) FROM dead_letters"), "0");
}

/// The other has stored the row and not yet said so: it is a duplicate then, and no letter that
/// is refused again.
#[tokio::test]
async fn a_letter_that_another_replay_stores_meanwhile_is_not_refused() {
    let server = Server::start(&["fsync=off"]).expect("a PostgreSQL server");
    let options = postgres(&server, "d");
    let sink = PostgresSink::<TradeRow>::new(options.clone());
    sink.prepare(&context()).await.expect("prepares");
    let sql = |sql: &str| server.psql("d", sql).expect(sql);
    sql("ALTER TABLE trades ADD CONSTRAINT c CHECK (symbol <> 'BAD')");
    write_letters(&sink).await;
    sql("ALTER TABLE trades DROP CONSTRAINT c; CREATE UNIQUE INDEX ON trades (trade_id)");
    let mut other = server.client().session(&server.url("d")).expect("a session");
    other.run("BEGIN;").expect("begins");
    other.run("INSERT INTO trades (trade_id, symbol) VALUES ('A', 'BAD');").expect("inserts");
    other.run("DELETE FROM dead_letters WHERE kafka_offset = 0;").expect("deletes");
    let database = Database::Postgres(options);
    let replaying = tokio::spawn(async move {
        replay(&database, &TableKind::Trades, &Filter::default()).await.expect("replays")
    });
    let waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'";
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(30);
    while sql(waiting) != "1" {
        assert!(std::time::Instant::now() < deadline, "it waits for nothing");
        tokio::task::yield_now().await;
    }
    other.run("COMMIT;").expect("commits");
    let done = replaying.await.expect("no panic");
    let refused: Vec<&str> = done.refused.iter().map(|(_, code, _)| code.as_str()).collect();
    assert_eq!((done.stored, refused), (1, vec![reason::BAD_JSON]));
    assert_eq!(sql("SELECT string_agg(trade_id, ' ' ORDER BY trade_id) FROM trades"), "A B C");
}
