//! Which pods ended, from a watch.
//!
//! A pod's consumer is over when the pod is deleted, has failed or succeeded, or its
//! container has ended and is to be started again. Only of a pod that was seen alive
//! before can it be said that it is gone now.

use std::collections::HashMap;
use std::time::Duration;

use http_body_util::BodyExt as _;
use serde_json::Value;
use tokio::sync::mpsc;

use super::Client;
use crate::Error;

/// The server ends a watch after this, seconds; the next one begins with a list.
const WATCH_S: u32 = 300;
/// Nothing for so long is a dead connection: the server sends bookmarks every minute.
const SILENCE: Duration = Duration::from_secs(WATCH_S as u64 + 30);
const RETRY_LEAST: Duration = Duration::from_millis(500);
const RETRY_MOST: Duration = Duration::from_secs(30);
/// A line longer than this is not a pod.
const MOST_LINE: usize = 4 << 20;

/// A pod whose consumer is over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GonePod {
    /// Namespace.
    pub namespace: String,
    /// Name.
    pub name: String,
    /// Its address; empty is unknown.
    pub ip: String,
    /// What happened, in words.
    pub why: &'static str,
}

/// Pods as they were seen last.
#[derive(Debug, Default)]
pub struct PodTracker {
    alive: HashMap<String, Alive>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Alive {
    namespace: String,
    name: String,
    ip: String,
    restarts: i64,
}

impl PodTracker {
    /// A full list: pods that are not in it any more are gone.
    pub fn list(&mut self, pods: &[Value]) -> Vec<GonePod> {
        let mut gone: Vec<GonePod> = pods.iter().filter_map(|pod| self.seen(pod)).collect();
        let present: Vec<&str> = pods.iter().filter_map(uid).collect();
        self.alive.retain(|uid, alive| {
            let is_present = present.contains(&uid.as_str());
            if !is_present {
                gone.push(alive.gone("deleted"));
            }
            is_present
        });
        gone
    }

    /// One event of the watch; `None` where no consumer ended.
    pub fn event(&mut self, event: &Value) -> Option<GonePod> {
        let pod = &event["object"];
        match event["type"].as_str()? {
            "ADDED" | "MODIFIED" => self.seen(pod),
            "DELETED" => self.alive.remove(uid(pod)?).map(|alive| alive.gone("deleted")),
            _ => None,
        }
    }

    fn seen(&mut self, pod: &Value) -> Option<GonePod> {
        let uid = uid(pod)?.to_owned();
        let phase = pod["status"]["phase"].as_str().unwrap_or_default();
        if matches!(phase, "Failed" | "Succeeded") {
            let why = if phase == "Failed" { "failed or evicted" } else { "ended" };
            return self.alive.remove(&uid).map(|alive| alive.gone(why));
        }
        let containers = pod["status"]["containerStatuses"].as_array();
        let containers = containers.map(Vec::as_slice).unwrap_or_default();
        let restarts = containers.iter().filter_map(|c| c["restartCount"].as_i64()).sum();
        let is_running = containers.iter().any(|c| c["state"]["running"].is_object());
        let has_ended = containers.iter().any(|c| c["state"]["terminated"].is_object());
        let known = self.alive.get(&uid).cloned();
        if !is_running {
            // It had run and does not now: its container crashed.
            let crashed = known.filter(|_| has_ended || !containers.is_empty());
            self.alive.remove(&uid);
            return crashed.map(|alive| alive.gone("its container ended"));
        }
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let alive = Alive {
            namespace: text(&pod["metadata"]["namespace"]),
            name: text(&pod["metadata"]["name"]),
            ip: text(&pod["status"]["podIP"]),
            restarts,
        };
        self.alive.insert(uid, alive);
        known
            .filter(|known| restarts > known.restarts)
            .map(|known| known.gone("its container ended"))
    }
}

impl Alive {
    fn gone(&self, why: &'static str) -> GonePod {
        let Self { namespace, name, ip, .. } = self.clone();
        GonePod { namespace, name, ip, why }
    }
}

fn uid(pod: &Value) -> Option<&str> {
    pod["metadata"]["uid"].as_str()
}

/// Tells of gone pods until nobody listens. Failures are retried for ever.
pub async fn watch_pods(client: Client, gone: mpsc::Sender<GonePod>) {
    let mut tracker = PodTracker::default();
    let mut wait = RETRY_LEAST;
    while !gone.is_closed() {
        match watch_once(&client, &mut tracker, &gone).await {
            Ok(()) => wait = RETRY_LEAST,
            Err(error) => {
                tracing::warn!(%error, "pods cannot be watched; dead ones are not fenced meanwhile");
                tokio::time::sleep(wait).await;
                wait = (wait * 2).min(RETRY_MOST);
            }
        }
    }
}

/// A list, and the watch from there to its end.
async fn watch_once(
    client: &Client,
    tracker: &mut PodTracker,
    gone: &mpsc::Sender<GonePod>,
) -> Result<(), Error> {
    let base = match &client.options().namespace {
        Some(namespace) => format!("/api/v1/namespaces/{namespace}/pods"),
        None => "/api/v1/pods".into(),
    };
    let selector = encoded(&client.options().pod_selector);
    let list = client.get(&format!("{base}?labelSelector={selector}")).await?;
    let pods = list["items"].as_array().cloned().unwrap_or_default();
    for pod in tracker.list(&pods) {
        let _ = gone.send(pod).await;
    }
    let version = list["metadata"]["resourceVersion"].as_str().unwrap_or_default();
    let path = format!(
        "{base}?labelSelector={selector}&watch=true&allowWatchBookmarks=true&timeoutSeconds={WATCH_S}&resourceVersion={version}"
    );
    let mut body = client.open(&path).await?.into_body();
    let mut line = Vec::new();
    loop {
        let frame = tokio::time::timeout(SILENCE, body.frame()).await;
        let frame = match frame {
            Ok(Some(Ok(frame))) => frame,
            Ok(None) => return Ok(()),
            Ok(Some(Err(error))) => return Err(Error::Kubernetes(format!("watch pods: {error}"))),
            Err(_) => return Err(Error::Kubernetes("watch pods: no sign of life".into())),
        };
        let Some(data) = frame.data_ref() else { continue };
        for byte in data.iter() {
            if *byte != b'\n' {
                line.push(*byte);
                continue;
            }
            let event: Value = serde_json::from_slice(&std::mem::take(&mut line))
                .map_err(|error| Error::Kubernetes(format!("watch pods: {error}")))?;
            if event["type"] == "ERROR" {
                // Most often 410 Gone: begin again with a list.
                return Ok(());
            }
            if let Some(pod) = tracker.event(&event) {
                let _ = gone.send(pod).await;
            }
        }
        if line.len() > MOST_LINE {
            return Err(Error::Kubernetes("watch pods: a line without an end".into()));
        }
    }
}

/// Percent-encodes a selector.
fn encoded(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' => {
                char::from(byte).to_string()
            }
            byte => format!("%{byte:02X}"),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn pod(uid: &str, phase: &str, restarts: i64, state: &str) -> Value {
        json!({
            "metadata": {"uid": uid, "namespace": "n", "name": format!("pod-{uid}")},
            "status": {"phase": phase, "podIP": "10.0.0.1", "containerStatuses": [
                {"restartCount": restarts, "state": {state: {}}},
            ]},
        })
    }

    fn event(kind: &str, object: &Value) -> Value {
        json!({"type": kind, "object": object})
    }

    fn why(gone: Option<GonePod>) -> Option<&'static str> {
        gone.map(|gone| gone.why)
    }

    #[test]
    fn a_pod_is_gone_once_however_it_ends() {
        let running = pod("a", "Running", 0, "running");
        for (last, expected) in [
            (event("DELETED", &running), "deleted"),
            (event("MODIFIED", &pod("a", "Failed", 0, "terminated")), "failed or evicted"),
            (event("MODIFIED", &pod("a", "Succeeded", 0, "terminated")), "ended"),
            (event("MODIFIED", &pod("a", "Running", 1, "running")), "its container ended"),
            (event("MODIFIED", &pod("a", "Running", 0, "terminated")), "its container ended"),
            (event("MODIFIED", &pod("a", "Running", 1, "waiting")), "its container ended"),
        ] {
            let mut tracker = PodTracker::default();
            assert_eq!(tracker.event(&event("ADDED", &running)), None);
            assert_eq!(why(tracker.event(&last)), Some(expected));
            assert_eq!(tracker.event(&last), None, "told once: {last}");
        }
    }

    #[test]
    fn a_pod_that_was_never_seen_alive_is_not_gone() {
        let mut tracker = PodTracker::default();
        for object in [
            pod("a", "Pending", 0, "waiting"),
            pod("a", "Failed", 0, "terminated"),
            pod("a", "Running", 4, "waiting"),
        ] {
            assert_eq!(tracker.event(&event("MODIFIED", &object)), None);
        }
        assert_eq!(tracker.event(&event("DELETED", &pod("a", "Running", 0, "running"))), None);
    }

    #[test]
    fn what_ended_between_two_watches_is_found_by_the_list() {
        let mut tracker = PodTracker::default();
        let (a, b) = (pod("a", "Running", 0, "running"), pod("b", "Running", 0, "running"));
        assert!(tracker.list(&[a, b.clone()]).is_empty());
        let gone = tracker.list(&[b]);
        assert_eq!(gone.iter().map(|gone| gone.name.as_str()).collect::<Vec<_>>(), ["pod-a"]);
    }

    #[test]
    fn a_pod_that_drains_is_not_gone_yet() {
        let mut tracker = PodTracker::default();
        let mut running = pod("a", "Running", 0, "running");
        tracker.event(&event("ADDED", &running));
        running["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
        assert_eq!(tracker.event(&event("MODIFIED", &running)), None);
    }
}
