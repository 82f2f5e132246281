//! Which pods are said to be gone, and how often the server is asked.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::*;
use crate::kubernetes::KubernetesOptions;

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

/// Its container's successor may be a member by then, and only where it runs again.
#[test]
fn a_restart_tells_from_when_on_a_member_may_be_the_successors() {
    let running = pod("a", "Running", 0, "running");
    let restarted = pod("a", "Running", 1, "running");
    let mut tracker = PodTracker::default();
    tracker.list(std::slice::from_ref(&running));
    tracker.hears();
    let heard = Instant::now();
    // Seen by a list, however long after the last sign of life.
    let gone = tracker.list(std::slice::from_ref(&restarted)).remove(0);
    assert!(gone.successor_since.is_some_and(|since| since <= heard), "{gone:?}");
    let crashed = pod("a", "Running", 1, "terminated");
    let gone = tracker.event(&event("MODIFIED", &crashed)).expect("gone");
    assert_eq!(gone.successor_since, None);
}

#[test]
fn a_pod_that_drains_is_not_gone_yet() {
    let mut tracker = PodTracker::default();
    let mut running = pod("a", "Running", 0, "running");
    tracker.event(&event("ADDED", &running));
    running["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
    assert_eq!(tracker.event(&event("MODIFIED", &running)), None);
}

/// An API server without pods, whose watches all end with this event.
async fn server(event: String) -> (Client, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("listens");
    let url = format!("http://{}", listener.local_addr().expect("bound"));
    let lists = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&lists);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = vec![0; 4096];
            let read = stream.read(&mut request).await.unwrap_or(0);
            let is_watch = String::from_utf8_lossy(&request[..read]).contains("watch=true");
            counted.fetch_add(usize::from(!is_watch), Ordering::Relaxed);
            let body = if is_watch { event.as_str() } else { r#"{"items": []}"# };
            let length = body.len();
            let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{body}");
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    });
    let options = KubernetesOptions {
        url,
        ca: None,
        token: None,
        namespace: None,
        pod_selector: String::new(),
    };
    (Client::new(&options).expect("client"), lists)
}

#[tokio::test]
async fn a_watch_that_ends_at_once_does_not_list_without_a_pause() {
    let gone = event("ERROR", &json!({"code": 410, "message": "too old"})).to_string();
    for last in [String::new(), gone + "\n"] {
        let (client, lists) = server(last).await;
        let (send, _receive) = mpsc::channel(1);
        let watch = watch_pods(client, send);
        assert!(tokio::time::timeout(RETRY_LEAST * 3 / 2, watch).await.is_err());
        let lists = lists.load(Ordering::Relaxed);
        assert!((1..=2).contains(&lists), "{lists} lists in 750 ms");
    }
}

#[tokio::test]
async fn only_a_version_that_is_gone_ends_a_watch_without_an_error() {
    for (code, failed) in [(410, None), (500, Some("watch pods: 500: no etcd"))] {
        let last = event("ERROR", &json!({"code": code, "message": "no etcd"})).to_string();
        let (client, _) = server(last + "\n").await;
        let (send, _receive) = mpsc::channel(1);
        let error = watch_once(&client, &mut PodTracker::default(), &send).await.err();
        let error = error.map(|error| error.to_string());
        assert_eq!(error.is_some(), failed.is_some(), "{error:?}");
        assert!(error.is_none_or(|error| failed.is_some_and(|text| error.contains(text))));
    }
}
