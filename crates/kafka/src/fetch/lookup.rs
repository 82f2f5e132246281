//! Who leads a partition, and where logs begin.
//!
//! Contract: looks as soon as something is to be looked up, and starts a thread for each
//! broker that has to be read. What cannot be told yet is asked for again after a while.
//! Leaders are asked for once before anything is assigned, so that the first record does
//! not wait for it.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use kafka_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::{BrokerId, ListOffsetsRequest, MetadataRequest, TopicName};

use super::partitions::{Leader, Lookup};
use super::{Inner, State, broker, start_thread};
use crate::cluster::{ClusterError, Links};
use crate::wire::text;

const READ_COMMITTED: i8 = 1;
const EARLIEST: i64 = -2;
/// Nothing to do: woken by whoever has something.
const IDLE: Duration = Duration::from_secs(60);

pub(super) fn run(inner: &Arc<Inner>) {
    let mut lookup = Some(Lookup { leaders: true, ..Lookup::default() });
    let mut in_trouble = false;
    while let Some(wanted) = lookup {
        if wanted != Lookup::default() {
            let looked = look(inner, &wanted);
            match looked {
                Ok(()) => in_trouble = false,
                Err(error) if std::mem::replace(&mut in_trouble, true) => {
                    tracing::debug!(%error, "looking for leaders");
                }
                Err(error) => tracing::warn!(%error, "looking for leaders; tried again"),
            }
        }
        lookup = wait(inner);
    }
}

/// What is to be looked up, when there is something; `None` when all is over.
fn wait(inner: &Arc<Inner>) -> Option<Lookup> {
    let mut state = inner.lock();
    loop {
        if state.is_over() {
            return None;
        }
        start_brokers(inner, &mut state);
        let now = Instant::now();
        let lookup = state.partitions.lookup(now);
        if lookup != Lookup::default() {
            return Some(lookup);
        }
        let wait = state.partitions.next_retry(now).unwrap_or(IDLE);
        state = match inner.changed.wait_timeout(state, wait) {
            Ok((state, _)) => state,
            Err(poisoned) => poisoned.into_inner().0,
        };
    }
}

fn start_brokers(inner: &Arc<Inner>, state: &mut State) {
    for node in state.partitions.nodes(Instant::now()) {
        if state.threads.insert(node) {
            let of_thread = inner.clone();
            let started = start_thread(format!("kafka-fetch-{node}"), move || {
                broker::run(&of_thread, node);
            });
            if let Err(error) = started {
                state.end(error);
            }
        }
    }
}

fn look(inner: &Inner, wanted: &Lookup) -> Result<(), ClusterError> {
    let spare = inner.lock().spare.take();
    let mut links = Links::with(&inner.options.connection, spare.map(|(spare, _)| spare));
    let leaders = leaders(&mut links, &inner.options.topic);
    let (addresses, leaders, outcome) = match leaders {
        Ok((addresses, leaders)) => (addresses, leaders, Ok(())),
        Err(error) => (Vec::new(), HashMap::new(), Err(error)),
    };
    links.learn(addresses.clone());
    inner.lock().partitions.learn(addresses, leaders, Instant::now());
    for (node, partitions) in &wanted.starts {
        let starts = log_starts(&mut links, *node, &inner.options.topic, partitions);
        let starts = starts.unwrap_or_else(|error| {
            tracing::debug!(%error, "looking for the start of a log");
            HashMap::new()
        });
        let now = Instant::now();
        let mut state = inner.lock();
        for (partition, term) in partitions {
            state.partitions.log_starts(*partition, *term, starts.get(partition).copied(), now);
        }
    }
    inner.lock().spare = links.take_open().zip(Some(Instant::now()));
    inner.changed.notify_all();
    outcome
}

type Leaders = (Vec<(i32, String)>, HashMap<i32, Leader>);

fn leaders(links: &mut Links, topic: &str) -> Result<Leaders, ClusterError> {
    let asked = MetadataRequestTopic::default().with_name(Some(TopicName(text(topic))));
    let request = MetadataRequest::default()
        .with_topics(Some(vec![asked]))
        .with_allow_auto_topic_creation(false);
    let answer = links.ask_any("ask for the leaders", &request, 9)?;
    let addresses = answer.brokers.iter();
    let addresses = addresses
        .map(|broker| (broker.node_id.0, format!("{}:{}", broker.host.as_str(), broker.port)))
        .collect();
    let partitions = answer.topics.into_iter().flat_map(|topic| topic.partitions);
    let leaders = partitions.filter(|partition| partition.leader_id.0 >= 0).map(|partition| {
        let leader = Leader { node: partition.leader_id.0, epoch: partition.leader_epoch };
        (partition.partition_index, leader)
    });
    Ok((addresses, leaders.collect()))
}

fn log_starts(
    links: &mut Links,
    node: i32,
    topic: &str,
    partitions: &[(i32, u64)],
) -> Result<HashMap<i32, i64>, ClusterError> {
    let partitions = partitions.iter().map(|(partition, _)| {
        ListOffsetsPartition::default().with_partition_index(*partition).with_timestamp(EARLIEST)
    });
    let asked = ListOffsetsTopic::default()
        .with_name(TopicName(text(topic)))
        .with_partitions(partitions.collect());
    let request = ListOffsetsRequest::default()
        .with_replica_id(BrokerId(-1))
        .with_isolation_level(READ_COMMITTED)
        .with_topics(vec![asked]);
    let answer = links.ask(node, "look for the start of the log", &request, 5)?;
    let partitions = answer.topics.into_iter().flat_map(|topic| topic.partitions);
    let found = partitions.filter(|partition| partition.error_code == 0);
    Ok(found.map(|partition| (partition.partition_index, partition.offset)).collect())
}
