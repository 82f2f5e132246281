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
//! - `control`: what lies between an offset and the end
//! - `members`: who is in a group
//! - `error`: what can go wrong, and whose business it is

mod control;
mod error;
mod link;
mod members;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::{Duration, Instant};

use kafka_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::offset_fetch_request::{
    OffsetFetchRequestGroup, OffsetFetchRequestTopics,
};
use kafka_protocol::messages::offset_fetch_response::OffsetFetchResponseGroup;
use kafka_protocol::messages::{
    BrokerId, FindCoordinatorRequest, GroupId, ListOffsetsRequest, MetadataRequest,
    OffsetFetchRequest, TopicName,
};
use kafka_protocol::protocol::StrBytes;

use self::control::Standstill;
use self::link::Links;
use crate::{ConnectionOptions, PartitionOffsets};

pub use error::ClusterError;
pub use members::GroupMember;

/// Partitions and leaders are asked for again after this time, or on an error.
const METADATA_AGE: Duration = Duration::from_secs(60);
/// Starts of logs move slowly.
const STARTS_AGE: Duration = Duration::from_secs(30);
/// A leader or a coordinator that moves is asked for once more after this time.
const RETRY_PAUSE: Duration = Duration::from_millis(100);
/// Partitions in one request.
const MOST_PARTITIONS: usize = 20_000;
const LATEST: i64 = -1;
const EARLIEST: i64 = -2;
const READ_COMMITTED: i8 = 1;

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
    topics: HashMap<String, Topic>,
    coordinators: HashMap<String, i32>,
    standstill: Standstill,
}

#[derive(Debug)]
struct Topic {
    asked_at: Instant,
    /// Leader by partition.
    leaders: Vec<i32>,
    starts: Option<(Instant, Vec<i64>)>,
}

type Offsets = HashMap<String, Result<BTreeMap<i32, i64>, ClusterError>>;
type Committed = HashMap<GroupTopic, Result<BTreeMap<i32, i64>, ClusterError>>;

impl ClusterReader {
    /// A reader; connecting happens with the first read.
    ///
    /// # Errors
    /// [`crate::Error::Option`].
    pub fn new(connection: &ConnectionOptions) -> Result<Self, crate::Error> {
        connection.validate()?;
        Ok(Self {
            links: Links::new(connection),
            topics: HashMap::new(),
            coordinators: HashMap::new(),
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
        self.standstill.forget_unseen();
        answers
    }

    fn read_once(
        &mut self,
        wanted: &[GroupTopic],
    ) -> Vec<Result<Vec<PartitionOffsets>, ClusterError>> {
        let topics: BTreeSet<&str> = wanted.iter().map(|want| want.topic.as_str()).collect();
        let missing = self.learn_topics(&topics);
        let ends = self.list(&topics, LATEST);
        let starts = self.starts(&topics);
        let committed = self.committed(wanted, &missing);
        let mut answers = Vec::with_capacity(wanted.len());
        for want in wanted {
            answers.push(self.answer(want, &missing, &ends, &starts, &committed));
        }
        answers
    }

    /// End offsets only, by topic: has anything arrived?
    pub fn ends(&mut self, topics: &BTreeSet<&str>) -> HashMap<String, Result<i64, ClusterError>> {
        let mut missing = self.learn_topics(topics);
        let mut ends = self.list(topics, LATEST);
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
        let leader = self
            .topics
            .get(&want.topic)
            .and_then(|topic| topic.leaders.get(usize::try_from(offsets.partition).ok()?))
            .copied();
        let Some(leader) = leader else { return false };
        let links = &mut self.links;
        self.standstill.only_control(want, offsets.partition, from, end, || {
            control::only_control_records(links, leader, &want.topic, offsets.partition, from..end)
        })
    }

    /// Asks for topics that are unknown or known for long; what is wrong with them.
    fn learn_topics(&mut self, topics: &BTreeSet<&str>) -> HashMap<String, ClusterError> {
        let stale: Vec<String> = topics
            .iter()
            .filter(|topic| {
                self.topics.get(**topic).is_none_or(|known| known.asked_at.elapsed() > METADATA_AGE)
            })
            .map(|topic| (*topic).to_owned())
            .collect();
        if stale.is_empty() {
            return HashMap::new();
        }
        match self.ask_topics(&stale) {
            Ok(missing) => missing,
            Err(error) => stale.into_iter().map(|topic| (topic, error.clone())).collect(),
        }
    }

    fn ask_topics(
        &mut self,
        topics: &[String],
    ) -> Result<HashMap<String, ClusterError>, ClusterError> {
        let asked = topics
            .iter()
            .map(|topic| MetadataRequestTopic::default().with_name(Some(TopicName(text(topic)))));
        let request = MetadataRequest::default()
            .with_topics(Some(asked.collect()))
            .with_allow_auto_topic_creation(false);
        let answer = self.links.ask_any("ask for the topics", &request, 9)?;
        self.links.learn(
            answer.brokers.iter().map(|broker| {
                (broker.node_id.0, format!("{}:{}", broker.host.as_str(), broker.port))
            }),
        );
        let mut missing = HashMap::new();
        for topic in answer.topics {
            let Some(name) = topic.name.map(|name| name.0.to_string()) else { continue };
            let leaderless = topic.partitions.iter().find(|partition| partition.leader_id.0 < 0);
            if topic.error_code != 0 {
                missing.insert(name.clone(), ClusterError::topic(&name, topic.error_code));
            } else if topic.partitions.is_empty() {
                missing.insert(name.clone(), ClusterError::UnknownTopic { topic: name.clone() });
            } else if let Some(partition) = leaderless {
                let partition = partition.partition_index;
                let error = ClusterError::NoLeader { topic: name.clone(), partition };
                missing.insert(name.clone(), error);
            }
            if missing.contains_key(&name) {
                self.topics.remove(&name);
                continue;
            }
            let mut leaders = vec![-1; topic.partitions.len()];
            for partition in &topic.partitions {
                let index = usize::try_from(partition.partition_index).unwrap_or(usize::MAX);
                if let Some(leader) = leaders.get_mut(index) {
                    *leader = partition.leader_id.0;
                }
            }
            let starts = self.topics.remove(&name).and_then(|known| known.starts);
            let starts = starts.filter(|(_, starts)| starts.len() == leaders.len());
            self.topics.insert(name, Topic { asked_at: Instant::now(), leaders, starts });
        }
        Ok(missing)
    }

    /// Offsets at a timestamp, one request a leader.
    fn list(&mut self, topics: &BTreeSet<&str>, timestamp: i64) -> Offsets {
        let mut by_leader: BTreeMap<i32, BTreeMap<&str, Vec<i32>>> = BTreeMap::new();
        for topic in topics {
            let leaders = self.topics.get(*topic).map(|known| known.leaders.as_slice());
            for (partition, leader) in (0i32..).zip(leaders.unwrap_or_default()) {
                by_leader.entry(*leader).or_default().entry(topic).or_default().push(partition);
            }
        }
        let mut offsets: Offsets = HashMap::new();
        for (leader, topics) in by_leader {
            for chunk in chunks(topics) {
                self.list_from(leader, &chunk, timestamp, &mut offsets);
            }
        }
        for (topic, answer) in &offsets {
            if answer.is_err() {
                // The leader may be another one now.
                self.topics.remove(topic);
            }
        }
        offsets
    }

    fn list_from(
        &mut self,
        leader: i32,
        topics: &[(&str, Vec<i32>)],
        timestamp: i64,
        offsets: &mut Offsets,
    ) {
        let asked = topics.iter().map(|(topic, partitions)| {
            let partitions = partitions.iter().map(|partition| {
                ListOffsetsPartition::default()
                    .with_partition_index(*partition)
                    .with_timestamp(timestamp)
            });
            ListOffsetsTopic::default()
                .with_name(TopicName(text(topic)))
                .with_partitions(partitions.collect())
        });
        let request = ListOffsetsRequest::default()
            .with_replica_id(BrokerId(-1))
            .with_isolation_level(READ_COMMITTED)
            .with_topics(asked.collect());
        let answer = match self.links.ask(leader, "list the offsets", &request, 5) {
            Ok(answer) => answer,
            Err(error) => {
                for (topic, _) in topics {
                    offsets.insert((*topic).to_owned(), Err(error.clone()));
                }
                return;
            }
        };
        for topic in answer.topics {
            let name = topic.name.0.to_string();
            let entry = offsets.entry(name.clone()).or_insert_with(|| Ok(BTreeMap::new()));
            for partition in topic.partitions {
                match (partition.error_code, &mut *entry) {
                    (0, Ok(listed)) => {
                        listed.insert(partition.partition_index, partition.offset);
                    }
                    (0, Err(_)) => {}
                    (code, entry) => *entry = Err(ClusterError::topic(&name, code)),
                }
            }
        }
    }

    /// Starts of the logs, asked for now and then. A failure leaves the old ones.
    fn starts(&mut self, topics: &BTreeSet<&str>) -> HashMap<String, Vec<i64>> {
        let stale: BTreeSet<&str> = topics
            .iter()
            .filter(|topic| {
                self.topics.get(**topic).is_some_and(|known| {
                    known.starts.as_ref().is_none_or(|(at, _)| at.elapsed() > STARTS_AGE)
                })
            })
            .copied()
            .collect();
        if !stale.is_empty() {
            for (topic, listed) in self.list(&stale, EARLIEST) {
                if let (Ok(listed), Some(known)) = (listed, self.topics.get_mut(&topic)) {
                    known.starts = Some((Instant::now(), listed.into_values().collect()));
                }
            }
        }
        topics
            .iter()
            .filter_map(|topic| {
                let (_, starts) = self.topics.get(*topic)?.starts.as_ref()?;
                Some(((*topic).to_owned(), starts.clone()))
            })
            .collect()
    }

    /// Committed offsets of all groups, one request a coordinator.
    fn committed(
        &mut self,
        wanted: &[GroupTopic],
        missing: &HashMap<String, ClusterError>,
    ) -> Committed {
        let mut groups: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for want in wanted.iter().filter(|want| !missing.contains_key(&want.topic)) {
            if self.topics.contains_key(&want.topic) {
                groups.entry(&want.group).or_default().insert(&want.topic);
            }
        }
        let mut answers = HashMap::new();
        let names: Vec<&str> = groups.keys().copied().collect();
        let mut failed = |group: &str, topics: &BTreeSet<&str>, error: &ClusterError| {
            for topic in topics {
                let key = GroupTopic { group: group.to_owned(), topic: (*topic).to_owned() };
                answers.insert(key, Err(error.clone()));
            }
        };
        let mut by_coordinator: BTreeMap<i32, Vec<&str>> = BTreeMap::new();
        let unknown = self.find_coordinators(&names);
        for group in &names {
            match (unknown.get(*group), self.coordinators.get(*group)) {
                (Some(error), _) => failed(group, &groups[group], error),
                (None, Some(node)) => by_coordinator.entry(*node).or_default().push(group),
                (None, None) => {
                    let error = ClusterError::group(group, 15);
                    failed(group, &groups[group], &error);
                }
            }
        }
        for (node, names) in by_coordinator {
            let request = OffsetFetchRequest::default()
                .with_groups(names.iter().map(|group| self.fetch(group, &groups[group])).collect());
            match self.links.ask(node, "fetch the committed offsets", &request, 8) {
                Err(error) => {
                    for group in names {
                        self.coordinators.remove(group);
                        for topic in &groups[group] {
                            let key = GroupTopic { group: group.into(), topic: (*topic).into() };
                            answers.insert(key, Err(error.clone()));
                        }
                    }
                }
                Ok(answer) => {
                    for group in answer.groups {
                        let topics = groups.get(group.group_id.0.as_str());
                        self.take_group(group, topics, &mut answers);
                    }
                }
            }
        }
        answers
    }

    fn fetch(&self, group: &str, topics: &BTreeSet<&str>) -> OffsetFetchRequestGroup {
        let topics = topics.iter().filter_map(|topic| {
            let count = i32::try_from(self.topics.get(*topic)?.leaders.len()).ok()?;
            Some(
                OffsetFetchRequestTopics::default()
                    .with_name(TopicName(text(topic)))
                    .with_partition_indexes((0..count).collect()),
            )
        });
        OffsetFetchRequestGroup::default()
            .with_group_id(GroupId(text(group)))
            .with_topics(Some(topics.collect()))
    }

    fn take_group(
        &mut self,
        group: OffsetFetchResponseGroup,
        topics: Option<&BTreeSet<&str>>,
        answers: &mut Committed,
    ) {
        let name = group.group_id.0.to_string();
        let key = |topic: &str| GroupTopic { group: name.clone(), topic: topic.to_owned() };
        if group.error_code != 0 {
            self.coordinators.remove(&name);
            let error = ClusterError::group(&name, group.error_code);
            answers
                .extend(topics.into_iter().flatten().map(|topic| (key(topic), Err(error.clone()))));
            return;
        }
        for topic in group.topics {
            let mut answer = Ok(BTreeMap::new());
            for partition in topic.partitions {
                match (partition.error_code, &mut answer) {
                    (0, Ok(committed)) => {
                        committed.insert(partition.partition_index, partition.committed_offset);
                    }
                    (0, Err(_)) => {}
                    (code, answer) => *answer = Err(ClusterError::topic(&topic.name.0, code)),
                }
            }
            answers.insert(key(&topic.name.0), answer);
        }
    }

    /// Finds the coordinators that are not known; what went wrong by group.
    fn find_coordinators(&mut self, groups: &[&str]) -> HashMap<String, ClusterError> {
        let unknown: Vec<&str> = groups
            .iter()
            .filter(|group| !self.coordinators.contains_key(**group))
            .copied()
            .collect();
        if unknown.is_empty() {
            return HashMap::new();
        }
        let request = FindCoordinatorRequest::default()
            .with_coordinator_keys(unknown.iter().map(|group| text(group)).collect());
        let answer = match self.links.ask_any("find the coordinators", &request, 4) {
            Ok(answer) => answer,
            Err(error) => {
                return unknown.iter().map(|group| ((*group).to_owned(), error.clone())).collect();
            }
        };
        let mut failed = HashMap::new();
        for found in answer.coordinators {
            let group = found.key.to_string();
            if found.error_code != 0 {
                failed.insert(group.clone(), ClusterError::group(&group, found.error_code));
                continue;
            }
            let address = format!("{}:{}", found.host.as_str(), found.port);
            self.links.learn([(found.node_id.0, address)]);
            self.coordinators.insert(group, found.node_id.0);
        }
        failed
    }
}

/// Whole topics, up to so many partitions a part.
fn chunks(topics: BTreeMap<&str, Vec<i32>>) -> Vec<Vec<(&str, Vec<i32>)>> {
    let mut parts: Vec<Vec<(&str, Vec<i32>)>> = Vec::new();
    let mut partitions = usize::MAX;
    for (topic, of_topic) in topics {
        partitions = partitions.saturating_add(of_topic.len());
        match parts.last_mut() {
            Some(part) if partitions <= MOST_PARTITIONS => part.push((topic, of_topic)),
            _ => {
                partitions = of_topic.len();
                parts.push(vec![(topic, of_topic)]);
            }
        }
    }
    parts
}

fn text(value: &str) -> StrBytes {
    StrBytes::from_string(value.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_hold_whole_topics_up_to_the_limit() {
        let names: Vec<String> = (0..5).map(|topic| format!("t{topic}")).collect();
        let topics =
            names.iter().map(|name| (name.as_str(), vec![0; MOST_PARTITIONS / 2])).collect();
        let parts = chunks(topics);
        assert_eq!(parts.iter().map(Vec::len).collect::<Vec<_>>(), [2, 2, 1]);
        let one = chunks(BTreeMap::from([("big", vec![0; 3 * MOST_PARTITIONS])]));
        assert_eq!(one.len(), 1, "a topic is never split");
    }
}
