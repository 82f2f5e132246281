//! Several writes at once.

use std::time::Duration;

use tidegate_kafka::GroupEvent;
use tokio::time::{Instant, sleep};

use super::world::{Call, MemorySink, REVOKE_TIMEOUT, Script, World, answer_of, options};
use crate::testing::partition;

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test(start_paused = true)]
async fn writes_run_side_by_side_and_a_partition_never_beside_itself() {
    let mut world = World::with_writes(3);
    world.sink.lock().write_time = SECOND;
    world.assign(&[0, 1]).await;
    let started = Instant::now();
    world.deliver(0, 0..20).await;
    world.deliver(1, 0..20).await;
    while world.held() > 0 {
        world.call().await;
    }
    // Two partitions of two batches each, three writes at once: two rounds.
    assert_eq!(started.elapsed(), SECOND * 2);
    assert_eq!(world.sink.lock().most_running, 2);
    assert_eq!(world.sink.stored(0), (0..20).collect::<Vec<_>>());
    assert_eq!(world.sink.stored(1), (0..20).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn a_revoke_waits_for_the_writes_of_its_partitions_only() {
    let mut world = World::with_writes(2);
    world.sink.lock().write_time = SECOND;
    world.assign(&[0, 1]).await;
    world.deliver(0, 0..10).await;
    sleep(SECOND / 2).await;
    world.deliver(1, 0..10).await;
    sleep(SECOND / 10).await;
    let started = Instant::now();
    let positions = answer_of(world.begin_revoke(&[0]).await).await;
    assert_eq!(positions[0].next_offset, 10);
    let waited = started.elapsed();
    assert!(waited > SECOND * 3 / 10 && waited < SECOND * 5 / 10, "{waited:?}: not for both");
    assert_eq!(world.call().await, Call::Commit(1, 10));
}

#[tokio::test(start_paused = true)]
async fn a_revoke_that_cannot_wait_abandons_the_writes_of_its_partitions_only() {
    let mut world = World::with_writes(2);
    world.sink.lock().script.push_back(Script::Hangs);
    world.assign(&[0, 1]).await;
    world.deliver(0, 0..10).await;
    sleep(SECOND / 10).await;
    world.sink.lock().write_time = REVOKE_TIMEOUT * 2;
    world.deliver(1, 0..10).await;
    sleep(SECOND / 10).await;
    assert_eq!(answer_of(world.begin_revoke(&[0]).await).await, [], "nothing was written");
    assert_eq!(world.status.metrics.abandoned.get(), 1);
    assert_eq!(world.call().await, Call::Commit(1, 10), "the other write went on");
    assert_eq!(world.held(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_fence_of_one_write_does_not_touch_the_others() {
    let mut world = World::with_writes(2);
    world.sink.lock().write_time = SECOND;
    world.assign(&[0, 1]).await;
    world.deliver(0, 0..10).await;
    world.deliver(1, 0..10).await;
    sleep(SECOND / 2).await;
    world.sink.lock().positions.insert(0, 4); // Another owner.
    let calls = [world.call().await, world.call().await, world.call().await];
    for expected in [Call::Seek(0, 4), Call::Commit(0, 4), Call::Commit(1, 10)] {
        assert!(calls.contains(&expected), "{expected:?} is not in {calls:?}");
    }
    world.send(GroupEvent::Seeked { partition: partition(0), next_offset: 4 }).await;
    world.deliver(0, 4..14).await;
    assert_eq!(world.call().await, Call::Commit(0, 14));
    assert_eq!(world.sink.stored(0), (4..14).collect::<Vec<_>>());
    assert_eq!(world.held(), 0);
}

#[tokio::test(start_paused = true)]
async fn while_the_sink_fails_one_write_at_a_time_tries_it() {
    let mut world = World::with_writes(3);
    world.sink.lock().write_time = SECOND;
    world.sink.lock().script.extend([Script::Fails; 4]);
    world.assign(&[0, 1, 2]).await;
    for p in 0..3 {
        world.deliver(p, 0..20).await;
    }
    sleep(SECOND * 3 / 2).await;
    assert_eq!(world.sink.lock().batches.len(), 4, "three failed together, one tries again");
    while world.held() > 0 {
        world.call().await;
    }
    assert_eq!(world.sink.lock().most_running, 3);
    for p in 0..3 {
        assert_eq!(world.sink.stored(p), (0..20).collect::<Vec<_>>());
    }
    assert_eq!(world.status.sink_failure(), None);
}

#[tokio::test(start_paused = true)]
async fn a_stop_finishes_all_writes() {
    let mut world = World::with_writes(2);
    world.sink.lock().write_time = SECOND;
    world.assign(&[0, 1]).await;
    world.deliver(0, 0..10).await;
    sleep(SECOND / 2).await;
    world.deliver(1, 0..10).await;
    sleep(SECOND / 10).await;
    world.stop().await.expect("drains");
    assert_eq!(world.calls(), [Call::Commit(0, 10), Call::Commit(1, 10), Call::Left]);
    assert_eq!(world.held(), 0);
}

#[tokio::test(start_paused = true)]
async fn only_a_full_batch_is_staged_and_only_behind_a_fast_write() {
    let sink = MemorySink::default();
    sink.lock().prepares = true;
    sink.lock().write_time = SECOND / 100;
    let mut world = World::on(sink, options(), false, |sink| sink);
    world.assign(&[0, 1, 2]).await;
    world.deliver(0, 0..10).await;
    world.deliver(1, 0..9).await;
    sleep(SECOND / 1000).await;
    assert_eq!(world.sink.lock().batches, [10], "nine can still grow");
    world.deliver(1, 9..10).await;
    world.deliver(2, 0..10).await;
    sleep(SECOND / 1000).await;
    assert_eq!(world.sink.lock().batches, [10, 10], "one is staged, not two");
    while world.held() > 0 {
        world.call().await;
    }
    world.sink.lock().write_time = SECOND;
    world.deliver(0, 10..20).await;
    world.call().await;
    for p in 0..3 {
        world.deliver(p, 20..30).await;
    }
    sleep(SECOND / 10).await;
    assert_eq!(world.sink.lock().batches.len(), 5, "none behind a slow write");
}
