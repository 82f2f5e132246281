//! Coordinators, and the offsets that their groups have committed.
//!
//! Contract: one request a coordinator for all of its groups. One that refuses or is silent
//! is looked for again with the next read.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use kafka_protocol::messages::offset_fetch_request::{
    OffsetFetchRequestGroup, OffsetFetchRequestTopics,
};
use kafka_protocol::messages::offset_fetch_response::OffsetFetchResponseGroup;
use kafka_protocol::messages::{FindCoordinatorRequest, GroupId, OffsetFetchRequest, TopicName};

use super::link::Links;
use super::topics::Topics;
use super::{ClusterError, GroupTopic};
use crate::wire::text;

/// Offset by partition, for each that was asked for.
pub(super) type Committed = HashMap<GroupTopic, Result<BTreeMap<i32, i64>, ClusterError>>;

/// Which broker coordinates which group.
#[derive(Debug, Default)]
pub(super) struct Coordinators {
    nodes: HashMap<String, i32>,
}

impl Coordinators {
    pub(super) fn of(&self, group: &str) -> Option<i32> {
        self.nodes.get(group).copied()
    }

    pub(super) fn forget(&mut self, group: &str) {
        self.nodes.remove(group);
    }

    /// Committed offsets of all groups, one request a coordinator.
    pub(super) fn committed(
        &mut self,
        links: &mut Links,
        topics: &Topics,
        wanted: &[GroupTopic],
        missing: &HashMap<String, ClusterError>,
    ) -> Committed {
        let mut groups: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for want in wanted.iter().filter(|want| !missing.contains_key(&want.topic)) {
            if topics.partitions(&want.topic).is_some() {
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
        let unknown = self.find(links, &names);
        for group in &names {
            match (unknown.get(*group), self.nodes.get(*group)) {
                (Some(error), _) => failed(group, &groups[group], error),
                (None, Some(node)) => by_coordinator.entry(*node).or_default().push(group),
                (None, None) => {
                    let error = ClusterError::group(group, 15);
                    failed(group, &groups[group], &error);
                }
            }
        }
        for (node, names) in by_coordinator {
            let request = OffsetFetchRequest::default().with_groups(
                names.iter().map(|group| fetch(group, topics, &groups[group])).collect(),
            );
            match links.ask(node, "fetch the committed offsets", &request, 8) {
                Err(error) => {
                    for group in names {
                        self.nodes.remove(group);
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

    fn take_group(
        &mut self,
        group: OffsetFetchResponseGroup,
        topics: Option<&BTreeSet<&str>>,
        answers: &mut Committed,
    ) {
        let name = group.group_id.0.to_string();
        let key = |topic: &str| GroupTopic { group: name.clone(), topic: topic.to_owned() };
        if group.error_code != 0 {
            self.nodes.remove(&name);
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
    pub(super) fn find(
        &mut self,
        links: &mut Links,
        groups: &[&str],
    ) -> HashMap<String, ClusterError> {
        let unknown: Vec<&str> =
            groups.iter().filter(|group| !self.nodes.contains_key(**group)).copied().collect();
        if unknown.is_empty() {
            return HashMap::new();
        }
        let request = FindCoordinatorRequest::default()
            .with_coordinator_keys(unknown.iter().map(|group| text(group)).collect());
        let answer = match links.ask_any("find the coordinators", &request, 4) {
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
            links.learn([(found.node_id.0, address)]);
            self.nodes.insert(group, found.node_id.0);
        }
        failed
    }
}

fn fetch(group: &str, known: &Topics, topics: &BTreeSet<&str>) -> OffsetFetchRequestGroup {
    let topics = topics.iter().filter_map(|topic| {
        let count = i32::try_from(known.partitions(topic)?).ok()?;
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
