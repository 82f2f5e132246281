//! Group members on the client library's own mock of a broker.

use std::time::{Duration, Instant};

use rdkafka::mocking::MockCluster;

use super::*;
use crate::{ConnectionOptions, StartPosition, TopicPartition};

const PATIENCE: Duration = Duration::from_secs(60);

struct Member {
    handle: GroupHandle,
    events: mpsc::Receiver<GroupEvent>,
    owned: usize,
    /// Whether assignments are answered.
    takes: bool,
}

impl Member {
    fn join(brokers: &str) -> Self {
        let options = GroupOptions {
            connection: ConnectionOptions::new(brokers),
            group: "g".into(),
            topic: "t".into(),
            protocol: GroupProtocol::Classic,
            // Above the mock's delay of the first assignment, which is 3 s.
            session_timeout_ms: 4_000,
            heartbeat_interval_ms: 300,
            // What a member that waits in vain would wait for.
            revoke_timeout_ms: 60_000,
            ..GroupOptions::default()
        };
        let (handle, events) = GroupConsumer::spawn(options).expect("joins");
        Self { handle, events, owned: 0, takes: true }
    }

    /// Serves what has arrived; says whether an assignment was left unanswered.
    fn serve(&mut self) -> bool {
        let mut refused = false;
        while let Ok(event) = self.events.try_recv() {
            match event {
                GroupEvent::Assign { partitions, reply } if self.takes => {
                    self.owned += partitions.len();
                    reply.send(partitions.into_iter().map(from_the_start).collect());
                }
                GroupEvent::Assign { .. } => refused = true,
                GroupEvent::Revoke { partitions, reply } => {
                    self.owned -= partitions.len();
                    reply.send(Vec::new());
                }
                GroupEvent::Fatal(error) => panic!("{error}"),
                _ => {}
            }
        }
        refused
    }
}

fn from_the_start(partition: TopicPartition) -> StartPosition {
    StartPosition { partition, next_offset: Some(0) }
}

fn wait_for(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "{what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// An engine that drains does not answer an assignment that comes meanwhile. The
/// client must get an answer all the same, or the member cannot leave.
#[test]
fn a_member_that_wants_no_more_partitions_leaves_at_once() {
    let cluster = MockCluster::new(1).expect("a mock");
    cluster.create_topic("t", 4, 1).expect("a topic");
    let mut stays = Member::join(&cluster.bootstrap_servers());
    wait_for("all partitions", || {
        stays.serve();
        stays.owned == 4
    });
    let mut goes = Member::join(&cluster.bootstrap_servers());
    wait_for("two partitions each", || {
        stays.serve();
        goes.serve();
        (stays.owned, goes.owned) == (2, 2)
    });
    stays.takes = false;
    drop(goes);
    wait_for("the others' partitions come", || stays.serve());
    let asked = Instant::now();
    wait_for("the member has left", || {
        stays.serve();
        !stays.handle.status().alive
    });
    assert!(asked.elapsed() < Duration::from_secs(20), "{:?}", asked.elapsed());
}
