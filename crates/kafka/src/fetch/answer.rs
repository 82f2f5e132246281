//! What a broker answers: records to tell, and where each partition stands then.
//!
//! Contract: records are told under the lock, and only for partitions that still stand
//! where they were asked for.
//!
//! The next request starts with the first partition that this answer passed over. A broker
//! serves them in the order of the request until the answer is full, and only the first
//! with data gets a batch larger than its share. So the start moves on at each request, no
//! partition with data is left behind it, and each has its turn within one round.
//!
//! Rejected: moving the start by one partition a request. An answer has records of several,
//! so of many partitions each would be read a few times running and then not for a round,
//! and writes that run side by side need records of different partitions.

use std::collections::{HashMap, HashSet};
use std::time::Instant;

use kafka_protocol::messages::FetchResponse;
use kafka_protocol::messages::fetch_response::PartitionData;

use super::compression::Decompressor;
use super::partitions::Asked;
use super::{Inner, State, batches};
use crate::batch::{Aborted, Unreadable};
use crate::chunk::Chunks;
use crate::{Error, GroupEvent};

/// What became of one partition in an answer.
#[derive(Debug)]
enum Outcome {
    Read { next_offset: i64, unreadable: Option<Unreadable> },
    Prefers(i32),
    OutOfRange,
    LeaderFailed,
    Failed(i16),
    Denied,
}

/// Takes an answer; with which partition, or the next one behind it, to start now.
pub(super) fn take(
    inner: &Inner,
    node: i32,
    asked: &[Asked],
    answer: FetchResponse,
    decompressor: &mut Decompressor,
) -> Option<i32> {
    let mut left: HashMap<i32, Asked> =
        asked.iter().map(|asked| (asked.partition, *asked)).collect();
    let mut chunks = Chunks::default();
    let mut outcomes = Vec::with_capacity(asked.len());
    let (mut read, mut passed_over) = (HashSet::new(), HashSet::new());
    for data in answer.responses.into_iter().flat_map(|topic| topic.partitions) {
        let Some(asked) = left.remove(&data.partition_index) else { continue };
        // What may be read ends there; some brokers tell only the log's end.
        let end = Some(data.last_stable_offset).filter(|offset| *offset >= 0);
        let end = end.unwrap_or(data.high_watermark);
        let outcome = outcome(node, &asked, data, decompressor, &mut chunks);
        if let Outcome::Read { next_offset, .. } = outcome {
            if next_offset > asked.offset {
                read.insert(asked.partition);
            } else if end > asked.offset {
                passed_over.insert(asked.partition);
            }
        }
        outcomes.push((asked, outcome));
    }
    let start = next_start(asked, &read, &passed_over);
    // The whole request was refused, or a part of it forgotten: not asked again at once.
    if !left.is_empty() {
        tracing::warn!(code = answer.error_code, "the broker does not answer what it was asked");
        outcomes.extend(left.into_values().map(|asked| (asked, Outcome::LeaderFailed)));
    }
    let mut state = inner.lock();
    let answered = outcomes.len();
    outcomes.retain(|(asked, _)| state.partitions.expects(asked));
    let all_wanted = outcomes.len() == answered;
    let wanted: HashSet<i32> = outcomes.iter().map(|(asked, _)| asked.partition).collect();
    for mut chunk in chunks.finish() {
        if !all_wanted {
            chunk.keep(|partition| wanted.contains(&partition));
        }
        let records = chunk.finish(&inner.options.topic);
        if records.len() > 0 && !tell(inner, &mut state, GroupEvent::Records(records)) {
            return start;
        }
    }
    settle(inner, &mut state, outcomes);
    start
}

/// The first that was passed over; else the one behind the last that was read. The first of
/// all was not passed over for want of room: what is wrong with it, others do not wait for.
fn next_start(asked: &[Asked], read: &HashSet<i32>, passed_over: &HashSet<i32>) -> Option<i32> {
    let mut partitions = asked.iter().map(|asked| asked.partition);
    let first = partitions.next()?;
    let behind_last = || {
        let last = partitions.clone().rev().chain([first]).find(|at| read.contains(at));
        last.map(|last| last.saturating_add(1))
    };
    partitions.clone().find(|at| passed_over.contains(at)).or_else(behind_last)
}

fn tell(inner: &Inner, state: &mut State, event: GroupEvent) -> bool {
    if let GroupEvent::Records(records) = &event {
        inner.member.hold(records.len(), records.bytes());
    }
    let told = state.events.as_ref().is_some_and(|events| events.blocking_send(event).is_ok());
    if !told {
        state.end(Error::Ended);
    }
    told
}

fn outcome(
    node: i32,
    asked: &Asked,
    data: PartitionData,
    decompressor: &mut Decompressor,
    chunks: &mut Chunks,
) -> Outcome {
    let replica = data.preferred_read_replica.0;
    match data.error_code {
        0 if replica >= 0 && replica != node => Outcome::Prefers(replica),
        0 => {
            let aborted = Aborted::of(&data);
            let bytes = data.records.unwrap_or_default();
            let (partition, mut next_offset) = (asked.partition, asked.offset);
            let read =
                batches::take(partition, &bytes, &mut next_offset, aborted, decompressor, chunks);
            Outcome::Read { next_offset, unreadable: read.err() }
        }
        1 => Outcome::OutOfRange,
        29 => Outcome::Denied,
        // The leader is another one, or is about to be, or has lost its disk.
        3 | 5 | 6 | 9 | 56 | 74 | 75 | 78 | 100 | 103 => Outcome::LeaderFailed,
        code => Outcome::Failed(code),
    }
}

/// Where the partitions stand now.
fn settle(inner: &Inner, state: &mut State, outcomes: Vec<(Asked, Outcome)>) {
    let now = Instant::now();
    let mut something_to_do = false;
    for (asked, outcome) in outcomes {
        let (partition, offset) = (asked.partition, asked.offset);
        let partitions = &mut state.partitions;
        something_to_do |= !matches!(outcome, Outcome::Read { unreadable: None, .. });
        match outcome {
            Outcome::Read { next_offset, unreadable } => {
                // No progress is no reason to try again sooner.
                if unreadable.is_none() || next_offset > offset {
                    partitions.advance(&asked, next_offset);
                }
                if let Some(unreadable) = unreadable {
                    tracing::error!(partition, "{unreadable}; tried again");
                    state.trouble = format!("partition {partition}: {unreadable}");
                    partitions.failed(&Asked { offset: next_offset, ..asked }, now);
                }
            }
            Outcome::Prefers(replica) => {
                tracing::debug!(partition, replica, "reading from a near replica");
                partitions.prefer(&asked, replica, now);
            }
            Outcome::OutOfRange => {
                if partitions.out_of_range(&asked) {
                    tracing::warn!(partition, offset, "the log does not hold this offset any more");
                }
            }
            Outcome::LeaderFailed => partitions.leader_failed(&asked, now),
            Outcome::Failed(code) => {
                tracing::warn!(partition, code, "the broker refuses to read; tried again");
                state.trouble = format!("partition {partition}: the broker's error {code}");
                partitions.leader_failed(&asked, now);
            }
            Outcome::Denied => {
                let options = &inner.options;
                state.end(Error::Security {
                    brokers: options.connection.brokers.clone(),
                    reason: format!("no permission to read topic {}", options.topic),
                });
                return;
            }
        }
    }
    if something_to_do {
        inner.changed.notify_all();
    }
}

#[cfg(test)]
mod tests;
