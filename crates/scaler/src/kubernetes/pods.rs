//! Which pods ended, from a watch.
//!
//! A pod's consumer is over when the pod is deleted, has failed or succeeded, or its
//! container has ended and is to be started again. Only of a pod that was seen alive
//! before can it be said that it is gone now.

use std::collections::HashMap;
use std::time::{Duration, Instant};

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
/// A watch that ends before this time is one that cannot be held.
const SHORT: Duration = Duration::from_secs(1);
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
    /// Its container runs again already, and it ran last before that no earlier than this:
    /// a member from then on may be the successor's. `None`: nobody succeeded it.
    pub successor_since: Option<Instant>,
}

/// Pods as they were seen last.
#[derive(Debug, Default)]
pub struct PodTracker {
    alive: HashMap<String, Alive>,
    /// When the server was last heard: what happened before is known.
    heard: Option<Instant>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Alive {
    namespace: String,
    name: String,
    ip: String,
    restarts: i64,
}

/// A node tells of a container that runs again within this time.
const TOLD_WITHIN: Duration = Duration::from_secs(10);

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
        let restarted = known.filter(|known| restarts > known.restarts)?;
        // It happened since the server was last heard, or a little before.
        let heard = self.heard.unwrap_or_else(Instant::now);
        let since = heard.checked_sub(TOLD_WITHIN).unwrap_or(heard);
        let gone = restarted.gone("its container ended");
        Some(GonePod { successor_since: Some(since), ..gone })
    }

    /// The server was heard now; what it says next happened since, or a little before.
    fn hears(&mut self) {
        self.heard = Some(Instant::now());
    }
}

impl Alive {
    fn gone(&self, why: &'static str) -> GonePod {
        let Self { namespace, name, ip, .. } = self.clone();
        GonePod { namespace, name, ip, why, successor_since: None }
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
        let began = Instant::now();
        match watch_once(&client, &mut tracker, &gone).await {
            Ok(()) => {
                wait = RETRY_LEAST;
                // The next list is not asked for at once where a watch ends at once.
                if began.elapsed() < SHORT {
                    tokio::time::sleep(RETRY_LEAST).await;
                }
            }
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
    tracker.hears();
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
        tracker.hears();
        let Some(data) = frame.data_ref() else { continue };
        for byte in data.iter() {
            if *byte != b'\n' {
                line.push(*byte);
                continue;
            }
            let event: Value = serde_json::from_slice(&std::mem::take(&mut line))
                .map_err(|error| Error::Kubernetes(format!("watch pods: {error}")))?;
            if event["type"] == "ERROR" {
                return over(&event["object"]);
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

/// A watch that the server ended with a `Status`. 410 Gone is as good as its time being
/// up: begin again with a list.
fn over(status: &Value) -> Result<(), Error> {
    if status["code"] == 410 {
        return Ok(());
    }
    let reason = status["message"].as_str().unwrap_or("no reason given");
    Err(Error::Kubernetes(format!("watch pods: {}: {reason}", status["code"])))
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
mod tests;
