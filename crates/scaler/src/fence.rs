//! Takes members out of their group whose pods are gone.
//!
//! Contract: a member is a pod's when its client calls itself as the pod is named
//! (`tidegate consume` does, from `POD_NAME`), or when it comes from the pod's address
//! and no client in the group is named after a pod. All of the pod's members are fenced
//! that the last read of the group found, a second ago or so. Where a container ended
//! unseen and only its successor is seen, that one may be among them under the same name.
//! It is told that it is no member and joins again: that costs a rebalance, and no
//! record, since positions are compared in the sink.
//!
//! Rejected: telling the successor by the time its container started. That is the node's
//! clock against the scaler's, for one rebalance after a crash that causes one anyway.
//!
//! Threads: the watch is a task; each fencing runs on the blocking pool.

use std::sync::Arc;

use tidegate_kafka::{ConnectionOptions, GroupMember, fence};
use tokio::sync::mpsc;

use crate::kubernetes::{Client, GonePod, watch_pods};
use crate::metrics::Counters;
use crate::object::Object;
use crate::observe::Shared;
use crate::registry::Registry;

/// Fences what the watch says is gone.
#[derive(Debug)]
pub struct Fencer {
    registry: Arc<Registry>,
    counters: Counters,
    clusters: Vec<ConnectionOptions>,
}

impl Fencer {
    /// For the objects of a scaler.
    pub fn new(shared: &Shared, counters: Counters, clusters: &[ConnectionOptions]) -> Self {
        Self { registry: Arc::clone(&shared.registry), counters, clusters: clusters.to_vec() }
    }

    /// Runs for ever.
    pub async fn run(self, client: Client) {
        let (send, mut gone) = mpsc::channel(64);
        let watch = tokio::spawn(watch_pods(client, send));
        while let Some(pod) = gone.recv().await {
            for (cluster, connection) in self.clusters.iter().enumerate() {
                for object in self.registry.of_cluster(cluster) {
                    if object.key().namespace == pod.namespace {
                        self.fence(connection, &object, &pod).await;
                    }
                }
            }
        }
        watch.abort();
    }

    async fn fence(&self, connection: &ConnectionOptions, object: &Object, pod: &GonePod) {
        let group = &object.settings().group;
        for member in members_of(pod, &object.members()) {
            let outcome =
                fence::remove_member(connection, group, &member.member_id, member.protocol).await;
            self.counters.fenced(outcome.is_ok());
            let (pod, why, member) = (&pod.name, pod.why, &member.member_id);
            match outcome {
                Ok(()) => tracing::info!(pod, why, group, member, "fenced"),
                Err(error) => {
                    tracing::warn!(pod, why, group, member, %error, "cannot be fenced; its session will time out");
                }
            }
        }
    }
}

fn members_of<'a>(pod: &GonePod, members: &'a [GroupMember]) -> Vec<&'a GroupMember> {
    let named: Vec<&GroupMember> =
        members.iter().filter(|member| member.client_id == pod.name).collect();
    if !named.is_empty() || pod.ip.is_empty() {
        return named;
    }
    members.iter().filter(|member| member.host == pod.ip && !is_named(member, pod)).collect()
}

/// Whether a client is named after another pod of the same workload: then an address
/// says nothing, it may have been given to that pod since.
fn is_named(member: &GroupMember, pod: &GonePod) -> bool {
    let workload = |name: &str| name.rsplit_once('-').map(|(workload, _)| workload.to_owned());
    workload(&pod.name).is_some_and(|of| workload(&member.client_id) == Some(of))
}

#[cfg(test)]
mod tests {
    use tidegate_kafka::GroupProtocol;

    use super::*;

    fn member(id: &str, client_id: &str, host: &str) -> GroupMember {
        GroupMember {
            member_id: id.into(),
            client_id: client_id.into(),
            host: host.into(),
            protocol: GroupProtocol::Consumer,
        }
    }

    fn fenced(members: &[GroupMember]) -> Vec<&str> {
        let pod = GonePod {
            namespace: "n".into(),
            name: "consumer-5d-abcde".into(),
            ip: "10.0.0.7".into(),
            why: "deleted",
        };
        members_of(&pod, members).into_iter().map(|member| member.member_id.as_str()).collect()
    }

    #[test]
    fn members_are_found_by_name_first_and_by_address_else() {
        let named = [
            member("1", "consumer-5d-abcde", "10.0.0.7"),
            member("2", "consumer-5d-xyzzy", "10.0.0.7"),
        ];
        assert_eq!(fenced(&named), ["1"]);
        let foreign = [member("1", "rdkafka", "10.0.0.7"), member("2", "rdkafka", "10.0.0.8")];
        assert_eq!(fenced(&foreign), ["1"]);
        let address_reused = [member("2", "consumer-5d-xyzzy", "10.0.0.7")];
        assert!(fenced(&address_reused).is_empty());
        assert!(fenced(&[]).is_empty());
    }
}
