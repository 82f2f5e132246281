//! As much of a Kubernetes API server as the scaler asks for: a list of HPAs, a list of
//! pods, and a watch that says what a test tells it to. The shapes are those of a 1.35
//! server, cut to the fields that exist on every pod.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

#[derive(Default)]
struct World {
    pods: Vec<Value>,
    watches: Vec<TcpStream>,
    selectors: String,
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
    let mut reader = BufReader::new(stream.try_clone().expect("stream"));
    let mut request = String::new();
    reader.read_line(&mut request).expect("request");
    let mut line = String::new();
    while reader.read_line(&mut line).expect("header") > 2 {
        line.clear();
    }
    let path = request.split(' ').nth(1).unwrap_or_default().to_owned();
    let mut world = world.lock().expect("world");
    if path.contains("watch=true") {
        write!(stream, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").expect("head");
        world.watches.push(stream);
        return;
    }
    let body = if path.contains("horizontalpodautoscalers") {
        json!({"items": [{
            "metadata": {"name": "keda-hpa-trades", "namespace": "trades",
                         "labels": {"scaledobject.keda.sh/name": "trades"}},
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
