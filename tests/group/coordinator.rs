//! The coordinator is away, killed or silent, while there are positions to commit. The positions
//! are in the database already, so nobody may have to wait for Kafka: not whoever stops, not
//! whoever has to be told something meanwhile. While it is there, the last positions reach it
//! before the partitions have another owner.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use tidegate_kafka::{
    Admin, ConnectionOptions, GroupConsumer, GroupEvent, GroupHandle, GroupOptions, GroupProtocol,
    LagReader, Position, StartPosition, TopicPartition,
};
use tokio::sync::mpsc::Receiver;

use crate::broker::TestBroker;
use crate::support::{Process, signal, wait_for};
use crate::world::{Group, LIMIT, SETTINGS, long_sessions};

const PARTITIONS: i32 = 4;
/// How long the poll thread may say nothing: half of what a request may take.
const SILENCE: Duration = Duration::from_secs(4);
/// What a stop may take beyond its own work. A commit alone may take longer.
const STOP: Duration = Duration::from_secs(8);

/// Outside of the runtime of the test, since it has one of its own.
fn world(protocol: GroupProtocol) -> (TestBroker, GroupOptions) {
    let broker = long_sessions();
    let connection = ConnectionOptions::new(broker.bootstrap());
    let admin = Admin::new(&connection).expect("admin");
    admin.create_topic("t", PARTITIONS, 1, &[]).expect("topic");
    let options = GroupOptions {
        connection,
        topic: "t".into(),
        group: "g".into(),
        protocol,
        session_timeout_ms: 45_000,
        heartbeat_interval_ms: 300,
        ..GroupOptions::default()
    };
    (broker, options)
}

/// A member whose engine answers everything at once.
struct Member {
    handle: GroupHandle,
    events: Receiver<GroupEvent>,
    /// What it owns, and up to where it has written that.
    owned: BTreeMap<i32, i64>,
    /// What it gave up by request.
    revoked: BTreeMap<i32, i64>,
    seeked: u32,
}

impl Member {
    fn join(options: &GroupOptions) -> Self {
        let (handle, events) = GroupConsumer::spawn(options.clone()).expect("joins");
        Self { handle, events, owned: BTreeMap::new(), revoked: BTreeMap::new(), seeked: 0 }
    }

    /// Serves events until the condition is met; `before` sees each event first.
    async fn serve_until(
        &mut self,
        what: &str,
        limit: Duration,
        mut before: impl FnMut(&GroupEvent),
        is_met: impl Fn(&Self) -> bool,
    ) {
        let serve = async {
            while !is_met(self) {
                let event = self.events.recv().await.expect("the member lives");
                before(&event);
                self.serve(event);
            }
        };
        let met = tokio::time::timeout(limit, serve).await;
        assert!(met.is_ok(), "not within {limit:?}: {what}");
    }

    fn serve(&mut self, event: GroupEvent) {
        match event {
            GroupEvent::Assign { partitions, reply } => {
                let at_zero = |partition: TopicPartition| {
                    self.owned.insert(partition.partition, 0);
                    StartPosition { partition, next_offset: Some(0) }
                };
                reply.send(partitions.into_iter().map(at_zero).collect());
            }
            GroupEvent::Revoke { partitions, reply } => {
                let take = |TopicPartition { topic, partition }| {
                    let next_offset = self.owned.remove(&partition)?;
                    self.revoked.insert(partition, next_offset);
                    Some(Position { topic, partition, next_offset })
                };
                reply.send(partitions.into_iter().filter_map(take).collect());
            }
            GroupEvent::Lost { partitions } => {
                partitions.iter().for_each(|lost| {
                    self.owned.remove(&lost.partition);
                });
            }
            GroupEvent::Seeked { .. } => self.seeked += 1,
            GroupEvent::Records(_) => {}
            GroupEvent::Fatal(error) => panic!("{error}"),
        }
    }

    async fn owns(&mut self, count: usize) {
        let what = format!("{count} partitions");
        self.serve_until(&what, LIMIT, |_| {}, |member| member.owned.len() == count).await;
    }

    /// Writes up to there; what is not said to be committed the end has to commit.
    fn write(&mut self, next_offset: i64) {
        self.owned.values_mut().for_each(|position| *position = next_offset);
    }

    fn commit(&self) {
        let position = |(partition, next_offset): (&i32, &i64)| Position {
            topic: "t".into(),
            partition: *partition,
            next_offset: *next_offset,
        };
        self.handle.commit(self.owned.iter().map(position).collect());
    }

    /// Asks for something and waits until the poll thread has dealt with it.
    async fn is_served(&mut self) -> Duration {
        let (asked, before) = (Instant::now(), self.seeked);
        let partition = *self.owned.keys().next().expect("owns something");
        self.handle.seek(TopicPartition::new("t", partition), 0);
        self.serve_until("an answer", LIMIT, |_| {}, |member| member.seeked > before).await;
        asked.elapsed()
    }

    /// Says that it leaves, serves what comes with it, and tells how long it took.
    async fn leave(&mut self) -> Duration {
        let asked = Instant::now();
        let handle = self.handle.clone();
        let mut leaving = std::pin::pin!(handle.leave());
        let outcome = tokio::time::timeout(LIMIT, async {
            loop {
                tokio::select! {
                    outcome = &mut leaving => return outcome,
                    Some(event) = self.events.recv() => self.serve(event),
                }
            }
        });
        outcome.await.expect("it leaves at some time").expect("it has left");
        asked.elapsed()
    }
}

fn committed(options: &GroupOptions) -> BTreeMap<i32, i64> {
    let mut reader = LagReader::new(&options.connection, "g", "t").expect("a reader");
    let offsets = reader.read().expect("offsets");
    offsets.iter().filter_map(|each| Some((each.partition, each.committed?))).collect()
}

/// What a member has written when its partitions go, the group knows when another one gets
/// them; and when it leaves, once it has left.
#[tokio::main(flavor = "current_thread")]
async fn the_last_positions_are_committed((_broker, mut options): (TestBroker, GroupOptions)) {
    let protocol = options.protocol;
    // Nothing but a revocation commits.
    options.commit_interval_ms = 3_600_000;
    let mut first = Member::join(&options);
    first.owns(4).await;
    first.write(7);
    let mut second = Member::join(&options);
    let mut known = BTreeMap::new();
    let known_at_assign = |event: &GroupEvent| {
        if let GroupEvent::Assign { partitions, .. } = event {
            let all = committed(&options);
            known.extend(
                partitions.iter().map(|of| (of.partition, all.get(&of.partition).copied())),
            );
        }
    };
    let handed_over = async {
        first.owns(2).await;
        std::future::pending::<()>().await;
    };
    tokio::select! {
        () = second.serve_until("its share", LIMIT, known_at_assign, |it| it.owned.len() == 2) => {}
        () = handed_over => {}
    }
    let last = |offset| first.revoked.keys().map(move |partition| (*partition, Some(offset)));
    assert_eq!(known, last(7).collect(), "{protocol:?}: before the next owner has them");
    first.write(9);
    first.leave().await;
    let all = committed(&options);
    assert_eq!(first.revoked.len(), 4);
    assert!(first.revoked.iter().all(|(partition, at)| all[partition] == *at), "{all:?}");
}

#[test]
fn the_last_positions_are_committed_classic() {
    the_last_positions_are_committed(world(GroupProtocol::Classic));
}

#[test]
fn the_last_positions_are_committed_kip_848() {
    the_last_positions_are_committed(world(GroupProtocol::Consumer));
}

/// Asks again and again, for longer than a commit may take to be sent.
async fn longest_silence(member: &mut Member) -> Duration {
    let (began, mut longest) = (Instant::now(), Duration::ZERO);
    while began.elapsed() < 2 * SILENCE {
        longest = longest.max(member.is_served().await);
    }
    longest
}

/// Nobody waits for a commit that the coordinator does not answer, and a stop does not either.
#[tokio::main(flavor = "current_thread")]
async fn nobody_waits_for_a_coordinator(
    (mut broker, options): (TestBroker, GroupOptions),
    name: &str,
) {
    let protocol = options.protocol;
    let pid = broker.broker().pid();
    let mut member = Member::join(&options);
    member.owns(4).await;
    member.write(1);
    member.commit();
    wait_for("it is committed", LIMIT, || (committed(&options).len() == 4).then_some(()));
    signal(pid, name);
    member.write(2);
    member.commit();
    let silent = longest_silence(&mut member).await;
    member.write(3);
    let took = member.leave().await;
    let measured = format!("{protocol:?} {name}: silent for {silent:?}, left after {took:?}");
    assert!(silent < SILENCE && took < STOP, "{measured}");
}

#[test]
fn nobody_waits_for_a_killed_coordinator_classic() {
    nobody_waits_for_a_coordinator(world(GroupProtocol::Classic), "KILL");
}

#[test]
fn nobody_waits_for_a_killed_coordinator_kip_848() {
    nobody_waits_for_a_coordinator(world(GroupProtocol::Consumer), "KILL");
}

#[test]
fn nobody_waits_for_a_silent_coordinator_classic() {
    nobody_waits_for_a_coordinator(world(GroupProtocol::Classic), "STOP");
}

#[test]
fn nobody_waits_for_a_silent_coordinator_kip_848() {
    nobody_waits_for_a_coordinator(world(GroupProtocol::Consumer), "STOP");
}

/// It falls silent as the partitions go: the thread serves the others all the same, and once
/// the coordinator is back, the last positions are there before the next owner is.
#[tokio::main(flavor = "current_thread")]
async fn a_revocation_does_not_wait_either((mut broker, mut options): (TestBroker, GroupOptions)) {
    let protocol = options.protocol;
    options.commit_interval_ms = 3_600_000;
    let pid = broker.broker().pid();
    let mut first = Member::join(&options);
    first.owns(4).await;
    first.write(7);
    let mut second = Member::join(&options);
    let silence = |event: &GroupEvent| {
        if matches!(event, GroupEvent::Revoke { .. }) {
            signal(pid, "STOP");
        }
    };
    first.serve_until("a revocation", LIMIT, silence, |first| !first.revoked.is_empty()).await;
    let silent = longest_silence(&mut first).await;
    assert!(silent < SILENCE, "{protocol:?}: {silent:?}");
    signal(pid, "CONT");
    let others = async {
        first.owns(2).await;
        first.serve_until("nothing", LIMIT, |_| {}, |_| false).await;
    };
    tokio::select! {
        () = second.owns(2) => {}
        () = others => {}
    }
    let all = committed(&options);
    assert_eq!(all, second.owned.keys().map(|partition| (*partition, 7)).collect(), "{protocol:?}");
}

#[test]
fn a_revocation_does_not_wait_either_classic() {
    a_revocation_does_not_wait_either(world(GroupProtocol::Classic));
}

#[test]
fn a_revocation_does_not_wait_either_kip_848() {
    a_revocation_does_not_wait_either(world(GroupProtocol::Consumer));
}

/// Ctrl-C, and SIGTERM of a member that keeps its place, while the coordinator says nothing.
fn a_stop_does_not_wait(protocol: &'static str, name: &str, more: &[&str]) {
    let mut group = Group::on(long_sessions(), protocol, None);
    std::fs::write(group.path("settings.toml"), SETTINGS.replace("4000", "45000"))
        .expect("settings");
    let member = group.member("stopped", more);
    group.wait_settled("it has all", &[&member]);
    let mut produce = group.command("produce", "off");
    produce.args(["--rate", "300", "--duration", "120"]);
    let _load = Process::start(produce, &group.path(""), "produce");
    let commits = || (member.report()["commits_total"].as_u64()? > 3).then_some(());
    wait_for("records flow", LIMIT, commits);
    signal(group.broker.broker().pid(), "STOP");
    let asked = Instant::now();
    let log = member.drain(name, LIMIT);
    let took = asked.elapsed();
    assert!(took < STOP, "{protocol} {name}: {took:?}\n{log}");
}

#[test]
fn a_stop_does_not_wait_classic() {
    a_stop_does_not_wait("classic", "INT", &[]);
    a_stop_does_not_wait("classic", "TERM", &["--instance-id", "pod-0"]);
}

#[test]
fn a_stop_does_not_wait_kip_848() {
    a_stop_does_not_wait("consumer", "INT", &[]);
    a_stop_does_not_wait("consumer", "INT", &["--instance-id", "pod-0"]);
    a_stop_does_not_wait("consumer", "TERM", &["--instance-id", "pod-0"]);
}
