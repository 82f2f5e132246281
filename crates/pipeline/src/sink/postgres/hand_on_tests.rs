//! One connection, and a COMMIT that takes its time: the next batch is opened behind it,
//! and whatever becomes of the first one happens to that one alone.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::task::JoinHandle;

use super::tests::{Fixture, SERVER, context, fenced, new_database, options, retry};
use super::{PostgresOptions, PostgresSink};
use crate::batch::Batch;
use crate::decode::{TradeRow, reason};
use crate::sink::{Sink, SinkError, Written};
use crate::testing::{batch, partition, record, trade, trade_json};

type Writing = JoinHandle<Result<Written, SinkError>>;

/// A row of `SLOW` makes the COMMIT wait until `go` has a row.
const SLOW_COMMIT: &str = "
    CREATE TABLE go (at integer);
    CREATE FUNCTION wait() RETURNS trigger LANGUAGE plpgsql AS
      'BEGIN WHILE NOT EXISTS (SELECT FROM go) LOOP PERFORM pg_sleep(0.005); END LOOP;
       RETURN NULL; END';
    CREATE CONSTRAINT TRIGGER waits AFTER INSERT ON trades DEFERRABLE INITIALLY DEFERRED
      FOR EACH ROW WHEN (NEW.symbol = 'SLOW') EXECUTE FUNCTION wait()";

struct World {
    database: String,
    sink: Arc<PostgresSink>,
}

impl World {
    async fn new(sql: &str) -> Self {
        let database = new_database();
        let sink = sink(&database).await;
        SERVER.psql(&database, SLOW_COMMIT).expect("a slow commit");
        SERVER.psql(&database, sql).expect(sql);
        Self { database, sink }
    }

    fn sql(&self, sql: &str) -> String {
        SERVER.psql(&self.database, sql).expect(sql)
    }

    /// Starts a batch with a slow COMMIT; returns once that is sent and the connection is
    /// free for the next one.
    async fn write_slowly(&self, sink: &Arc<PostgresSink>, batch: Batch<TradeRow>) -> Writing {
        let writing = start(sink, batch);
        until("its COMMIT is sent", || {
            assert!(!writing.is_finished(), "the COMMIT was to wait");
            sink.pool.free_turns() == 1 && sink.pool.idle() > 0
        })
        .await;
        writing
    }

    /// Starts a batch; returns once it has the connection, on which a COMMIT waits.
    async fn write_behind(&self, sink: &Arc<PostgresSink>, batch: Batch<TradeRow>) -> Writing {
        let writing = start(sink, batch);
        until("it has the connection", || sink.pool.free_turns() == 0).await;
        writing
    }

    /// The server is at a COMMIT that waits.
    async fn until_it_commits(&self) {
        let committing = "SELECT count(*) FROM pg_stat_activity \
             WHERE datname = current_database() AND query = 'COMMIT' AND state = 'active'";
        until("the server is at the COMMIT", || self.sql(committing) == "1").await;
    }

    fn let_go(&self) {
        self.sql("INSERT INTO go VALUES (1)");
    }
}

async fn sink(database: &str) -> Arc<PostgresSink> {
    let url = SERVER.url(database);
    let sink = PostgresSink::new(PostgresOptions { lock_timeout_ms: 60_000, ..options(&url) });
    Sink::<TradeRow>::prepare(&sink, &context("cluster-a")).await.expect("prepares");
    Arc::new(sink)
}

fn start(sink: &Arc<PostgresSink>, batch: Batch<TradeRow>) -> Writing {
    let sink = Arc::clone(sink);
    tokio::spawn(async move { sink.write(Arc::new(batch)).await })
}

async fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !is_so() {
        assert!(Instant::now() < deadline, "not within 30 s: {what}");
        tokio::task::yield_now().await;
    }
}

fn slow(p: i32, offset: i64) -> tidegate_kafka::Record {
    record(p, offset, &trade_json("TRD", "SLOW"))
}

#[tokio::test]
async fn the_next_batch_waits_behind_a_commit_and_both_are_stored() {
    let world = World::new("SELECT 1").await;
    let first = world.write_slowly(&world.sink, batch(vec![slow(0, 0), trade(0, 1)], None)).await;
    let second = world.write_behind(&world.sink, batch(vec![trade(1, 0)], None)).await;
    assert_eq!(world.sql("SELECT count(*) FROM trades"), "0");
    let sessions = "SELECT count(*) FROM pg_stat_activity \
                    WHERE datname = current_database() AND application_name LIKE 'tidegate%'";
    assert_eq!(world.sql(sessions), "1", "over one connection");
    world.let_go();
    first.await.expect("ends").expect("the first is written");
    second.await.expect("ends").expect("the second is written");
    let order = "SELECT kafka_partition, kafka_offset FROM trades ORDER BY id";
    assert_eq!(world.sql(order), "0|0\n0|1\n1|0");
    let positions = world.sink.positions(&[partition(0), partition(1)]).await;
    assert_eq!(positions, Ok(vec![Some(2), Some(1)]));
}

/// The COMMIT is refused while the next batch is open behind it: the rows are sifted
/// afterwards, in a turn of their own.
#[tokio::test]
async fn a_batch_that_its_commit_refuses_is_sifted_after_the_next_one() {
    let world = World::new(
        "CREATE TABLE symbols (symbol text PRIMARY KEY); \
         INSERT INTO symbols VALUES ('AAPL'), ('SLOW'); \
         ALTER TABLE trades ADD FOREIGN KEY (symbol) REFERENCES symbols DEFERRABLE INITIALLY DEFERRED",
    )
    .await;
    let bad = record(0, 1, &trade_json("TRD", "BAD"));
    let rows = vec![slow(0, 0), bad, trade(0, 2)];
    let first = world.write_slowly(&world.sink, batch(rows, None)).await;
    let second = world.write_behind(&world.sink, batch(vec![trade(1, 0)], None)).await;
    world.let_go();
    second.await.expect("ends").expect("the second is written");
    let written = first.await.expect("ends").expect("the good rows are written");
    let [(1, why)] = written.rejected.as_slice() else { panic!("{:?}", written.rejected) };
    assert_eq!(why.code, reason::REJECTED_BY_DATABASE);
    let order = "SELECT kafka_partition, kafka_offset FROM trades ORDER BY id";
    assert_eq!(world.sql(order), "1|0\n0|0\n0|2");
    assert_eq!(world.sql("SELECT kafka_partition, kafka_offset FROM dead_letters"), "0|1");
    let positions = world.sink.positions(&[partition(0), partition(1)]).await;
    assert_eq!(positions, Ok(vec![Some(3), Some(1)]));
}

/// Two owners of partition 0. The second one's compare-and-set waits for the first one's
/// COMMIT, and its next batch waits behind it.
#[tokio::test]
async fn an_owner_that_is_fenced_by_its_commit_goes_on_with_the_next_batch() {
    let world = World::new("SELECT 1").await;
    let other = sink(&world.database).await;
    let first = world.write_slowly(&world.sink, batch(vec![slow(0, 0)], None)).await;
    world.until_it_commits().await;
    let too_late = world.write_slowly(&other, batch(vec![trade(0, 0)], None)).await;
    let next = world.write_behind(&other, batch(vec![trade(1, 0)], None)).await;
    world.let_go();
    first.await.expect("ends").expect("the first owner");
    assert_eq!(too_late.await.expect("ends"), fenced(0));
    next.await.expect("ends").expect("a partition that nobody else has");
    assert_eq!(
        world.sql("SELECT kafka_partition, kafka_offset FROM trades ORDER BY 1"),
        "0|0\n1|0"
    );
}

/// The other owner's row is there and not committed yet: a COPY of the same key waits for
/// it, and is refused then. The batch is written again, after the one behind it.
#[tokio::test]
async fn a_batch_whose_key_is_there_is_upserted_after_the_next_one() {
    let database = new_database();
    let upserting = async || {
        let url = SERVER.url(&database);
        let options = PostgresOptions { lock_timeout_ms: 60_000, ..options(&url) };
        let sink = PostgresSink::upsert(options, &["trade_id"]);
        Sink::<TradeRow>::prepare(&sink, &context("cluster-a")).await.expect("prepares");
        Arc::new(sink)
    };
    let world = World { sink: upserting().await, database: database.clone() };
    world.sql(SLOW_COMMIT);
    let other = upserting().await;
    let theirs = record(2, 0, &trade_json("TRD", "SLOW"));
    let theirs = world.write_slowly(&other, batch(vec![theirs], None)).await;
    world.until_it_commits().await;
    let ours = batch(vec![record(0, 0, &trade_json("TRD", "OURS"))], None);
    let first = world.write_slowly(&world.sink, ours).await;
    let second = world.write_behind(&world.sink, batch(vec![trade(1, 0)], None)).await;
    world.let_go();
    for writing in [theirs, first, second] {
        assert_eq!(writing.await.expect("ends").expect("is written").rejected, []);
    }
    let rows = "SELECT symbol, kafka_partition FROM trades ORDER BY kafka_partition";
    assert_eq!(world.sql(rows), "OURS|0\nAAPL|1");
    let positions = world.sink.positions(&[partition(0), partition(1)]).await;
    assert_eq!(positions, Ok(vec![Some(1), Some(1)]));
}

/// After an error the session serves whoever is on it already, and nobody else.
#[tokio::test]
async fn a_session_whose_commit_failed_is_not_used_again() {
    let f = Fixture::new().await;
    f.sql(
        "CREATE TABLE broken (at integer); INSERT INTO broken VALUES (1); \
         CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS \
           'BEGIN IF EXISTS (SELECT FROM broken) THEN \
              RAISE ''a standby'' USING ERRCODE = ''25006''; END IF; RETURN NULL; END'; \
         CREATE CONSTRAINT TRIGGER fails AFTER INSERT ON trades DEFERRABLE INITIALLY DEFERRED \
           FOR EACH ROW EXECUTE FUNCTION fail()",
    );
    let why = retry(f.write(batch(vec![trade(0, 0)], None)).await);
    assert!(why.contains("25006"), "{why}");
    assert_eq!(f.sink.pool.idle(), 0, "it was kept");
    f.sql("DELETE FROM broken");
    f.write(batch(vec![trade(0, 0)], None)).await.expect("over a new connection");
    assert_eq!(f.count("trades"), "1");
}
