//! Everything that can happen to a member, while records flow.

use tidegate_pgtest::Server;

use crate::support::{Process, wait_for};
use crate::world::{Group, LIMIT};

/// Stopped past its session timeout, in the middle of its writes; the others take
/// its partitions over; it wakes, writes nothing of theirs, says so, and is a member
/// again by itself.
fn a_zombie_wakes(group: &Group, zombie: &Process, others: &[&Process]) {
    let before = zombie.report()["t_ms"].clone();
    zombie.signal("STOP");
    group.wait_settled("a zombie's partitions move", others);
    zombie.signal("CONT");
    let mut all = others.to_vec();
    all.push(zombie);
    wait_for(&format!("{}: the zombie is a member again", group.protocol), LIMIT, || {
        (zombie.report()["t_ms"] != before && !zombie.assigned().is_empty()).then_some(())
    });
    group.wait_settled("after the zombie woke", &all);
    let log = zombie.log();
    assert!(log.contains("lost") || log.contains("another owner"), "the log says it\n{log}");
}

fn everything_happens(protocol: &'static str) {
    let mut group = Group::new(protocol, None);
    let load = group.load(25);
    // A join storm.
    let mut members: Vec<Process> =
        (0..5).map(|number| group.member(&format!("m{number}"), &[])).collect();
    group.wait_settled("five join at once", &members.iter().collect::<Vec<_>>());
    // Revoked with batches in flight.
    members.push(group.member("m5", &[]));
    group.wait_settled("a sixth joins", &members.iter().collect::<Vec<_>>());
    // A polite leaver, and one that is killed.
    members.remove(0).drain("TERM", LIMIT);
    group.wait_settled("one leaves", &members.iter().collect::<Vec<_>>());
    drop(members.remove(0));
    group.wait_settled("one is killed", &members.iter().collect::<Vec<_>>());
    let others: Vec<&Process> = members[1..].iter().collect();
    a_zombie_wakes(&group, &members[0], &others);
    // The broker goes and comes back.
    group.broker.stop();
    group.broker.start_again();
    group.wait_settled("the broker is back", &members.iter().collect::<Vec<_>>());
    group.finish(load, members);
}

#[test]
fn everything_that_can_happen_happens_classic() {
    everything_happens("classic");
}

#[test]
fn everything_that_can_happen_happens_kip_848() {
    everything_happens("consumer");
}

fn a_zombie_in_postgres(protocol: &'static str) {
    let server = Server::start(&[]).expect("a PostgreSQL server");
    server.create_database("zombie").expect("creates");
    let group = Group::new(protocol, Some(server.url("zombie")));
    let load = group.load(12);
    let members: Vec<Process> =
        (0..3).map(|number| group.member(&format!("m{number}"), &[])).collect();
    group.wait_settled("three join", &members.iter().collect::<Vec<_>>());
    let others: Vec<&Process> = members[1..].iter().collect();
    a_zombie_wakes(&group, &members[0], &others);
    group.finish(load, members);
}

#[test]
fn a_zombie_in_postgres_classic() {
    a_zombie_in_postgres("classic");
}

#[test]
fn a_zombie_in_postgres_kip_848() {
    a_zombie_in_postgres("consumer");
}
