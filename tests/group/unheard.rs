//! Nobody answers a member, or not what it wants to hear: a broker that is killed, a join that
//! vanishes, a topic that does not exist, or is not the one it was.

use std::time::{Duration, Instant};

use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions};
use rdkafka::client::DefaultClientContext;
use tidegate_kafka::{
    Admin, ConnectionOptions, Error, GroupConsumer, GroupEvent, GroupOptions, GroupProtocol,
};
use tidegate_local::broker::BrokerOptions;

use crate::broker::{TestBroker, free_ports};
use crate::support::{get, wait_for};
use crate::swallowing::Swallowing;
use crate::world::{Group, LIMIT, PARTITIONS, long_sessions, read};

/// `/readyz` says it in time, though the client itself waits for a session timeout; the log says
/// it once.
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

/// Deleted and made again while it is read, with fewer records than were read of the old one:
/// they are others, and not to be taken for those that are stored.
fn a_topic_that_is_made_anew(protocol: &'static str) {
    let group = Group::new(protocol, None);
    let mut member = group.member("member", &[]);
    group.wait_settled("it has all", &[&member]);
    let load = |seconds| assert!(group.load(seconds).wait().expect("wait").success());
    load(3);
    wait_for("all is stored", LIMIT, || (group.lag()? == 0).then_some(()));
    let admin: AdminClient<DefaultClientContext> = ClientConfig::new()
        .set("bootstrap.servers", group.broker.bootstrap())
        .create()
        .expect("admin");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let deleted = admin.delete_topics(&["t"], &AdminOptions::new());
    runtime.expect("runtime").block_on(deleted).expect("deleted");
    let admin = Admin::new(&ConnectionOptions::new(group.broker.bootstrap())).expect("admin");
    wait_for("it is made again", LIMIT, || {
        admin.create_topic("t", PARTITIONS as i32, 1, &[]).is_ok().then_some(())
    });
    std::fs::remove_dir_all(group.path("ledger")).expect("another load, another ledger");
    load(1);
    let status = member.ended(LIMIT);
    assert_eq!(status.code(), Some(1), "{protocol}\n{}", member.log());
    assert!(member.log().contains("the topic was created anew"), "{}", member.log());
}

#[test]
fn a_topic_that_is_made_anew_classic() {
    a_topic_that_is_made_anew("classic");
}

#[test]
fn a_topic_that_is_made_anew_kip_848() {
    a_topic_that_is_made_anew("consumer");
}
