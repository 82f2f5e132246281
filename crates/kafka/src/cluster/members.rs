//! Who is in a group, whatever its protocol.

use std::collections::{BTreeMap, HashMap};

use kafka_protocol::ResponseError;
use kafka_protocol::messages::{
    ApiKey, ConsumerGroupDescribeRequest, DescribeGroupsRequest, GroupId,
};

use super::{ClusterError, ClusterReader};
use crate::GroupProtocol;
use crate::wire::text;

/// A member of a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupMember {
    /// Its id in the group.
    pub member_id: String,
    /// What its client calls itself; a pod's name where that was asked for.
    pub client_id: String,
    /// Its address as the broker sees it.
    pub host: String,
    /// How it takes part: `Consumer` is KIP-848.
    pub protocol: GroupProtocol,
}

type Members = HashMap<String, Result<Vec<GroupMember>, ClusterError>>;

impl ClusterReader {
    /// Members by group, one request a coordinator and protocol. A group that does
    /// not exist has none.
    pub fn members(&mut self, groups: &[&str]) -> Members {
        let mut members: Members = self
            .coordinators
            .find(&mut self.links, groups)
            .into_iter()
            .map(|(group, error)| (group, Err(error)))
            .collect();
        let mut by_coordinator: BTreeMap<i32, Vec<&str>> = BTreeMap::new();
        for group in groups {
            if let Some(node) = self.coordinators.of(group) {
                by_coordinator.entry(node).or_default().push(group);
            }
        }
        for (node, groups) in by_coordinator {
            let rest = self.describe_consumer(node, &groups, &mut members);
            self.describe_classic(node, &rest, &mut members);
        }
        members
    }

    /// KIP-848 groups; returns those that are not.
    fn describe_consumer<'a>(
        &mut self,
        node: i32,
        groups: &[&'a str],
        members: &mut Members,
    ) -> Vec<&'a str> {
        if !self.links.knows(node, ApiKey::ConsumerGroupDescribe) {
            return groups.to_vec();
        }
        let request = ConsumerGroupDescribeRequest::default()
            .with_group_ids(groups.iter().map(|group| GroupId(text(group))).collect());
        let answer = match self.links.ask(node, "describe the groups", &request, 0) {
            Ok(answer) => answer,
            Err(error) => {
                self.failed(groups, &error, members);
                return Vec::new();
            }
        };
        for group in answer.groups {
            let name = group.group_id.0.to_string();
            let described = match ResponseError::try_from_code(group.error_code) {
                Some(ResponseError::GroupIdNotFound) => continue,
                Some(_) => Err(ClusterError::group(&name, group.error_code)),
                None => Ok(group
                    .members
                    .into_iter()
                    .map(|member| GroupMember {
                        member_id: member.member_id.to_string(),
                        client_id: member.client_id.to_string(),
                        host: member.client_host.trim_start_matches('/').to_owned(),
                        protocol: GroupProtocol::Consumer,
                    })
                    .collect()),
            };
            self.note(name, described, members);
        }
        groups.iter().filter(|group| !members.contains_key(**group)).copied().collect()
    }

    fn describe_classic(&mut self, node: i32, groups: &[&str], members: &mut Members) {
        if groups.is_empty() {
            return;
        }
        let request = DescribeGroupsRequest::default()
            .with_groups(groups.iter().map(|group| GroupId(text(group))).collect());
        let answer = match self.links.ask(node, "describe the groups", &request, 5) {
            Ok(answer) => answer,
            Err(error) => return self.failed(groups, &error, members),
        };
        for group in answer.groups {
            let name = group.group_id.0.to_string();
            let described = match ResponseError::try_from_code(group.error_code) {
                Some(ResponseError::GroupIdNotFound) => Ok(Vec::new()),
                Some(_) => Err(ClusterError::group(&name, group.error_code)),
                None => Ok(group
                    .members
                    .into_iter()
                    .map(|member| GroupMember {
                        member_id: member.member_id.to_string(),
                        client_id: member.client_id.to_string(),
                        host: member.client_host.trim_start_matches('/').to_owned(),
                        protocol: GroupProtocol::Classic,
                    })
                    .collect()),
            };
            self.note(name, described, members);
        }
    }

    fn failed(&mut self, groups: &[&str], error: &ClusterError, members: &mut Members) {
        for group in groups {
            self.note((*group).to_owned(), Err(error.clone()), members);
        }
    }

    fn note(
        &mut self,
        group: String,
        described: Result<Vec<GroupMember>, ClusterError>,
        members: &mut Members,
    ) {
        if described.is_err() {
            // The coordinator may be another one now.
            self.coordinators.forget(&group);
        }
        members.insert(group, described);
    }
}
