//! Who leads a partition.
//!
//! Contract: looks as soon as a leader is to be looked up, and starts a thread for each
//! broker that has to be read. What cannot be told yet is asked for again after a while.
//!
//! Rejected: leaders looked up before anything is assigned. Where a broker has room for few
//! connections, pods that are not in the group would take those of the others.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::partitions::Leader;
use super::{Inner, State, broker, start_thread};
use crate::cluster::{ClusterError, Links, topics};

/// Nothing to do: woken by whoever has something.
const IDLE: Duration = Duration::from_secs(60);

pub(super) fn run(inner: &Arc<Inner>) {
    while wait(inner) {
        if let Err(error) = look(inner) {
            inner.failed("look for leaders", &error);
        }
        inner.publish(&inner.lock());
    }
}

/// Until leaders are to be looked up; false when all is over.
fn wait(inner: &Arc<Inner>) -> bool {
    let mut state = inner.lock();
    loop {
        if state.is_over() {
            return false;
        }
        start_brokers(inner, &mut state);
        let now = Instant::now();
        if state.partitions.lacks_leaders(now) {
            return true;
        }
        let wait = state.partitions.next_change(now).unwrap_or(IDLE);
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

fn look(inner: &Inner) -> Result<(), ClusterError> {
    let spare = inner.lock().spare.take();
    let mut links = Links::with(&inner.options.connection, spare.map(|(spare, _)| spare));
    let (leaders, outcome) = match leaders(&mut links, &inner.options.topic) {
        Ok(leaders) => (leaders, Ok(())),
        Err(error) => (Leaders::default(), Err(error)),
    };
    let mut state = inner.lock();
    state.spare = links.take_open().zip(Some(Instant::now()));
    state.partitions.learn(leaders.0, leaders.1, Instant::now());
    inner.changed.notify_all();
    outcome
}

type Leaders = (Vec<(i32, String)>, HashMap<i32, Leader>);

fn leaders(links: &mut Links, topic: &str) -> Result<Leaders, ClusterError> {
    let answer = topics::ask_for(links, std::iter::once(topic))?;
    let addresses = topics::addresses(&answer).collect();
    let partitions = answer.topics.into_iter().flat_map(|topic| topic.partitions);
    let leaders = partitions.filter(|partition| partition.leader_id.0 >= 0).map(|partition| {
        let leader = Leader { node: partition.leader_id.0, epoch: partition.leader_epoch };
        (partition.partition_index, leader)
    });
    Ok((addresses, leaders.collect()))
}
