//! Partitions, their leaders, and the offsets that leaders know.
//!
//! Contract: what is known of a topic is asked for again after a time, and at once when a
//! leader has refused. Requests hold whole topics.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::{Duration, Instant};

use kafka_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::{
    BrokerId, ListOffsetsRequest, MetadataRequest, MetadataResponse, TopicName,
};

use super::link::Links;
use super::{ClusterError, READ_COMMITTED};
use crate::wire::text;

/// Partitions and leaders are asked for again after this time, or on an error.
const METADATA_AGE: Duration = Duration::from_secs(60);
/// Starts of logs move slowly.
const STARTS_AGE: Duration = Duration::from_secs(30);
/// Partitions in one request.
const MOST_PARTITIONS: usize = 20_000;
pub(super) const LATEST: i64 = -1;
pub(crate) const EARLIEST: i64 = -2;

/// Offset by partition, by topic.
pub(super) type Offsets = HashMap<String, Result<BTreeMap<i32, i64>, ClusterError>>;

/// What is known of the topics.
#[derive(Debug, Default)]
pub(super) struct Topics {
    known: HashMap<String, Topic>,
}

#[derive(Debug)]
struct Topic {
    asked_at: Instant,
    /// Leader by partition.
    leaders: Vec<i32>,
    starts: Option<(Instant, Vec<i64>)>,
}

impl Topics {
    /// How many partitions a topic has, if it is known.
    pub(super) fn partitions(&self, topic: &str) -> Option<usize> {
        Some(self.known.get(topic)?.leaders.len())
    }

    pub(super) fn leader(&self, topic: &str, partition: i32) -> Option<i32> {
        self.known.get(topic)?.leaders.get(usize::try_from(partition).ok()?).copied()
    }

    /// Asks for topics that are unknown or known for long; what is wrong with them.
    pub(super) fn learn(
        &mut self,
        links: &mut Links,
        topics: &BTreeSet<&str>,
    ) -> HashMap<String, ClusterError> {
        let stale: Vec<String> = topics
            .iter()
            .filter(|topic| {
                self.known.get(**topic).is_none_or(|known| known.asked_at.elapsed() > METADATA_AGE)
            })
            .map(|topic| (*topic).to_owned())
            .collect();
        if stale.is_empty() {
            return HashMap::new();
        }
        match self.ask(links, &stale) {
            Ok(missing) => missing,
            Err(error) => stale.into_iter().map(|topic| (topic, error.clone())).collect(),
        }
    }

    fn ask(
        &mut self,
        links: &mut Links,
        topics: &[String],
    ) -> Result<HashMap<String, ClusterError>, ClusterError> {
        let answer = ask_for(links, topics.iter().map(String::as_str))?;
        links.learn(addresses(&answer));
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
                self.known.remove(&name);
                continue;
            }
            let mut leaders = vec![-1; topic.partitions.len()];
            for partition in &topic.partitions {
                let index = usize::try_from(partition.partition_index).unwrap_or(usize::MAX);
                if let Some(leader) = leaders.get_mut(index) {
                    *leader = partition.leader_id.0;
                }
            }
            let starts = self.known.remove(&name).and_then(|known| known.starts);
            let starts = starts.filter(|(_, starts)| starts.len() == leaders.len());
            self.known.insert(name, Topic { asked_at: Instant::now(), leaders, starts });
        }
        Ok(missing)
    }

    /// Offsets at a timestamp, one request a leader.
    pub(super) fn list(
        &mut self,
        links: &mut Links,
        topics: &BTreeSet<&str>,
        timestamp: i64,
    ) -> Offsets {
        let mut by_leader: BTreeMap<i32, BTreeMap<&str, Vec<i32>>> = BTreeMap::new();
        for topic in topics {
            let leaders = self.known.get(*topic).map(|known| known.leaders.as_slice());
            for (partition, leader) in (0i32..).zip(leaders.unwrap_or_default()) {
                by_leader.entry(*leader).or_default().entry(topic).or_default().push(partition);
            }
        }
        let mut offsets: Offsets = HashMap::new();
        for (leader, topics) in by_leader {
            for chunk in chunks(topics) {
                list_from(links, leader, &chunk, timestamp, &mut offsets);
            }
        }
        for (topic, answer) in &offsets {
            if answer.is_err() {
                // The leader may be another one now.
                self.known.remove(topic);
            }
        }
        offsets
    }

    /// Starts of the logs, asked for now and then. A failure leaves the old ones.
    pub(super) fn starts(
        &mut self,
        links: &mut Links,
        topics: &BTreeSet<&str>,
    ) -> HashMap<String, Vec<i64>> {
        let stale: BTreeSet<&str> = topics
            .iter()
            .filter(|topic| {
                self.known.get(**topic).is_some_and(|known| {
                    known.starts.as_ref().is_none_or(|(at, _)| at.elapsed() > STARTS_AGE)
                })
            })
            .copied()
            .collect();
        if !stale.is_empty() {
            for (topic, listed) in self.list(links, &stale, EARLIEST) {
                if let (Ok(listed), Some(known)) = (listed, self.known.get_mut(&topic)) {
                    known.starts = Some((Instant::now(), listed.into_values().collect()));
                }
            }
        }
        topics
            .iter()
            .filter_map(|topic| {
                let (_, starts) = self.known.get(*topic)?.starts.as_ref()?;
                Some(((*topic).to_owned(), starts.clone()))
            })
            .collect()
    }
}

/// What any broker knows of topics; none is created.
pub(crate) fn ask_for<'t>(
    links: &mut Links,
    topics: impl Iterator<Item = &'t str>,
) -> Result<MetadataResponse, ClusterError> {
    let asked =
        topics.map(|topic| MetadataRequestTopic::default().with_name(Some(TopicName(text(topic)))));
    let request = MetadataRequest::default()
        .with_topics(Some(asked.collect()))
        .with_allow_auto_topic_creation(false);
    links.ask_any("ask for the topics", &request, 9)
}

/// host:port by broker.
pub(crate) fn addresses(answer: &MetadataResponse) -> impl Iterator<Item = (i32, String)> {
    let brokers = answer.brokers.iter();
    brokers.map(|broker| (broker.node_id.0, format!("{}:{}", broker.host.as_str(), broker.port)))
}

/// Offsets of partitions at a timestamp, [`LATEST`] or [`EARLIEST`] among them.
pub(crate) fn offsets_request(topics: &[(&str, Vec<i32>)], timestamp: i64) -> ListOffsetsRequest {
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
    ListOffsetsRequest::default()
        .with_replica_id(BrokerId(-1))
        .with_isolation_level(READ_COMMITTED)
        .with_topics(asked.collect())
}

fn list_from(
    links: &mut Links,
    leader: i32,
    topics: &[(&str, Vec<i32>)],
    timestamp: i64,
    offsets: &mut Offsets,
) {
    let request = offsets_request(topics, timestamp);
    let answer = match links.ask(leader, "list the offsets", &request, 5) {
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
