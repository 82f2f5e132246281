//! Reads many groups on many topics of one cluster: one request a broker for the
//! ends of all of them, one a coordinator for the committed offsets of all of them.
//!
//! Contract: [`ClusterReader::read`] answers for each (group, topic) on its own; one
//! that cannot be read does not hold up the others. An answer is complete or an
//! error: a partition whose leader is silent would look like one without arrivals.
//! At most one connection a broker, opened when needed and kept. No rebalance is
//! ever caused: nothing joins.
//!
//! - *end* is the last stable offset: what a `read_committed` consumer can reach.
//! - A partition without a commit counts from the start of the log, and so does one
//!   whose commit is older than it: deleted records are not lag.
//! - Records that a consumer never sees (transaction markers, aborted records) are
//!   not lag either. An offset that waits before only such records is reported as
//!   standing at the end (`control`).
//!
//! What fails because a leader or a coordinator moves is read once more, after a tenth
//! of a second: a rolling restart is no outage.
//!
//! Threads: blocking; call it from a thread that may block. Every step is bounded.
//!
//! Rejected: librdkafka's admin calls, which ask for one group a request and search
//! their partition lists linearly; a client a group, which is threads and memory for
//! each of hundreds.
//!
//! # Layout
//! - `link`: connections, and which versions a broker speaks
//! - `topics`: leaders, ends and starts of logs
//! - `groups`: coordinators and committed offsets
//! - `control`: what lies between an offset and the end
//! - `members`: who is in a group
//! - `error`: what can go wrong, and whose business it is

mod control;
mod error;
mod groups;
mod link;
mod members;
pub(crate) mod topics;

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use self::control::Standstill;
use self::groups::{Committed, Coordinators};
use self::topics::{LATEST, Offsets, Topics};
use crate::{ConnectionOptions, PartitionOffsets};

pub use error::ClusterError;
pub(crate) use link::{Link, Links};
pub use members::GroupMember;

/// A leader or a coordinator that moves is asked for once more after this time.
const RETRY_PAUSE: Duration = Duration::from_millis(100);
pub(crate) const READ_COMMITTED: i8 = 1;

/// A group's progress on a topic is wanted.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct GroupTopic {
    /// Consumer group.
    pub group: String,
    /// Topic.
    pub topic: String,
}

/// One cluster, read for many.
#[derive(Debug)]
pub struct ClusterReader {
    links: Links,
    topics: Topics,
    coordinators: Coordinators,
    standstill: Standstill,
}

impl ClusterReader {
    /// A reader; connecting happens with the first read.
    ///
    /// # Errors
    /// [`crate::Error::Option`].
    pub fn new(connection: &ConnectionOptions) -> Result<Self, crate::Error> {
        connection.validate()?;
        Ok(Self {
            links: Links::new(connection),
            topics: Topics::default(),
            coordinators: Coordinators::default(),
            standstill: Standstill::default(),
        })
    }

    /// Connections that are open now.
    pub fn connections(&self) -> usize {
        self.links.open()
    }

    /// Requests made so far, those of connecting left out.
    pub fn requests(&self) -> u64 {
        self.links.requests()
    }

    /// Committed, start and end offset of every partition, in the order of `wanted`.
    pub fn read(
        &mut self,
        wanted: &[GroupTopic],
    ) -> Vec<Result<Vec<PartitionOffsets>, ClusterError>> {
        let mut answers = self.read_once(wanted);
        let moved: Vec<usize> = (0..answers.len())
            .filter(|index| matches!(&answers[*index], Err(error) if error.is_transient()))
            .collect();
        if !moved.is_empty() {
            std::thread::sleep(RETRY_PAUSE);
            let again: Vec<GroupTopic> = moved.iter().map(|index| wanted[*index].clone()).collect();
            for (index, answer) in moved.into_iter().zip(self.read_once(&again)) {
                answers[index] = answer;
            }
        }
        self.standstill.forget_unseen(wanted, &answers);
        answers
    }

    fn read_once(
        &mut self,
        wanted: &[GroupTopic],
    ) -> Vec<Result<Vec<PartitionOffsets>, ClusterError>> {
        let topics: BTreeSet<&str> = wanted.iter().map(|want| want.topic.as_str()).collect();
        let missing = self.topics.learn(&mut self.links, &topics);
        let ends = self.topics.list(&mut self.links, &topics, LATEST);
        let starts = self.topics.starts(&mut self.links, &topics);
        let committed =
            self.coordinators.committed(&mut self.links, &self.topics, wanted, &missing);
        let mut answers = Vec::with_capacity(wanted.len());
        for want in wanted {
            answers.push(self.answer(want, &missing, &ends, &starts, &committed));
        }
        answers
    }

    /// End offsets only, by topic: has anything arrived?
    pub fn ends(&mut self, topics: &BTreeSet<&str>) -> HashMap<String, Result<i64, ClusterError>> {
        let mut missing = self.topics.learn(&mut self.links, topics);
        let mut ends = self.topics.list(&mut self.links, topics, LATEST);
        let sum = |topic: &&str| {
            let sum = match (missing.remove(*topic), ends.remove(*topic)) {
                (Some(error), _) | (None, Some(Err(error))) => Err(error),
                (None, Some(Ok(ends))) => Ok(ends.values().sum()),
                (None, None) => Err(ClusterError::UnknownTopic { topic: (*topic).to_owned() }),
            };
            ((*topic).to_owned(), sum)
        };
        topics.iter().map(sum).collect()
    }

    fn answer(
        &mut self,
        want: &GroupTopic,
        missing: &HashMap<String, ClusterError>,
        ends: &Offsets,
        starts: &HashMap<String, Vec<i64>>,
        committed: &Committed,
    ) -> Result<Vec<PartitionOffsets>, ClusterError> {
        let unknown = || ClusterError::UnknownTopic { topic: want.topic.clone() };
        if let Some(error) = missing.get(&want.topic) {
            return Err(error.clone());
        }
        let ends = ends.get(&want.topic).ok_or_else(unknown)?.as_ref().map_err(Clone::clone)?;
        let committed = committed.get(want).ok_or_else(unknown)?.as_ref().map_err(Clone::clone)?;
        let starts = starts.get(&want.topic);
        let mut offsets: Vec<PartitionOffsets> = ends
            .iter()
            .map(|(partition, end)| {
                let start = starts
                    .and_then(|starts| starts.get(usize::try_from(*partition).ok()?))
                    .map(|start| (*start).min(*end));
                let committed = committed
                    .get(partition)
                    .copied()
                    .filter(|offset| *offset >= 0)
                    .map(|offset| start.map_or(offset, |start| offset.max(start)));
                PartitionOffsets { partition: *partition, committed, start, end: Some(*end) }
            })
            .collect();
        for partition in &mut offsets {
            if self.nothing_real_waits(want, partition) {
                partition.committed = partition.end;
            }
        }
        Ok(offsets)
    }

    /// Whether the partition has stood still before records that no consumer sees.
    fn nothing_real_waits(&mut self, want: &GroupTopic, offsets: &PartitionOffsets) -> bool {
        let (Some(from), Some(end)) = (offsets.committed.or(offsets.start), offsets.end) else {
            return false;
        };
        let Some(leader) = self.topics.leader(&want.topic, offsets.partition) else {
            return false;
        };
        let links = &mut self.links;
        self.standstill.only_control(want, offsets.partition, from, end, || {
            control::only_control_records(links, leader, &want.topic, offsets.partition, from..end)
        })
    }
}
