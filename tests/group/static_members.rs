//! Members with an instance id: those that come back, those that leave for good.

use std::time::{Duration, Instant};

use tidegate_kafka::{
    Admin, ConnectionOptions, GroupConsumer, GroupEvent, GroupOptions, GroupProtocol, StartPosition,
};

use crate::broker::TestBroker;
use crate::support::wait_for;
use crate::world::{Group, LIMIT, SETTINGS, long_sessions};

/// A restart in time moves nothing, a stop by Ctrl-C moves everything at once, and
/// a member that died comes back to its id by itself.
fn static_members(protocol: &'static str) {
    let group = Group::new(protocol, None);
    let load = group.load(12);
    // Each life has reports of its own.
    let with_id = |life: &str, id: &str| group.member(life, &["--instance-id", id]);
    let (first, second) = (with_id("first", "pod-0"), with_id("second", "pod-1"));
    group.wait_settled("two join", &[&first, &second]);
    let (owned, kept) = (first.assigned(), second.assigned());
    let rebalances = second.report()["rebalances_total"].clone();
    first.drain("TERM", LIMIT);
    let first = with_id("first-again", "pod-0");
    wait_for("the same partitions again", LIMIT, || (first.assigned() == owned).then_some(()));
    assert_eq!(second.assigned(), kept, "{protocol}: nothing moved");
    assert_eq!(second.report()["rebalances_total"], rebalances, "{protocol}: it noticed nothing");

    // It dies, and comes back under its id before its session ends.
    drop(first);
    let first = with_id("first-risen", "pod-0");
    group.wait_settled("the dead one is back", &[&first, &second]);
    if protocol == "consumer" {
        let log = first.log();
        let said = log.matches("held by a member that did not leave").count();
        assert_eq!((said, log.matches("atal error").count()), (1, 0), "once, in our words\n{log}");
    }
    first.drain("INT", LIMIT);
    group.wait_settled("left at once", &[&second]);
    group.finish(load, vec![second]);
}

#[test]
fn static_members_classic() {
    static_members("classic");
}

#[test]
fn static_members_kip_848() {
    static_members("consumer");
}

/// Scaling in and Ctrl-C move the partitions at once, however long a session lasts.
fn static_members_that_leave(protocol: &'static str) {
    let group = Group::on(long_sessions(), protocol, None);
    std::fs::write(group.path("settings.toml"), SETTINGS.replace("4000", "45000"))
        .expect("settings");
    let stays = group.member("stays", &["--instance-id", "pod-0"]);
    let scaled_in = ["--instance-id", "pod-1", "--on-terminate", "leave"];
    let scaled_in = group.member("scaled-in", &scaled_in);
    let interrupted = group.member("interrupted", &["--instance-id", "pod-2"]);
    group.wait_settled("three join", &[&stays, &scaled_in, &interrupted]);
    for (member, signal) in [(scaled_in, "TERM"), (interrupted, "INT")] {
        let log = member.drain(signal, LIMIT);
        assert!(!log.contains("keeps its place"), "{protocol}: {log}");
    }
    let left = Instant::now();
    group.wait_settled("two have left", &[&stays]);
    assert!(left.elapsed() < Duration::from_secs(10), "{protocol}: {:?}", left.elapsed());
}

#[test]
fn static_members_that_leave_classic() {
    static_members_that_leave("classic");
}

#[test]
fn static_members_that_leave_kip_848() {
    static_members_that_leave("consumer");
}

/// The client ends while it is asked who it is, unless that is asked in time; a member that
/// keeps its place ends with the answer to its revocation. Seen once in sixty stops.
#[test]
fn a_static_member_that_stops_again_and_again_ends_each_time() {
    let broker = TestBroker::plain();
    let connection = ConnectionOptions::new(broker.bootstrap());
    Admin::new(&connection).expect("admin").create_topic("t", 2, 1, &[]).expect("topic");
    let options = GroupOptions {
        connection,
        topic: "t".into(),
        group: "g".into(),
        protocol: GroupProtocol::Classic,
        instance_id: Some("pod-0".into()),
        ..GroupOptions::default()
    };
    for round in 0..200 {
        restart(&options, round);
    }
}

/// Joins, takes what it is given, and ends, in its place.
#[tokio::main(flavor = "current_thread")]
async fn restart(options: &GroupOptions, round: usize) {
    let (group, mut events) = GroupConsumer::spawn(options.clone()).expect("starts");
    let Some(GroupEvent::Assign { partitions, reply }) = events.recv().await else {
        panic!("round {round}: no assignment");
    };
    let at_zero = |partition| StartPosition { partition, next_offset: Some(0) };
    reply.send(partitions.into_iter().map(at_zero).collect());
    group.keep_place();
    let serve = async {
        while let Some(event) = events.recv().await {
            if let GroupEvent::Revoke { reply, .. } = event {
                reply.send(Vec::new());
            }
        }
    };
    let end = async { tokio::join!(group.leave(), serve).0 };
    let left = tokio::time::timeout(Duration::from_secs(20), end).await;
    left.unwrap_or_else(|_| panic!("round {round}: it does not end")).expect("left");
}
