//! The engine on a real PostgreSQL, in real time: what the database does to it, and
//! how soon it goes on. No clock is asserted on but the bound on the recovery.

use std::time::{Duration, Instant};

use tidegate_pgtest::Server;

use super::world::{World, options};
use crate::sink::{Sink, SinkContext, SinkError};
use crate::{PostgresOptions, PostgresSink, TradeRow};

/// From the server's first answer to the last of what had waited.
const RECOVERY: Duration = Duration::from_secs(5);
/// For failures that have to come; far above what the waits between them add up to.
const PATIENCE: Duration = Duration::from_secs(60);

fn sink(url: &str, connections: usize) -> PostgresSink {
    PostgresSink::new(PostgresOptions {
        lock_timeout_ms: 300,
        connections,
        ..PostgresOptions::new(url.parse().expect(url))
    })
}

async fn prepared(url: &str, connections: usize) -> PostgresSink {
    let sink = sink(url, connections);
    Sink::<TradeRow>::prepare(&sink, &context()).await.expect("prepares");
    sink
}

fn context() -> SinkContext {
    SinkContext { group: "g".into(), cluster_id: None, owner: "o".into() }
}

fn server(settings: &[&str]) -> Server {
    let settings: Vec<&str> = settings.iter().copied().chain(["fsync=off"]).collect();
    let server = Server::start(&settings).expect("a PostgreSQL server");
    server.create_database("d").expect("creates");
    server
}

async fn until_written(world: &mut World) {
    let all = async {
        while world.held() > 0 {
            world.call().await;
        }
    };
    if tokio::time::timeout(PATIENCE, all).await.is_err() {
        panic!("{} records are not written after {PATIENCE:?}", world.held());
    }
}

/// Until the sink has failed this often.
async fn until_failed(world: &World, times: u64) {
    let failures = world.status.metrics.sink_failures.get_or_create_owned(&[("kind", "retry")]);
    let all = async {
        while failures.get() < times {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    if tokio::time::timeout(PATIENCE, all).await.is_err() {
        panic!("{} failures of the sink after {PATIENCE:?}, not {times}", failures.get());
    }
}

fn assert_all_stored(server: &Server, partitions: i32, records: i64) {
    let found = server.psql(
        "d",
        "SELECT count(*), count(DISTINCT (kafka_partition, kafka_offset)), max(kafka_offset) + 1 \
         FROM trades",
    );
    let all = i64::from(partitions) * records;
    assert_eq!(found.expect("counts"), format!("{all}|{all}|{records}"));
}

#[tokio::test]
async fn partitions_are_spread_over_the_connections() {
    let server = server(&[]);
    let sink = prepared(&server.url("d"), 3).await;
    let mut world = World::with(options(), false, |_| sink);
    world.assign(&[0, 1, 2, 3]).await;
    for offset in (0..200).step_by(20) {
        for p in 0..4 {
            world.deliver(p, offset..offset + 20).await;
        }
    }
    until_written(&mut world).await;
    assert_all_stored(&server, 4, 200);
    assert_eq!(world.status.metrics.fenced.get(), 0, "no partition overtook itself");
    let sessions =
        "SELECT count(*) > 1 FROM pg_stat_activity WHERE application_name LIKE 'tidegate %'";
    assert_eq!(server.psql("d", sessions).expect("counts"), "t", "one connection did it all");
}

#[tokio::test]
async fn after_an_outage_everything_is_written_within_five_seconds() {
    let mut server = server(&[]);
    let sink = prepared(&server.url("d"), 2).await;
    let mut world = World::with(options(), false, |_| sink);
    world.assign(&[0, 1]).await;
    world.deliver(0, 0..50).await;
    until_written(&mut world).await;
    server.kill().expect("kills");
    world.deliver(0, 50..100).await;
    world.deliver(1, 0..100).await;
    // By then the waits have grown to their bound.
    until_failed(&world, 8).await;
    assert!(world.status.sink_failure().is_some(), "readiness tells");
    let server = tokio::task::spawn_blocking(move || {
        server.start_again().expect("recovers");
        server
    });
    let server = server.await.expect("starts");
    let back = Instant::now();
    until_written(&mut world).await;
    let took = back.elapsed();
    assert!(took < RECOVERY, "written {took:?} after the database was back");
    assert_all_stored(&server, 2, 100);
    assert_eq!(world.status.sink_failure(), None);
}

/// A trigger says what the server itself says when a disk is full, a deadlock is
/// broken up, a lock cannot be had, a standby was asked.
#[tokio::test]
async fn what_passes_is_tried_again_and_loses_nothing() {
    let server = server(&[]);
    let sink = prepared(&server.url("d"), 2).await;
    let mut world = World::with(options(), false, |_| sink);
    world.assign(&[0, 1]).await;
    let mut failures = 0;
    for (round, code) in
        ["53100", "40P01", "40001", "55P03", "25006", "57014", "53200"].iter().enumerate()
    {
        let refuse = format!(
            "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS \
             'BEGIN RAISE EXCEPTION ''no'' USING ERRCODE = ''{code}''; END'; \
             CREATE TRIGGER refuse BEFORE INSERT ON trades EXECUTE FUNCTION refuse()"
        );
        server.psql("d", &refuse).expect(code);
        let from = round as i64 * 20;
        world.deliver(0, from..from + 20).await;
        world.deliver(1, from..from + 20).await;
        failures += 2;
        until_failed(&world, failures).await;
        failures =
            world.status.metrics.sink_failures.get_or_create_owned(&[("kind", "retry")]).get();
        server.psql("d", "DROP FUNCTION refuse() CASCADE").expect("drops");
        until_written(&mut world).await;
    }
    assert_all_stored(&server, 2, 140);
    assert_eq!(server.psql("d", "SELECT count(*) FROM dead_letters").expect("counts"), "0");
}

#[tokio::test]
async fn a_server_without_a_free_connection_is_waited_for() {
    let server = server(&["max_connections=5", "superuser_reserved_connections=0"]);
    let url = server.url("d");
    let holders: Vec<_> = (0..5)
        .map(|_| {
            let url = url.clone();
            tokio::spawn(async move {
                let sink = sink(&url, 1);
                // The session that made the database may still be going.
                prepared_in_time(&sink).await;
                sink
            })
        })
        .collect();
    let mut held = Vec::new();
    for holder in holders {
        held.push(holder.await);
    }
    // All five are taken: psql's own would be the sixth.
    let refused = sink(&url, 1);
    match Sink::<TradeRow>::prepare(&refused, &context()).await {
        Err(SinkError::Retry(why)) => assert!(why.contains("53300"), "{why}"),
        other => panic!("expected a retry, got {other:?}"),
    }
    drop(held);
    prepared_in_time(&refused).await;
}

/// Prepares a sink, again and again while the server has no free connection.
async fn prepared_in_time(sink: &PostgresSink) {
    let deadline = Instant::now() + RECOVERY;
    while let Err(error) = Sink::<TradeRow>::prepare(sink, &context()).await {
        assert!(matches!(error, SinkError::Retry(_)), "{error}");
        assert!(Instant::now() < deadline, "{error}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
