//! Batches: when they close, and each way they end.

use std::time::Duration;

use rusqlite::Connection;
use tidegate_kafka::GroupEvent;
use tokio::time::{Instant, sleep};

use super::world::{Call, Script, World, idle_engine, options};
use crate::sink::{Sink, SinkContext, SinkError};
use crate::testing::{partition, record};
use crate::{Error, PipelineOptions, SimulatedWrite, SqliteOptions, SqliteSink};

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

#[tokio::test(start_paused = true)]
async fn a_full_batch_closes_at_once_and_a_partial_one_by_its_first_record() {
    let mut world = World::new();
    world.assign(&[0]).await;
    let started = Instant::now();
    world.deliver(0, 0..13).await;
    assert_eq!(world.call().await, Call::Commit(0, 10));
    assert_eq!(started.elapsed(), ms(0), "ten records fill a batch");
    sleep(ms(60)).await;
    world.deliver(0, 13..14).await;
    assert_eq!(world.call().await, Call::Commit(0, 14));
    assert_eq!(started.elapsed(), ms(100), "the first of the rest had waited its 100 ms");
    assert_eq!(world.sink.lock().batches, [10, 4]);
    assert_eq!(world.held(), 0);
}

#[tokio::test(start_paused = true)]
async fn an_idle_engine_has_no_timer() {
    let mut engine = idle_engine();
    engine.on_entries(Vec::new());
    assert_eq!(engine.next_wake(), None);
    engine.partitions.assign(partition(0), None);
    assert_eq!(engine.next_wake(), None, "owning a partition needs no timer");
    engine.on_entries(vec![crate::testing::entry(crate::testing::trade(0, 0))]);
    assert_eq!(engine.next_wake(), Some(Instant::now() + ms(100)));
}

#[tokio::test(start_paused = true)]
async fn a_batch_that_could_not_be_written_is_tried_again_in_order() {
    let mut world = World::new();
    world.sink.lock().script.extend([Script::Fails, Script::Fails, Script::Fails]);
    world.assign(&[0, 1]).await;
    let started = Instant::now();
    world.deliver(0, 0..10).await;
    world.deliver(1, 0..5).await;
    world.call().await;
    // 50, 100, 200 ms, each jittered down to half. A full batch does not also wait for
    // its age.
    let waited = started.elapsed();
    assert!(waited >= ms(175) && waited <= ms(360), "{waited:?}");
    while world.held() > 0 {
        world.call().await;
    }
    assert_eq!(world.sink.stored(0), (0..10).collect::<Vec<_>>());
    assert_eq!(world.sink.stored(1), (0..5).collect::<Vec<_>>());
    assert_eq!(world.status.sink_failure(), None);
}

#[tokio::test(start_paused = true)]
async fn a_sink_that_is_down_holds_records_back_and_loses_none() {
    let mut world = World::new();
    world.sink.lock().script.extend([Script::Fails; 8]);
    world.assign(&[0]).await;
    world.deliver(0, 0..200).await;
    sleep(ms(100)).await;
    assert_eq!(world.held(), 200, "nothing is released while nothing is written");
    assert_eq!(world.status.sink_failure().as_deref(), Some("scripted"));
    while world.held() > 0 {
        world.call().await;
    }
    assert_eq!(world.sink.stored(0), (0..200).collect::<Vec<_>>());
}

/// Its records went with the partition, and no others come: nothing would be written that
/// could tell that the sink is back, and the process would never be ready again.
#[tokio::test(start_paused = true)]
async fn a_sink_that_failed_last_is_asked_whether_it_is_back() {
    let mut world = World::new();
    world.sink.lock().write_time = ms(1000);
    world.sink.lock().script.push_back(Script::Fails);
    world.assign(&[0, 1]).await;
    world.deliver(0, 0..10).await;
    sleep(ms(500)).await;
    world.sink.lock().positions_fail = 3;
    world.lose(&[0]).await;
    sleep(ms(501)).await;
    assert_eq!(world.held(), 0, "dropped with the partition");
    assert!(world.status.sink_failure().is_some());
    sleep(ms(10_000)).await;
    assert_eq!(world.status.sink_failure(), None);
    // And writes go on as ever.
    world.deliver(1, 0..10).await;
    assert_eq!(world.call().await, Call::Commit(1, 10));
}

/// The answer of a commit got lost: trying again must not write twice.
#[tokio::test(start_paused = true)]
async fn a_commit_whose_answer_is_lost_is_not_repeated() {
    let mut world = World::new();
    world.sink.lock().script.push_back(Script::CommitsAndFails);
    world.assign(&[0]).await;
    world.deliver(0, 0..10).await;
    assert_eq!(world.call().await, Call::Seek(0, 10));
    assert_eq!(world.call().await, Call::Commit(0, 10));
    world.send(GroupEvent::Seeked { partition: partition(0), next_offset: 10 }).await;
    world.deliver(0, 10..20).await;
    assert_eq!(world.call().await, Call::Commit(0, 20));
    assert_eq!(world.sink.stored(0), (0..20).collect::<Vec<_>>());
    assert_eq!(world.held(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_fenced_partition_goes_on_from_the_other_owners_position() {
    let mut world = World::new();
    world.sink.lock().write_time = ms(1000);
    world.assign(&[0, 1]).await;
    world.deliver(0, 0..5).await;
    world.deliver(1, 0..5).await;
    sleep(ms(500)).await;
    world.sink.lock().positions.insert(0, 7); // Another owner, while the write is in flight.
    assert_eq!(world.call().await, Call::Seek(0, 7));
    assert_eq!(world.call().await, Call::Commit(0, 7), "which asks the group, too");
    // Still on their way from before the seek: not ours to write.
    world.deliver(0, 5..9).await;
    world.send(GroupEvent::Seeked { partition: partition(0), next_offset: 7 }).await;
    world.deliver(0, 7..9).await;
    while world.held() > 0 {
        world.call().await;
    }
    assert_eq!(world.sink.stored(0), [7, 8]);
    assert_eq!(world.sink.stored(1), [0, 1, 2, 3, 4], "the other partition is not held up");
    assert_eq!(world.sink.lock().positions[&0], 9);
    assert_eq!(world.status.metrics.fenced.get(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_position_that_vanished_ends_the_pipeline() {
    let mut world = World::new();
    world.sink.lock().positions.insert(0, 3);
    world.assign(&[0]).await;
    world.sink.lock().positions.clear();
    world.deliver(0, 3..13).await;
    let error = world.end().await.expect_err("nobody knows where to go on");
    assert!(matches!(error, Error::PositionVanished { .. }), "{error}");
    assert!(error.to_string().contains("t/0") && error.to_string().contains("set the group's"));
    assert_eq!(world.held(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_record_below_the_position_ends_the_pipeline() {
    let mut world = World::new();
    world.sink.lock().positions.insert(0, 500);
    assert_eq!(world.assign(&[0]).await, [Some(500)]);
    world.deliver(0, 0..3).await;
    let error = world.end().await.expect_err("the topic is another one");
    let Error::PositionAhead { offset: 0, position: 500, .. } = error else { panic!("{error}") };
    assert_eq!(world.held(), 0);
    assert!(world.calls().contains(&Call::Left), "its partitions move on at once");
}

#[tokio::test(start_paused = true)]
async fn poison_does_not_stop_its_partition() {
    let mut world = World::new();
    world.assign(&[0]).await;
    let records = (0..10).map(|offset| match offset {
        3 => record(0, 3, "{"),
        4 => record(0, 4, ""),
        _ => crate::testing::trade(0, offset),
    });
    world.deliver_records(records.collect()).await;
    assert_eq!(world.call().await, Call::Commit(0, 10));
    assert_eq!(world.sink.lock().dead, [(0, 3), (0, 4)]);
    assert_eq!(world.sink.stored(0), [0, 1, 2, 5, 6, 7, 8, 9]);
    let processed = &world.status.metrics.processed;
    assert_eq!(processed.get_or_create(&[("status", "success")]).get(), 8);
    assert_eq!(processed.get_or_create(&[("status", "error")]).get(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_sink_that_panics_ends_the_pipeline_and_leaves_the_group() {
    let mut world = World::new();
    world.sink.lock().script.push_back(Script::Panics);
    world.assign(&[0]).await;
    world.deliver(0, 0..10).await;
    let error = world.end().await.expect_err("a defect of the sink");
    assert!(matches!(&error, Error::SinkPanicked(text) if text == "scripted"), "{error}");
    assert_eq!(world.held(), 0);
    assert_eq!(world.calls(), [Call::Left]);
}

#[tokio::test(start_paused = true)]
async fn a_fatal_sink_error_ends_the_pipeline_and_leaves_the_group() {
    let mut world = World::new();
    world.sink.lock().script.push_back(Script::FailsForGood);
    world.assign(&[0]).await;
    world.deliver(0, 0..10).await;
    let error = world.end().await.expect_err("fatal");
    assert!(matches!(&error, Error::Sink(SinkError::Fatal(_))), "{error}");
    assert_eq!(world.held(), 0);
    assert_eq!(world.calls(), [Call::Left]);
}

#[tokio::test(start_paused = true)]
async fn the_simulated_write_takes_its_time_but_positions_do_not() {
    let mut world =
        World::with(options(), false, |sink| SimulatedWrite::new(ms(1000), ms(10), sink));
    world.assign(&[0]).await;
    let started = Instant::now();
    world.deliver(0, 0..10).await;
    world.assign(&[1]).await;
    assert!(started.elapsed() < ms(10), "assigned while the write sleeps");
    assert_eq!(world.call().await, Call::Commit(0, 10));
    assert_eq!(started.elapsed(), ms(1100));
}

/// Real file, real lock, real time: no clock is asserted on.
#[tokio::test]
async fn a_locked_database_is_written_when_it_is_released() {
    let directory = tempfile::TempDir::new().expect("temporary directory");
    let path = directory.path().join("t.db");
    let sqlite = SqliteSink::new(SqliteOptions {
        path: path.clone(),
        busy_timeout_ms: 0,
        ..SqliteOptions::default()
    })
    .expect("thread starts");
    let context = SinkContext { group: "g".into(), cluster_id: None, owner: "o".into() };
    Sink::<crate::TradeRow>::prepare(&sqlite, &context).await.expect("prepares");
    let blocker = Connection::open(&path).expect("opens");
    blocker.execute_batch("BEGIN IMMEDIATE").expect("locks");

    let options = PipelineOptions { retry_initial_ms: 1, retry_max_ms: 5, ..options() };
    let mut world = World::with(options, false, |_| sqlite);
    world.assign(&[0]).await;
    world.deliver(0, 0..30).await;
    let retries = world.status.metrics.sink_failures.get_or_create_owned(&[("kind", "retry")]);
    while retries.get() < 3 {
        tokio::task::yield_now().await;
    }
    assert_eq!(world.held(), 30);
    blocker.execute_batch("ROLLBACK").expect("unlocks");
    while world.held() > 0 {
        world.call().await;
    }
    let rows: i64 = blocker.query_row("SELECT count(*) FROM trades", [], |r| r.get(0)).unwrap();
    assert_eq!(rows, 30);
    assert!(world.stop().await.is_ok());
}

/// A failover that forgot commits: the partition without new records is read again too.
#[tokio::test(start_paused = true)]
async fn a_sink_that_comes_back_with_older_positions_gets_the_rest_again() {
    let mut world = World::new();
    world.assign(&[0, 1]).await;
    world.deliver(0, 0..10).await;
    world.deliver(1, 0..10).await;
    while world.held() > 0 {
        world.call().await;
    }
    {
        let mut memory = world.sink.lock();
        memory.positions.insert(1, 5);
        memory.stored.retain(|(p, offset)| *p == 0 || *offset < 5);
        memory.script.push_back(Script::Fails);
    }
    world.deliver(0, 10..20).await;
    while world.call().await != Call::Seek(1, 5) {}
    world.send(GroupEvent::Seeked { partition: partition(1), next_offset: 5 }).await;
    world.deliver(1, 5..10).await;
    while world.held() > 0 {
        world.call().await;
    }
    assert_eq!(world.sink.stored(0), (0..20).collect::<Vec<_>>());
    assert_eq!(world.sink.stored(1), (0..10).collect::<Vec<_>>());
    assert_eq!(world.status.metrics.fenced.get(), 1);
}

/// One whose positions are as they were is left alone.
#[tokio::test(start_paused = true)]
async fn a_sink_that_comes_back_as_it_was_moves_nobody() {
    let mut world = World::new();
    world.assign(&[0, 1]).await;
    world.deliver(1, 0..10).await;
    while world.held() > 0 {
        world.call().await;
    }
    world.sink.lock().script.push_back(Script::Fails);
    world.deliver(0, 0..10).await;
    while world.held() > 0 {
        world.call().await;
    }
    world.stop().await.expect("drains");
    assert!(!world.calls().iter().any(|call| matches!(call, Call::Seek(..))));
    assert_eq!(world.status.metrics.fenced.get(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_sink_that_has_every_partition_in_flight_is_seen_to_be_the_limit() {
    let mut world = World::new();
    world.sink.lock().write_time = ms(1000);
    world.assign(&[0, 1]).await;
    // Five records of each fill a batch; many more wait behind them.
    for first in (0..400).step_by(5) {
        world.deliver(0, first..first + 5).await;
        world.deliver(1, first..first + 5).await;
    }
    for _ in 0..30 {
        world.call().await;
    }
    let sink = world.status.sink();
    assert!(sink.busy > 0.9, "{sink:?}");
}
