//! Is what waits anything a consumer would see?
//!
//! A consumer's position after the last record of a transaction is before the
//! transaction's marker, and stays there: `end − committed` is 1 for ever. The same
//! is true before aborted records, and before what compaction left empty. So where
//! neither offset moves, what lies between them is looked at once: the headers of
//! the record batches tell. Needs Read on the topic; without it such an offset counts
//! as lag, as it does for everybody else.

use std::collections::HashMap;
use std::ops::Range;

use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use kafka_protocol::messages::fetch_response::PartitionData;
use kafka_protocol::messages::{BrokerId, FetchRequest, TopicName};

use super::link::Links;
use super::{ClusterError, GroupTopic, READ_COMMITTED};
use crate::batch::{Aborted, Batch};
use crate::wire::text;

/// Reads that must have seen the same two offsets first.
const STILL_READS: u32 = 3;
/// More than this is a backlog and not a few markers.
const MOST_BETWEEN: i64 = 1000;
/// Looks at a log in one read of the cluster.
const MOST_LOOKS: u32 = 32;
/// What no read has asked about for so many reads is forgotten.
const MOST_UNASKED: u32 = 600;
const FETCH_BYTES: i32 = 256 * 1024;

/// Offsets of one partition that did not move, and what was found between them.
#[derive(Debug, Clone, Copy)]
struct Still {
    from: i64,
    end: i64,
    reads: u32,
    only_control: Option<bool>,
    seen: bool,
    /// Reads since the last one that asked about it.
    unasked: u32,
}

/// Partitions that stand still before their end.
#[derive(Debug, Default)]
pub(super) struct Standstill {
    partitions: HashMap<(GroupTopic, i32), Still>,
    looks: u32,
}

impl Standstill {
    /// Whether only such records lie between the offsets; `look` reads the log, and
    /// is asked once for each pair of offsets.
    pub(super) fn only_control(
        &mut self,
        want: &GroupTopic,
        partition: i32,
        from: i64,
        end: i64,
        look: impl FnOnce() -> Option<bool>,
    ) -> bool {
        if from >= end || end - from > MOST_BETWEEN {
            return false;
        }
        let fresh = Still { from, end, reads: 0, only_control: None, seen: true, unasked: 0 };
        let still = self.partitions.entry((want.clone(), partition)).or_insert(fresh);
        if (still.from, still.end) != (from, end) {
            *still = fresh;
        }
        (still.seen, still.unasked) = (true, 0);
        still.reads = still.reads.saturating_add(1);
        if still.only_control.is_none() && still.reads >= STILL_READS && self.looks < MOST_LOOKS {
            self.looks += 1;
            // Unreadable is looked at again after as many reads.
            still.only_control = look();
            still.reads = 0;
        }
        still.only_control == Some(true)
    }

    /// Ends one read, of what is wanted and with these answers. What an answer did not
    /// find standing still is forgotten, and so is what belongs to a topic that does not
    /// exist. What could not be read is kept, and what was not asked about is kept for
    /// [`MOST_UNASKED`] reads: a read may be of a few topics only.
    pub(super) fn forget_unseen<T>(
        &mut self,
        wanted: &[GroupTopic],
        answers: &[Result<T, ClusterError>],
    ) {
        self.looks = 0;
        let is_answered = |answer: &Result<T, ClusterError>| {
            matches!(answer, Ok(_) | Err(ClusterError::UnknownTopic { .. }))
        };
        let asked: HashMap<&GroupTopic, bool> =
            wanted.iter().zip(answers.iter().map(is_answered)).collect();
        self.partitions.retain(|(want, _), still| {
            let seen = std::mem::take(&mut still.seen);
            match asked.get(want) {
                Some(answered) => seen || !answered,
                None => {
                    still.unasked = still.unasked.saturating_add(1);
                    still.unasked <= MOST_UNASKED
                }
            }
        });
    }
}

/// Reads the log; `None` when it cannot be read.
pub(super) fn only_control_records(
    links: &mut Links,
    leader: i32,
    topic: &str,
    partition: i32,
    offsets: Range<i64>,
) -> Option<bool> {
    let asked = FetchPartition::default()
        .with_partition(partition)
        .with_current_leader_epoch(-1)
        .with_fetch_offset(offsets.start)
        .with_log_start_offset(-1)
        .with_partition_max_bytes(FETCH_BYTES);
    let request = FetchRequest::default()
        .with_replica_id(BrokerId(-1))
        .with_max_wait_ms(0)
        .with_min_bytes(0)
        .with_max_bytes(FETCH_BYTES)
        .with_isolation_level(READ_COMMITTED)
        .with_session_epoch(-1)
        .with_topics(vec![
            FetchTopic::default().with_topic(TopicName(text(topic))).with_partitions(vec![asked]),
        ]);
    let answer = links.ask(leader, "look at the end of the log", &request, 11).ok()?;
    let data = answer.responses.into_iter().next()?.partitions.into_iter().next()?;
    if answer.error_code != 0 || data.error_code != 0 {
        return None;
    }
    Some(is_only_control(&data, &offsets))
}

fn is_only_control(data: &PartitionData, offsets: &Range<i64>) -> bool {
    let records = data.records.clone().unwrap_or_default();
    let mut aborted = Aborted::of(data);
    let (mut next, mut at) = (offsets.start, 0);
    // What cannot be read was not seen.
    while let Ok(Some(batch)) = Batch::at(&records, at) {
        at += batch.len();
        if batch.last_offset() >= offsets.end {
            // A batch across the end is not wholly stable yet.
            return batch.is_control() && batch.base_offset() <= offsets.end;
        }
        next = next.max(batch.last_offset() + 1);
        let given_up = aborted.holds(&batch);
        if batch.is_control() {
            aborted.ends(batch.producer_id());
            continue;
        }
        if batch.count() > 0 && batch.last_offset() >= offsets.start && !given_up {
            return false;
        }
    }
    next >= offsets.end
}

#[cfg(test)]
mod tests {
    use kafka_protocol::messages::ProducerId;
    use kafka_protocol::messages::fetch_response::AbortedTransaction;

    use super::*;

    fn batch(base: i64, count: i32, attributes: i16, producer: i64) -> Vec<u8> {
        let mut bytes = vec![0u8; 61];
        bytes[0..8].copy_from_slice(&base.to_be_bytes());
        bytes[8..12].copy_from_slice(&49i32.to_be_bytes());
        bytes[16] = 2;
        bytes[21..23].copy_from_slice(&attributes.to_be_bytes());
        bytes[23..27].copy_from_slice(&(count - 1).to_be_bytes());
        bytes[43..51].copy_from_slice(&producer.to_be_bytes());
        bytes[57..61].copy_from_slice(&count.to_be_bytes());
        bytes
    }

    fn data(batches: &[Vec<u8>], aborted: &[(i64, i64)]) -> PartitionData {
        let aborted = aborted.iter().map(|(producer, first)| {
            AbortedTransaction::default()
                .with_producer_id(ProducerId(*producer))
                .with_first_offset(*first)
        });
        PartitionData::default()
            .with_records(Some(batches.concat().into()))
            .with_aborted_transactions(Some(aborted.collect()))
    }

    const DATA: i16 = 0x10;
    const MARKER: i16 = 0x30;

    #[test]
    fn a_marker_is_not_lag_and_a_record_is() {
        let marker = data(&[batch(9, 1, DATA, 7), batch(10, 1, MARKER, 7)], &[]);
        assert!(is_only_control(&marker, &(10..11)), "only the commit marker waits");
        assert!(!is_only_control(&marker, &(9..11)), "the record before it waits too");
        let plain = data(&[batch(10, 1, MARKER, 7), batch(11, 2, 0, -1)], &[]);
        assert!(!is_only_control(&plain, &(10..13)));
    }

    #[test]
    fn aborted_records_are_not_lag_until_their_marker() {
        let batches = [batch(5, 3, DATA, 7), batch(8, 1, MARKER, 7), batch(9, 1, DATA, 7)];
        assert!(is_only_control(&data(&batches[..2], &[(7, 5)]), &(5..9)));
        assert!(!is_only_control(&data(&batches, &[(7, 5)]), &(5..10)), "the next transaction");
        assert!(!is_only_control(&data(&batches[..2], &[]), &(5..9)), "it was committed");
    }

    #[test]
    fn what_was_not_seen_to_the_end_counts() {
        assert!(!is_only_control(&data(&[], &[]), &(5..9)));
        assert!(!is_only_control(&data(&[batch(5, 1, MARKER, 7)], &[]), &(5..9)));
        let cut = [batch(5, 1, MARKER, 7), batch(6, 3, MARKER, 7)[..40].to_vec()];
        assert!(!is_only_control(&data(&cut, &[]), &(5..9)));
    }

    #[test]
    fn the_log_is_looked_at_once_for_a_pair_of_offsets() {
        let want = GroupTopic { group: "g".into(), topic: "t".into() };
        let mut still = Standstill::default();
        let mut looks = 0;
        for read in 1..=10 {
            let only = still.only_control(&want, 0, 5, 6, || {
                looks += 1;
                Some(true)
            });
            assert_eq!(only, read >= STILL_READS, "read {read}");
            still.forget_unseen(std::slice::from_ref(&want), &[Ok(())]);
        }
        assert_eq!(looks, 1);
        assert!(!still.only_control(&want, 0, 5, 7, || Some(true)), "a record arrived");
        assert!(!still.only_control(&want, 0, 5, 5 + MOST_BETWEEN + 1, || Some(true)));
    }

    fn want(topic: &str) -> GroupTopic {
        GroupTopic { group: "g".into(), topic: topic.into() }
    }

    /// Partition 0 of topic `a`, known to have only a marker before its end.
    fn known() -> Standstill {
        let mut still = Standstill::default();
        for _ in 0..STILL_READS {
            still.only_control(&want("a"), 0, 5, 6, || Some(true));
            still.forget_unseen(&[want("a")], &[Ok(())]);
        }
        still
    }

    /// Without another look at the log.
    fn is_known(still: &mut Standstill) -> bool {
        still.only_control(&want("a"), 0, 5, 6, || None)
    }

    #[test]
    fn what_a_read_did_not_ask_about_stays_known_for_a_while() {
        let mut still = known();
        for _ in 0..3 {
            for _ in 0..MOST_UNASKED {
                still.forget_unseen(&[want("b")], &[Ok(())]);
            }
            assert!(is_known(&mut still), "it was asked about in time");
            still.forget_unseen(&[want("a")], &[Ok(())]);
        }
        for _ in 0..=MOST_UNASKED {
            still.forget_unseen(&[want("b")], &[Ok(())]);
        }
        assert!(still.partitions.is_empty(), "the memory is bounded");
    }

    #[test]
    fn what_could_not_be_read_stays_known_and_what_is_gone_does_not() {
        let mut still = known();
        let moving = ClusterError::Moving { what: "topic a".into(), reason: "moves".into() };
        for _ in 0..=MOST_UNASKED {
            still.forget_unseen::<()>(&[want("a")], &[Err(moving.clone())]);
        }
        assert!(is_known(&mut still));
        still.forget_unseen(&[want("a")], &[Ok(())]);
        still.forget_unseen(&[want("a")], &[Ok(())]);
        assert!(still.partitions.is_empty(), "it does not stand still any more");
        let mut still = known();
        let missing = ClusterError::UnknownTopic { topic: "a".into() };
        still.forget_unseen::<()>(&[want("a")], &[Err(missing)]);
        assert!(still.partitions.is_empty(), "its offsets may come again and mean others");
    }
}
