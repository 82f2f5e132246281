//! Takes members out of their group whose pods are gone.
//!
//! Contract: a member is a pod's when its client calls itself as the pod is named
//! (`tidegate consume` does, from `POD_NAME`), or when it comes from the pod's address
//! and no client in the group is named after a pod. Of the pod's members those are fenced
//! that the last read of the group found, a second ago or so. Where the container runs
//! again already, its successor may be among them under the same name: fenced are only
//! those that were in the group before the restart, by the scaler's own clock, and those
//! that were there before the newest. One that neither is true of (a container that ended
//! within seconds of joining, whose successor has not joined) is left to its session.
//!
//! Rejected: telling the successor by the time its container started. That is the node's
//! clock against the scaler's.
//!
//! Threads: the watch is a task; each fencing runs on the blocking pool.

use std::sync::Arc;
use std::time::Instant;

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
        for member in ended(pod, &object.members()) {
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

/// Those of its members that are not its successor's, with when each was seen first.
fn ended<'a>(pod: &GonePod, members: &'a [(GroupMember, Instant)]) -> Vec<&'a GroupMember> {
    let of_pod = members_of(pod, members);
    let newest = of_pod.iter().map(|(_, since)| *since).max();
    let is_over = |since: Instant| {
        pod.successor_since.is_none_or(|successor| since < successor || Some(since) < newest)
    };
    of_pod.into_iter().filter(|(_, since)| is_over(*since)).map(|(member, _)| member).collect()
}

fn members_of<'a>(
    pod: &GonePod,
    members: &'a [(GroupMember, Instant)],
) -> Vec<&'a (GroupMember, Instant)> {
    let named: Vec<_> = members.iter().filter(|(member, _)| member.client_id == pod.name).collect();
    if !named.is_empty() || pod.ip.is_empty() {
        return named;
    }
    members.iter().filter(|(member, _)| member.host == pod.ip && !is_named(member, pod)).collect()
}

/// Whether a client is named after another pod of the same workload: then an address
/// says nothing, it may have been given to that pod since.
fn is_named(member: &GroupMember, pod: &GonePod) -> bool {
    let workload = |name: &str| name.rsplit_once('-').map(|(workload, _)| workload.to_owned());
    workload(&pod.name).is_some_and(|of| workload(&member.client_id) == Some(of))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

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

    fn gone(successor_since: Option<Instant>) -> GonePod {
        GonePod {
            namespace: "n".into(),
            name: "consumer-5d-abcde".into(),
            ip: "10.0.0.7".into(),
            why: "deleted",
            successor_since,
        }
    }

    fn fenced(members: &[GroupMember]) -> Vec<String> {
        let now = Instant::now();
        let members: Vec<_> = members.iter().map(|member| (member.clone(), now)).collect();
        ended(&gone(None), &members).into_iter().map(|member| member.member_id.clone()).collect()
    }

    /// Seconds before now at which each member was seen first; the restart was ten ago.
    fn fenced_of_a_restart(seen_ago_s: &[u64]) -> Vec<usize> {
        let now = Instant::now() + Duration::from_secs(1000);
        let ago = |s: u64| now - Duration::from_secs(s);
        let members: Vec<_> = (0..)
            .zip(seen_ago_s)
            .map(|(i, s)| (member(&format!("{i}"), "consumer-5d-abcde", "10.0.0.7"), ago(*s)))
            .collect();
        ended(&gone(Some(ago(10))), &members)
            .into_iter()
            .map(|member| member.member_id.parse().expect("a number"))
            .collect()
    }

    #[test]
    fn a_restarted_containers_new_member_stays() {
        assert_eq!(fenced_of_a_restart(&[60, 1]), [0], "the old one goes, the new one stays");
        assert_eq!(fenced_of_a_restart(&[60]), [0], "the new one has not joined yet");
        assert!(fenced_of_a_restart(&[1]).is_empty(), "the old one left by itself");
        assert_eq!(fenced_of_a_restart(&[4, 1]), [0], "the old one had joined just before");
        assert_eq!(fenced_of_a_restart(&[60, 60, 1, 1]), [0, 1], "two consumers a pod");
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
