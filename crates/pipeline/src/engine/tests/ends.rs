//! Drains.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::world::{Call, Script, World, options};
use crate::Error;
use crate::status::Phase;

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test(start_paused = true)]
async fn a_stop_finishes_the_write_commits_and_leaves() {
    let mut world = World::new();
    world.sink.lock().write_time = SECOND;
    world.assign(&[0, 1]).await;
    world.deliver(0, 0..10).await;
    world.deliver(1, 0..3).await;
    sleep(SECOND / 2).await;
    let started = Instant::now();
    world.stop().await.expect("drains");
    assert!(started.elapsed() < SECOND * 6 / 10, "{:?}", started.elapsed());
    assert_eq!(world.calls(), [Call::Commit(0, 10), Call::Left]);
    assert_eq!(world.sink.stored(0).len(), 10);
    assert_eq!(world.sink.stored(1), [0i64; 0], "what only waited is the next owner's");
    assert_eq!(world.held(), 0);
}

#[tokio::test(start_paused = true)]
async fn an_idle_stop_is_immediate() {
    let mut world = World::new();
    world.assign(&[0]).await;
    let started = Instant::now();
    world.stop().await.expect("drains");
    assert!(started.elapsed() < SECOND / 100);
    assert_eq!(world.calls(), [Call::Left]);
    assert_eq!(world.status.phase(), Phase::Draining);
}

#[tokio::test(start_paused = true)]
async fn a_write_that_hangs_is_abandoned_in_time_to_leave() {
    let mut world = World::new();
    world.sink.lock().script.push_back(Script::Hangs);
    world.assign(&[0]).await;
    world.deliver(0, 0..10).await;
    sleep(SECOND).await;
    let started = Instant::now();
    world.stop().await.expect("drains");
    assert!(started.elapsed() < Duration::from_millis(options().drain_timeout_ms));
    assert_eq!(world.calls(), [Call::Left]);
    assert_eq!(world.held(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_group_that_cannot_be_left_neither_holds_nor_fails_the_process() {
    let mut world = World::with(options(), true, |sink| sink);
    world.assign(&[0]).await;
    let started = Instant::now();
    world.stop().await.expect("what was taken is written, and Kafka is not asked twice");
    assert_eq!(started.elapsed(), Duration::from_millis(options().drain_timeout_ms));
}

#[tokio::test(start_paused = true)]
async fn a_stop_while_the_sink_is_down_does_not_wait_for_it() {
    let mut world = World::new();
    world.sink.lock().positions_fail = usize::MAX;
    let unanswered = world.begin_assign(&[0]).await;
    sleep(SECOND * 5).await;
    let started = Instant::now();
    world.stop().await.expect("drains");
    assert!(started.elapsed() < SECOND / 10);
    assert!(unanswered.try_recv().is_err());
}

#[tokio::test(start_paused = true)]
async fn a_dead_poll_thread_ends_the_pipeline() {
    let mut world = World::new();
    world.assign(&[0]).await;
    world.send(tidegate_kafka::GroupEvent::Fatal(tidegate_kafka::Error::Ended)).await;
    let error = world.end().await.expect_err("no more records will come");
    assert!(matches!(error, Error::Kafka(_)), "{error}");
}
