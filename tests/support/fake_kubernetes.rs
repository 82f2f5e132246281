//! As much of a Kubernetes API server as the scaler asks for: a list of HPAs, a change of
//! one, a list of pods, and a watch that says what a test tells it to. The shapes are those of a 1.35
//! server, cut to the fields that exist on every pod.

use std::io::Write as _;
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use crate::http_request;

#[derive(Default)]
struct World {
    pods: Vec<Value>,
    watches: Vec<TcpStream>,
    selectors: String,
    hpa_without_metric: bool,
    hpa_lists: usize,
    /// Path and body of each PATCH.
    merged: Vec<(String, Value)>,
}

pub(crate) struct FakeKubernetes {
    address: std::net::SocketAddr,
    world: Arc<Mutex<World>>,
}

fn pod(name: &str) -> Value {
    json!({
        "kind": "Pod", "apiVersion": "v1",
        "metadata": {"name": name, "namespace": "trades", "uid": format!("uid-of-{name}"),
                     "resourceVersion": "100", "labels": {"app": "trade"}},
        "spec": {"nodeName": "node-0"},
        "status": {"phase": "Running", "podIP": "10.244.0.9", "containerStatuses": [
            {"name": "consumer", "ready": true, "restartCount": 0,
             "state": {"running": {"startedAt": "2026-01-01T00:00:00Z"}}}]},
    })
}

impl FakeKubernetes {
    pub(crate) fn start(pods: &[&str]) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("listens");
        let address = listener.local_addr().expect("address");
        let pods = pods.iter().map(|name| pod(name)).collect();
        let world = Arc::new(Mutex::new(World { pods, ..World::default() }));
        let shared = Arc::clone(&world);
        // Ends with the test's process.
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                answer(stream, &shared);
            }
        });
        Self { address, world }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn is_watched(&self) -> bool {
        !self.world.lock().expect("world").watches.is_empty()
    }

    pub(crate) fn selectors(&self) -> String {
        self.world.lock().expect("world").selectors.clone()
    }

    /// From now on the HPA is one for cpu, as KEDA makes it while no scaler answers. A
    /// change of it has KEDA write the metric.
    pub(crate) fn take_metric_away(&self) {
        self.world.lock().expect("world").hpa_without_metric = true;
    }

    /// How often the HPAs were listed.
    pub(crate) fn lists(&self) -> usize {
        self.world.lock().expect("world").hpa_lists
    }

    pub(crate) fn merged(&self) -> Vec<(String, Value)> {
        self.world.lock().expect("world").merged.clone()
    }

    pub(crate) fn delete(&self, name: &str) {
        let mut world = self.world.lock().expect("world");
        world.pods.retain(|pod| pod["metadata"]["name"] != name);
        let line = format!("{}\n", json!({"type": "DELETED", "object": pod(name)}));
        for watch in &mut world.watches {
            write!(watch, "{:x}\r\n{line}\r\n", line.len()).expect("event");
        }
    }
}

fn answer(mut stream: TcpStream, world: &Mutex<World>) {
    let (request, sent) = http_request::read(&stream).expect("request");
    let path = request.split(' ').nth(1).unwrap_or_default().to_owned();
    let mut world = world.lock().expect("world");
    if path.contains("watch=true") {
        write!(stream, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").expect("head");
        world.watches.push(stream);
        return;
    }
    let body = if request.starts_with("PATCH ") {
        world.merged.push((path, serde_json::from_slice(&sent).expect("JSON")));
        world.hpa_without_metric = false;
        json!({})
    } else if path.contains("horizontalpodautoscalers") {
        world.hpa_lists += 1;
        let metric = if world.hpa_without_metric {
            json!({"type": "Resource", "resource": {"name": "cpu"}})
        } else {
            json!({"type": "External", "external": {"metric": {"name": "s0-tidegate-pods"}}})
        };
        json!({"items": [{
            "metadata": {"name": "keda-hpa-trades", "namespace": "trades",
                         "ownerReferences": [{"kind": "ScaledObject", "name": "trades"}]},
            "spec": {"metrics": [metric]},
            "status": {"currentReplicas": 2, "desiredReplicas": 2},
        }]})
    } else {
        let selector = path.split("labelSelector=").nth(1).unwrap_or_default();
        world.selectors = selector.split('&').next().unwrap_or_default().to_owned();
        json!({"metadata": {"resourceVersion": "100"}, "items": world.pods})
    };
    let body = body.to_string();
    write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len())
        .expect("answer");
}
