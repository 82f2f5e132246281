//! What a cluster asks of its consumers: to read from the replica in their rack, and to
//! come one after the other where new connections are limited.

#[path = "support/broker.rs"]
mod broker;
#[path = "support/counted.rs"]
mod counted;
#[path = "support/proxy.rs"]
mod proxy;
mod support;

use std::path::Path;
use std::time::{Duration, Instant};

use broker::TestBroker;
use counted::Counted;
use rdkafka::ClientConfig;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};
use support::{Process, tidegate, wait, wait_for};
use tidegate_kafka::{Admin, ConnectionOptions};
use tidegate_local::broker::BrokerOptions;

const LIMIT: Duration = Duration::from_secs(90);

/// A consumer that stores nothing.
fn pod(directory: &Path, name: &str, arguments: &[&str], log: &str) -> Process {
    let mut command = tidegate();
    command
        .args(["consume", "--database", "none", "--metrics-addr", "off", "--report"])
        .args(arguments)
        .env("TIDEGATE_LOG", log);
    Process::start(command, directory, name)
}

fn settings(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

/// Offsets that a consumer has asked a broker for, from its own log.
fn fetches(log: &str, broker: &str) -> Vec<i64> {
    let from = format!("broker=\"{broker}\" partition=0 offset=");
    log.lines()
        .filter_map(|line| line.split_once(&from))
        .filter_map(|(_, rest)| rest.split_whitespace().next()?.parse().ok())
        .collect()
}

fn send(producer: &BaseProducer, count: usize) {
    for _ in 0..count {
        producer.send(BaseRecord::to("racks").key("k").payload("{}")).expect("queued");
    }
    producer.flush(Duration::from_secs(20)).expect("acknowledged");
}

#[test]
fn a_consumer_reads_from_the_follower_in_its_rack() {
    let node = |rack: &str| BrokerOptions {
        settings: settings(&[
            ("broker.rack", rack),
            ("replica.selector.class", "org.apache.kafka.common.replica.RackAwareReplicaSelector"),
        ]),
        ..BrokerOptions::default()
    };
    let directory = || tempfile::tempdir().expect("directory");
    let mut first = TestBroker::start(directory(), node("rack-1"));
    let join = Some(first.broker().cluster(2));
    let second = TestBroker::start(directory(), BrokerOptions { join, ..node("rack-2") });
    let brokers = format!("{},{}", first.bootstrap(), second.bootstrap());
    let admin = Admin::new(&ConnectionOptions::new(&*brokers)).expect("admin");
    wait_for("a topic on both brokers", LIMIT, || admin.create_topic("racks", 1, 2, &[]).ok());
    let mut config = ClientConfig::new();
    let config = config.set("bootstrap.servers", &brokers).set("acks", "all");
    let producer: BaseProducer = config.create().expect("producer");
    send(&producer, 10);

    let files = directory();
    let consume = |group: &str, more: &[&str]| {
        let mut arguments = vec!["--brokers", &brokers, "--topic", "racks", "--group", group];
        arguments.extend(more);
        pod(files.path(), group, &arguments, "info,tidegate_kafka=trace")
    };
    // Without a rack: the leader, whichever it is.
    let anywhere = consume("anywhere", &[]);
    let nodes = [first.bootstrap(), second.bootstrap()];
    let leader = wait_for("it reads to the end", LIMIT, || {
        let log = anywhere.log();
        (0..2).find(|node| fetches(&log, nodes[*node]).contains(&10))
    });
    let (leader, follower, rack) = (nodes[leader], nodes[1 - leader], 2 - leader);
    assert!(fetches(&anywhere.log(), follower).is_empty(), "only the leader was asked");

    // With the follower's rack: the leader sends it there, and there it stays.
    let near = consume("near", &["--client-rack", &format!("rack-{rack}")]);
    wait_for("it reads from the follower", LIMIT, || {
        fetches(&near.log(), follower).contains(&10).then_some(())
    });
    let leader_before = fetches(&near.log(), leader).len();
    for end in [60, 110] {
        send(&producer, 50);
        wait_for(&format!("to {end}\n{}", near.log()), LIMIT, || {
            fetches(&near.log(), follower).contains(&end).then_some(())
        });
    }
    let log = near.log();
    assert_eq!(fetches(&log, leader).len(), leader_before, "the leader was asked again\n{log}");
    assert!(leader_before <= 3, "{leader_before} fetches from the leader\n{log}");
}

/// The pods of a group at a broker that lets few connect.
struct Limited {
    counted: Counted,
    _directory: tempfile::TempDir,
    pods: Vec<Process>,
    _broker: TestBroker,
}

impl Limited {
    /// Starts `pods` at once.
    fn start(pods: usize, limit: (&str, &str), start_jitter_ms: u64) -> Self {
        let counted = Counted::start();
        let options = BrokerOptions {
            advertised_port: Some(counted.proxy.port),
            settings: settings(&[limit]),
            ..BrokerOptions::default()
        };
        let broker = TestBroker::start(tempfile::tempdir().expect("directory"), options);
        let port = broker.bootstrap().rsplit(':').next().expect("a port").parse();
        counted.proxy.lead_to(port.expect("a port"));
        let brokers = format!("127.0.0.1:{}", counted.proxy.port);
        let admin = Admin::new(&ConnectionOptions::new(&*brokers)).expect("admin");
        admin.create_topic("limited", 2 * pods as i32, 1, &[]).expect("topic");
        drop(admin);
        let directory = tempfile::tempdir().expect("directory");
        let config = directory.path().join("settings.toml");
        std::fs::write(&config, format!("[kafka]\nstart_jitter_ms = {start_jitter_ms}\n"))
            .expect("settings");
        let config = config.display().to_string();
        let arguments =
            ["--brokers", &brokers, "--topic", "limited", "--group", "g", "--config", &config];
        let pods = (0..pods)
            .map(|number| pod(directory.path(), &format!("p{number}"), &arguments, "info"))
            .collect();
        Self { counted, _directory: directory, pods, _broker: broker }
    }

    /// Until each has partitions, and all of them together have all.
    fn wait_joined(&mut self, partitions: usize) {
        let owned = |pod: &Process| pod.assigned().len();
        let joined = wait(LIMIT, || {
            self.pods.iter_mut().for_each(Process::assert_running);
            let owned: Vec<usize> = self.pods.iter().map(owned).collect();
            (!owned.contains(&0) && owned.iter().sum::<usize>() == partitions).then_some(())
        });
        if joined.is_none() {
            let owned: Vec<usize> = self.pods.iter().map(owned).collect();
            let logs: String = self.pods.iter().map(|pod| pod.log() + "\n").collect();
            panic!("they have {owned:?} after {} connections\n{logs}", self.counted.count());
        }
    }
}

/// A broker that takes twenty connections a second, as MSK's IAM listener: twenty pods
/// spread their start over eight seconds. Of evenly spread ones the middle four fifths
/// take 6.4 s, give or take 0.7; of pods that start at once, a second.
#[test]
fn twenty_pods_start_at_a_broker_that_limits_the_rate_of_connections() {
    let mut limited = Limited::start(20, ("max.connection.creation.rate", "20"), 8_000);
    limited.wait_joined(40);
    let (count, spread) = (limited.counted.count(), limited.counted.spread());
    eprintln!("{count} connections of 20 pods, four fifths of them within {spread:?}");
    assert!(count <= 20 * 8, "{count} connections");
    assert!(spread >= Duration::from_millis(3_500), "four fifths of them within {spread:?}");
}

/// A broker that has no more room, for ten pods with three connections each and a few
/// attempts: those outside try again, not too often, and none of them ends. When all but
/// ten have left, those inside first, the ten come in.
#[test]
fn pods_that_are_turned_away_wait_for_their_turn() {
    let mut limited = Limited::start(20, ("max.connections.per.ip", "36"), 1_000);
    let some = wait_for("some join", LIMIT, || {
        let joined = limited.pods.iter().filter(|pod| !pod.assigned().is_empty()).count();
        (joined >= 5).then_some(joined)
    });
    // What they try in ten seconds.
    let before = limited.counted.count();
    let until = Instant::now() + Duration::from_secs(10);
    wait_for("ten seconds", LIMIT, || {
        limited.pods.iter_mut().for_each(Process::assert_running);
        (Instant::now() > until).then_some(())
    });
    let tried = limited.counted.count() - before;
    eprintln!("{some} of 20 had room; the others tried {tried} times in ten seconds");
    assert!(tried <= 20 * 10 * 2, "{tried} attempts in ten seconds");
    // Those inside leave, others come in.
    let pods = std::mem::take(&mut limited.pods);
    let (mut inside, outside): (Vec<Process>, Vec<Process>) =
        pods.into_iter().partition(|pod| !pod.assigned().is_empty());
    assert!(!outside.is_empty(), "everybody had room");
    inside.extend(outside);
    for pod in inside.drain(..10) {
        pod.drain("TERM", LIMIT);
    }
    limited.pods = inside;
    limited.wait_joined(40);
}
