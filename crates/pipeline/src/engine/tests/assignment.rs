//! Rebalances while a write is in flight.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::world::{Call, REVOKE_TIMEOUT, Script, World, answer_of};
use crate::Error;

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test(start_paused = true)]
async fn positions_come_from_the_sink_and_kafka_follows() {
    let mut world = World::new();
    world.sink.lock().positions.insert(1, 42);
    assert_eq!(world.assign(&[0, 1]).await, [None, Some(42)]);
    assert_eq!(world.call().await, Call::Commit(1, 42));
}

#[tokio::test(start_paused = true)]
async fn an_assignment_waits_for_a_sink_that_is_down() {
    let world = World::new();
    world.sink.lock().positions.insert(0, 42);
    world.sink.lock().positions_fail = 5;
    let started = Instant::now();
    assert_eq!(world.assign(&[0]).await, [Some(42)]);
    assert!(started.elapsed() > Duration::from_millis(500), "with growing waits");
}

#[tokio::test(start_paused = true)]
async fn a_revoke_waits_for_its_records_in_flight_and_nothing_else_does() {
    let mut world = World::new();
    world.sink.lock().write_time = SECOND;
    world.assign(&[0, 1]).await;
    world.deliver(0, 0..10).await;
    world.deliver(0, 10..14).await;
    world.deliver(1, 0..4).await;
    sleep(SECOND / 10).await;
    let started = Instant::now();
    let idle = world.begin_revoke(&[1]).await;
    assert_eq!(answer_of(idle).await, [], "partition 1 has nothing in flight");
    assert_eq!(world.assign(&[2]).await, [None]);
    let revoked = world.begin_revoke(&[0]).await;
    assert!(started.elapsed() < SECOND / 100, "served while the write is in flight");
    let positions = answer_of(revoked).await;
    let waited = started.elapsed();
    assert!(waited > SECOND * 8 / 10 && waited < SECOND, "waited {waited:?} for the write");
    assert_eq!(
        positions.iter().map(|p| (p.partition, p.next_offset)).collect::<Vec<_>>(),
        [(0, 10)]
    );
    assert_eq!(world.sink.stored(0), (0..10).collect::<Vec<_>>(), "buffered records were dropped");
    assert_eq!(world.held(), 0);
}

#[tokio::test(start_paused = true)]
async fn other_partitions_go_on_while_one_is_revoked() {
    let mut world = World::new();
    world.sink.lock().write_time = SECOND;
    world.assign(&[0, 1]).await;
    world.deliver(0, 0..10).await;
    world.deliver(1, 0..10).await;
    sleep(SECOND / 10).await;
    let revoked = world.begin_revoke(&[0]).await;
    answer_of(revoked).await;
    assert_eq!(world.call().await, Call::Commit(1, 10), "0 is committed by its revoke");
    assert_eq!(world.sink.stored(0).len(), 10);
    assert_eq!(world.held(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_revoke_that_cannot_wait_abandons_the_write() {
    let mut world = World::new();
    world.sink.lock().script.push_back(Script::Hangs);
    world.sink.lock().positions.extend([(0, 100), (1, 200)]);
    world.assign(&[0, 1]).await;
    world.deliver(0, 100..105).await;
    world.deliver(1, 200..205).await;
    sleep(SECOND / 10).await;
    let started = Instant::now();
    let positions = answer_of(world.begin_revoke(&[0]).await).await;
    assert!(started.elapsed() < REVOKE_TIMEOUT, "before the group stops waiting");
    let final_positions: Vec<_> = positions.iter().map(|p| (p.partition, p.next_offset)).collect();
    assert_eq!(final_positions, [(0, 100)], "nothing of it was written");
    while world.held() > 0 {
        world.call().await;
    }
    assert_eq!(world.sink.stored(0), [0i64; 0]);
    assert_eq!(world.sink.stored(1), (200..205).collect::<Vec<_>>(), "its records went back");
    assert_eq!(world.status.metrics.abandoned.get(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_partition_lost_in_flight_commits_nothing() {
    let mut world = World::new();
    world.sink.lock().write_time = SECOND;
    world.assign(&[0, 1]).await;
    world.deliver(0, 0..5).await;
    world.deliver(1, 0..5).await;
    world.deliver(0, 5..9).await;
    sleep(SECOND / 10).await;
    world.lose(&[0]).await;
    while world.held() > 0 {
        sleep(SECOND / 10).await;
    }
    assert!(world.calls().iter().all(|call| matches!(call, Call::Commit(1, _))));
    assert_eq!(world.sink.stored(1), (0..5).collect::<Vec<_>>());
}

/// Lost and assigned again while its records are in flight: the start must be
/// the position after them.
#[tokio::test(start_paused = true)]
async fn a_partition_that_comes_back_waits_for_its_records_in_flight() {
    let mut world = World::new();
    world.sink.lock().write_time = SECOND;
    world.assign(&[0]).await;
    world.deliver(0, 0..10).await;
    sleep(SECOND / 10).await;
    world.lose(&[0]).await;
    assert_eq!(world.assign(&[0]).await, [Some(10)]);
    world.deliver(0, 10..20).await;
    while world.held() > 0 {
        world.call().await;
    }
    assert_eq!(world.sink.stored(0), (0..20).collect::<Vec<_>>());
    assert_eq!(world.status.metrics.fenced.get(), 0);
}

#[tokio::test(start_paused = true)]
async fn records_after_a_revoke_are_dropped_and_counted() {
    let mut world = World::new();
    world.assign(&[0]).await;
    answer_of(world.begin_revoke(&[0]).await).await;
    world.deliver(0, 0..10).await;
    world.assign(&[1]).await;
    assert_eq!(world.held(), 0);
    assert_eq!(world.sink.stored(0), [0i64; 0]);
}

/// As an own sink's: -1 is the client's word for the end of the log, and all before it
/// would be skipped.
#[tokio::test(start_paused = true)]
async fn a_position_below_zero_ends_the_pipeline() {
    let mut world = World::new();
    world.sink.lock().positions.insert(0, -1);
    let answer = world.begin_assign(&[0]).await;
    let end = tokio::time::timeout(SECOND, world.end()).await.expect("it ends");
    let error = end.expect_err("it is no position");
    let Error::Sink(said) = &error else { panic!("{error}") };
    for part in ["position -1 of t/0", "None"] {
        assert!(said.to_string().contains(part), "{said}");
    }
    assert!(answer.try_recv().is_err(), "nothing is read");
}
