//! The requests to one broker: one at a time, each for all partitions that it leads.
//!
//! Contract: a broker that fails is asked again when the leaders of its partitions were
//! looked up anew.
//!
//! Rejected: fetch sessions, whose state on both sides saves bytes where thousands of
//! partitions are idle; a second request while an answer is read, which has to guess where
//! the first one ends.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use kafka_protocol::messages::{BrokerId, FetchRequest, FetchResponse, TopicName};

use super::compression::Decompressor;
use super::partitions::{Asked, AtStart};
use super::{Inner, answer, starts};
use crate::cluster::{ClusterError, Link, READ_COMMITTED};
use crate::wire::text;

/// The newest request that names topics; older brokers are asked in theirs.
const VERSION: i16 = 11;
/// An answer holds about this much, shared by the partitions,
pub(super) const ANSWER_BYTES: usize = 1 << 20;
/// of which each may have this much where there are many. A larger batch comes whole.
const PARTITION_BYTES: usize = 128 << 10;
/// A broker that leads nothing of ours any more is left after this time.
const IDLE: Duration = Duration::from_secs(10);
/// How long a full buffer is waited for before it is looked again whether all is over.
const ROOM_WAIT: Duration = Duration::from_millis(100);
const MOST_THROTTLE: Duration = Duration::from_secs(30);

/// Reads from a broker until nothing of ours is there.
pub(super) fn run(inner: &Arc<Inner>, node: i32) {
    let mut link: Option<Link> = None;
    let mut decompressor = Decompressor::default();
    let mut start = 0;
    while let Some((address, work)) = next(inner, node, start) {
        let was_kept = link.is_some();
        let done = match &work {
            Work::Fetch(asked) => ask(inner, &mut link, &address, asked).map(|answer| {
                let throttled = Duration::from_millis(answer.throttle_time_ms.max(0) as u64);
                let next = answer::take(inner, node, asked, answer, &mut decompressor);
                start = next.unwrap_or(start);
                rest(inner, throttled.min(MOST_THROTTLE));
            }),
            Work::Starts(partitions) => open(inner, &mut link, &address)
                .and_then(|link| starts::ask(link, &inner.options.topic, partitions))
                .map(|found| learn_starts(inner, partitions, &found)),
        };
        match done {
            Ok(()) => inner.answered(&address),
            // It may have closed what was kept, when a login expires: once more with a new one.
            Err(error) if was_kept => {
                link = None;
                tracing::debug!(%error, "fetching over a new connection");
            }
            Err(error) => {
                link = None;
                inner.failed("read records", &error);
                match &work {
                    Work::Fetch(asked) => {
                        let (mut state, now) = (inner.lock(), Instant::now());
                        asked.iter().for_each(|asked| state.partitions.leader_failed(asked, now));
                    }
                    Work::Starts(partitions) => learn_starts(inner, partitions, &HashMap::new()),
                }
                inner.changed.notify_all();
            }
        }
    }
}

/// What a broker is asked for.
#[derive(Debug)]
enum Work {
    Fetch(Vec<Asked>),
    /// Where the logs of these begin.
    Starts(Vec<AtStart>),
}

fn learn_starts(inner: &Inner, partitions: &[AtStart], found: &HashMap<i32, i64>) {
    let (mut state, now) = (inner.lock(), Instant::now());
    for (partition, term) in partitions {
        state.partitions.log_starts(*partition, *term, found.get(partition).copied(), now);
    }
    inner.changed.notify_all();
}

/// What to ask for, when there is room for it. `None` ends the thread.
fn next(inner: &Inner, node: i32, start: i32) -> Option<(String, Work)> {
    let mut idle_since = None;
    loop {
        let mut state = inner.lock();
        let now = Instant::now();
        let asked = state.partitions.ask(node, start, now);
        let idle = now.duration_since(*idle_since.get_or_insert(now));
        if state.partitions.needs(node, now) {
            idle_since = None;
        }
        if state.is_over() || (idle_since.is_some() && idle >= IDLE) {
            state.threads.remove(&node);
            return None;
        }
        let address = state.partitions.address(node).unwrap_or_default().to_owned();
        let starts = state.partitions.at_start(node, now);
        if !starts.is_empty() {
            return Some((address, Work::Starts(starts)));
        }
        if asked.is_empty() {
            let wait = state.partitions.next_change(now).unwrap_or(IDLE);
            drop(inner.changed.wait_timeout(state, wait));
            continue;
        }
        if !inner.member.has_room() {
            drop(state);
            inner.member.wait_for_room(ROOM_WAIT);
            continue;
        }
        return Some((address, Work::Fetch(asked)));
    }
}

/// The connection, if it leads there, or a new one.
fn open<'l>(
    inner: &Inner,
    link: &'l mut Option<Link>,
    address: &str,
) -> Result<&'l mut Link, ClusterError> {
    if link.as_ref().is_none_or(|open| open.address() != address) {
        let options = &inner.options;
        let mut open = match inner.spare(address) {
            Some(spare) => spare,
            None => Link::open(&options.connection, address)?,
        };
        open.patience(Duration::from_millis(options.fetch_wait_max_ms))?;
        *link = Some(open);
    }
    link.as_mut().ok_or_else(|| ClusterError::Unreachable {
        broker: address.to_owned(),
        reason: "no connection".to_owned(),
    })
}

fn ask(
    inner: &Inner,
    link: &mut Option<Link>,
    address: &str,
    asked: &[Asked],
) -> Result<FetchResponse, ClusterError> {
    let options = &inner.options;
    let link = open(inner, link, address)?;
    if tracing::enabled!(tracing::Level::TRACE) {
        for Asked { partition, offset, .. } in asked {
            tracing::trace!(broker = link.address(), partition, offset, "fetch");
        }
    }
    let partition_bytes = partition_bytes(asked.len());
    let min_bytes = options.fetch_min_bytes.min(partition_bytes as u64);
    let partitions = asked.iter().map(|asked| {
        FetchPartition::default()
            .with_partition(asked.partition)
            .with_current_leader_epoch(asked.leader_epoch)
            .with_fetch_offset(asked.offset)
            .with_log_start_offset(-1)
            .with_partition_max_bytes(partition_bytes as i32)
    });
    let topic = FetchTopic::default()
        .with_topic(TopicName(text(&options.topic)))
        .with_partitions(partitions.collect());
    let request = FetchRequest::default()
        .with_replica_id(BrokerId(-1))
        .with_max_wait_ms(options.fetch_wait_max_ms as i32)
        .with_min_bytes(min_bytes as i32)
        .with_max_bytes(ANSWER_BYTES as i32)
        .with_isolation_level(READ_COMMITTED)
        .with_session_epoch(-1)
        .with_rack_id(text(options.client_rack.as_deref().unwrap_or_default()))
        .with_topics(vec![topic]);
    link.ask_up_to("fetch records", &request, VERSION)
}

/// What each of so many partitions may have of an answer. More than that is not waited for:
/// where the others are at their ends, one with a backlog cannot have it.
pub(super) fn partition_bytes(partitions: usize) -> usize {
    (ANSWER_BYTES / partitions.max(1)).max(PARTITION_BYTES)
}

/// Waits, unless all is over.
fn rest(inner: &Inner, time: Duration) {
    if !time.is_zero() {
        let over = inner.changed.wait_timeout_while(inner.lock(), time, |state| !state.is_over());
        drop(over);
    }
}
