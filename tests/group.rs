//! Group behaviour, the same on both protocols: classic cooperative-sticky and
//! KIP-848. Everything that can happen to a member happens while records flow, and
//! the audit of all of them is the judge.

#[path = "support/broker.rs"]
mod broker;
#[path = "support/proxy.rs"]
mod proxy;
mod support;
#[path = "support/swallowing.rs"]
mod swallowing;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use broker::{TestBroker, free_ports};
use serde_json::Value;
use support::{Process, get, tidegate, wait_for};
use swallowing::Swallowing;
use tidegate_kafka::{
    Admin, ConnectionOptions, Error, GroupConsumer, GroupEvent, GroupOptions, GroupProtocol,
    LagReader, StartPosition,
};
use tidegate_local::broker::BrokerOptions;
use tidegate_pgtest::Server;

const PARTITIONS: usize = 12;
const LIMIT: Duration = Duration::from_secs(90);
/// Session timeouts here: 4 s, by the broker for KIP-848, by this for classic.
const SETTINGS: &str = "[consume]\nsession_timeout_ms = 4000\nheartbeat_interval_ms = 300\n";

/// A broker, a topic, a database, and consumers of one protocol.
struct Group {
    broker: TestBroker,
    directory: tempfile::TempDir,
    protocol: &'static str,
    database: String,
}

impl Group {
    fn new(protocol: &'static str, database: Option<String>) -> Self {
        Self::on(TestBroker::plain(), protocol, database)
    }

    fn on(broker: TestBroker, protocol: &'static str, database: Option<String>) -> Self {
        let directory = tempfile::tempdir().expect("directory");
        std::fs::write(directory.path().join("settings.toml"), SETTINGS).expect("settings");
        let admin = Admin::new(&ConnectionOptions::new(broker.bootstrap())).expect("admin");
        admin.create_topic("t", PARTITIONS as i32, 1, &[]).expect("topic");
        admin.pin_start_offsets("g", "t").expect("pinned");
        let sqlite = || format!("sqlite:{}", directory.path().join("db").display());
        let database = database.unwrap_or_else(sqlite);
        Self { broker, directory, protocol, database }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn command(&self, name: &str, pages: &str) -> Command {
        let mut command = tidegate();
        command
            .arg(name)
            .args(["--brokers", self.broker.bootstrap(), "--topic", "t", "--metrics-addr", pages])
            .arg("--config")
            .arg(self.path("settings.toml"))
            .stdin(Stdio::null());
        command
    }

    /// Records with a ledger, for this many seconds.
    fn load(&self, seconds: u32) -> Child {
        let log = File::create(self.path("produce.log")).expect("log");
        self.command("produce", "off")
            .args(["--rate", "300", "--duration", &seconds.to_string(), "--ledger"])
            .arg(self.path("ledger"))
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("starts")
    }

    fn member(&self, name: &str, more: &[&str]) -> Process {
        self.member_with_pages(name, "off", more)
    }

    fn member_with_pages(&self, name: &str, pages: &str, more: &[&str]) -> Process {
        let mut command = self.command("consume", pages);
        command
            .args(["--group", "g", "--protocol", self.protocol, "--report"])
            .args(["--batch-processing-time", "0.2", "--database", &self.database])
            .args(more);
        Process::start(command, self.directory.path(), name)
    }

    /// Every partition has exactly one owner among these members, and each has some:
    /// the first one of a group owns all until the next one is let in.
    fn wait_settled(&self, what: &str, members: &[&Process]) {
        wait_for(&format!("{}: {what}", self.protocol), LIMIT, || {
            let each: Vec<Vec<i64>> = members.iter().map(|member| member.assigned()).collect();
            if each.iter().any(Vec::is_empty) {
                return None;
            }
            let mut owned = each.concat();
            owned.sort_unstable();
            (owned == (0..PARTITIONS as i64).collect::<Vec<_>>()).then_some(())
        });
    }

    fn lag(&self) -> Option<i64> {
        let connection = ConnectionOptions::new(self.broker.bootstrap());
        let offsets = LagReader::new(&connection, "g", "t").ok()?.read().ok()?;
        Some(offsets.iter().map(tidegate_kafka::PartitionOffsets::lag_records).sum())
    }

    /// Waits for the end of the load and of the backlog, ends the members, audits.
    fn finish(&self, mut load: Child, members: Vec<Process>) {
        let sent = wait_for("the load ends", LIMIT, || load.try_wait().expect("wait"));
        assert!(sent.success(), "{}", read(&self.path("produce.log")));
        wait_for("no backlog", LIMIT, || (self.lag()? == 0).then_some(()));
        for member in members {
            member.drain("TERM", LIMIT);
        }
        let output = tidegate()
            .args(["audit", "--json", "--database", &self.database, "--ledger"])
            .arg(self.path("ledger"))
            .output()
            .expect("audit");
        let audit: Value = serde_json::from_slice(&output.stdout).expect("JSON");
        assert!(audit["sent"].as_u64().is_some_and(|sent| sent > 1_000), "{audit:#}");
        for broken in ["lost", "duplicated", "out_of_order", "pending"] {
            assert_eq!(audit[broken], 0, "{}: {broken}: {audit:#}", self.protocol);
        }
    }
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_default()
}

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

/// A broker with the sessions that KIP-848 has by default.
fn long_sessions() -> TestBroker {
    let session = ("group.consumer.session.timeout.ms".to_owned(), "45000".to_owned());
    let options = BrokerOptions { settings: vec![session], ..BrokerOptions::default() };
    TestBroker::start(tempfile::tempdir().expect("directory"), options)
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

/// `/readyz` says it in time, though a commit that is under way holds the poll thread up for
/// a session timeout; the log says it once.
fn a_broker_that_is_killed(protocol: &'static str) {
    let mut group = Group::on(long_sessions(), protocol, None);
    let [port] = free_ports();
    let pages = format!("127.0.0.1:{port}");
    let member = group.member_with_pages("watched", &pages, &[]);
    group.wait_settled("it has all", &[&member]);
    let load = group.load(25);
    let ready = || get(&pages, "/readyz").filter(|(code, _)| *code == 200).map(drop);
    wait_for("records flow", LIMIT, || {
        ready()?;
        (member.report()["commits_total"].as_u64()? > 3).then_some(())
    });
    let before = member.log().len();
    group.broker.broker().kill();
    let killed = Instant::now();
    let unread = |body: &str| body.contains("are not read: Kafka does not answer");
    wait_for("it says that it does not read", Duration::from_secs(8), || {
        get(&pages, "/readyz").filter(|(code, body)| *code == 503 && unread(body)).map(drop)
    });
    // Longer than a thread without a broker lives.
    std::thread::park_timeout(Duration::from_secs(14).saturating_sub(killed.elapsed()));
    group.broker.start_again();
    wait_for("it says that it reads again", LIMIT, || {
        ready()?;
        member.log()[before..].contains("fetching again").then_some(())
    });
    group.finish(load, vec![member]);
    let log = read(&group.path("watched.log"))[before..].to_owned();
    for part in ["AllBrokersDown", "fetching; tried again", "fetching again"] {
        let count = log.matches(part).count();
        assert!(count <= 2, "{protocol}: {part}: {count} times\n{log}");
    }
    let warnings = log.matches("WARNING").count();
    assert!(warnings <= 12, "{protocol}: {warnings} warnings\n{log}");
}

#[test]
fn a_broker_that_is_killed_classic() {
    a_broker_that_is_killed("classic");
}

#[test]
fn a_broker_that_is_killed_kip_848() {
    a_broker_that_is_killed("consumer");
}

#[test]
fn a_topic_that_does_not_exist_is_said_at_once() {
    let broker = TestBroker::plain();
    for protocol in [GroupProtocol::Classic, GroupProtocol::Consumer, GroupProtocol::Auto] {
        for topic in ["no-such-topic", "bad topic"] {
            let options = GroupOptions {
                connection: ConnectionOptions::new(broker.bootstrap()),
                topic: topic.into(),
                protocol,
                ..GroupOptions::default()
            };
            let first = first_event(options);
            let Some(GroupEvent::Fatal(Error::UnknownTopic { topic: named, .. })) = first else {
                panic!("{protocol:?} {topic}: {first:?}");
            };
            assert_eq!(named, topic);
        }
    }
}

#[tokio::main(flavor = "current_thread")]
async fn first_event(options: GroupOptions) -> Option<GroupEvent> {
    let (_group, mut events) = GroupConsumer::spawn(options).expect("starts");
    tokio::time::timeout(Duration::from_secs(10), events.recv()).await.expect("an event")
}

/// A member that keeps its partitions through a rebalance asks to join anew and is told
/// nothing; if the request vanishes with its connection it believes that all is well. It
/// reads and writes nothing, so no fence tells it either.
#[test]
fn a_member_whose_join_vanished_finds_out_by_itself() {
    let swallowing = Swallowing::start();
    let proxy = &swallowing.proxy;
    let options = BrokerOptions { advertised_port: Some(proxy.port), ..BrokerOptions::default() };
    let broker = TestBroker::start(tempfile::tempdir().expect("directory"), options);
    let port = broker.bootstrap().rsplit(':').next().expect("a port").parse();
    proxy.lead_to(port.expect("a port"));
    let group = Group::on(broker, "classic", None);
    let first = group.member("first", &[]);
    group.wait_settled("one owns all", &[&first]);
    swallowing.arm();
    let second = group.member("second", &[]);
    wait_for("the join is swallowed", LIMIT, || swallowing.has_swallowed().then_some(()));
    group.wait_settled("the group gives the first one up", &[&second]);
    group.wait_settled("the first one is back", &[&first, &second]);
    group.finish(group.load(5), vec![first, second]);
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
