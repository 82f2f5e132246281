//! A broker of a test's own: any listeners, ended and started again at will.

#![allow(dead_code)]

use std::ffi::OsString;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use tidegate_kafka::{Admin, ConnectionOptions};
use tidegate_local::broker::Distribution;

use super::{signal, tidegate};

const READY: Duration = Duration::from_secs(120);
const CLUSTER_ID: &str = "dGlkZWdhdGUtdGVzdC0wMQ";

/// One node on 127.0.0.1; ends with the value, or with the test process.
pub(crate) struct TestBroker {
    directory: tempfile::TempDir,
    class_path: OsString,
    bootstrap: String,
    child: Option<Child>,
    /// The parent-death signal comes when the thread that spawned ends.
    spawner: Sender<Command>,
    spawned: Mutex<Receiver<Child>>,
}

/// What makes one broker different from another.
#[derive(Default)]
pub(crate) struct Extra {
    /// Listeners besides the plain one: name, protocol, port.
    pub(crate) listeners: Vec<(&'static str, &'static str, u16)>,
    /// Lines of `server.properties`.
    pub(crate) settings: String,
    /// Arguments of the storage tool, for example users of SCRAM.
    pub(crate) format: Vec<String>,
    /// A directory of classes.
    pub(crate) classes: Option<PathBuf>,
}

impl TestBroker {
    pub(crate) fn start(directory: tempfile::TempDir, extra: &Extra) -> Self {
        let distribution = Distribution::find(&mut |_| {}).expect("Kafka is provisioned");
        let [plain, controller] = free_ports();
        let settings = properties(directory.path(), plain, controller, extra);
        std::fs::write(directory.path().join("server.properties"), settings).expect("settings");
        let (spawner, spawned) = spawn_thread();
        let mut broker = Self {
            class_path: class_path(&distribution.jars, extra.classes.as_deref()),
            directory,
            bootstrap: format!("127.0.0.1:{plain}"),
            child: None,
            spawner,
            spawned: Mutex::new(spawned),
        };
        broker.format(extra);
        broker.start_again();
        broker
    }

    /// The plain listener.
    pub(crate) fn bootstrap(&self) -> &str {
        &self.bootstrap
    }

    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.directory.path().join("stdout.log")).unwrap_or_default()
    }

    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// SIGTERM, and waits.
    pub(crate) fn stop(&mut self) {
        if let Some(mut child) = self.child.take() {
            signal(child.id(), "TERM");
            let _ = child.wait();
        }
    }

    /// Starts on the same ports and data, and waits until it answers.
    pub(crate) fn start_again(&mut self) {
        let log = std::fs::File::options()
            .create(true)
            .append(true)
            .open(self.directory.path().join("stdout.log"))
            .expect("log");
        let mut command = tidegate();
        command
            .args(["exec-guarded", &format!("--parent={}", std::process::id()), "--", "java"])
            .args(self.java("kafka.Kafka"))
            .arg(self.directory.path().join("server.properties"))
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("log"))
            .stderr(log);
        self.spawner.send(command).expect("spawner lives");
        let spawned = self.spawned.get_mut().expect("not poisoned").recv();
        self.child = Some(spawned.expect("java starts"));
        let admin = Admin::new(&ConnectionOptions::new(self.bootstrap.clone())).expect("client");
        if let Err(error) = admin.wait_ready(READY) {
            panic!("broker: {error}\n{}", self.log());
        }
    }

    fn java(&self, class: &str) -> Vec<OsString> {
        ["-Xmx384m", "-Xss512k", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-cp"]
            .iter()
            .map(OsString::from)
            .chain([self.class_path.clone(), class.into()])
            .collect()
    }

    fn format(&self, extra: &Extra) {
        let output = Command::new("java")
            .args(self.java("kafka.tools.StorageTool"))
            .args(["format", "--ignore-formatted", &format!("--cluster-id={CLUSTER_ID}"), "-c"])
            .arg(self.directory.path().join("server.properties"))
            .args(&extra.format)
            .output()
            .expect("java runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
}

impl Drop for TestBroker {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A thread that lives as long as the process, or the broker.
fn spawn_thread() -> (Sender<Command>, Receiver<Child>) {
    let (spawner, commands) = channel::<Command>();
    let (children, spawned) = channel();
    std::thread::spawn(move || {
        for mut command in commands {
            let child = command.spawn().expect("java starts");
            if children.send(child).is_err() {
                return;
            }
        }
    });
    (spawner, spawned)
}

fn class_path(jars: &[PathBuf], classes: Option<&Path>) -> OsString {
    std::env::join_paths(classes.into_iter().chain(jars.iter().map(PathBuf::as_path)))
        .expect("paths without colons")
}

/// Ports nobody listens on now.
pub(crate) fn free_ports<const N: usize>() -> [u16; N] {
    let listeners: [TcpListener; N] =
        std::array::from_fn(|_| TcpListener::bind(("127.0.0.1", 0)).expect("binds"));
    listeners.map(|listener| listener.local_addr().expect("address").port())
}

fn properties(directory: &Path, plain: u16, controller: u16, extra: &Extra) -> String {
    let mut listeners =
        format!("PLAINTEXT://127.0.0.1:{plain},CONTROLLER://127.0.0.1:{controller}");
    let mut advertised = format!("PLAINTEXT://127.0.0.1:{plain}");
    let mut protocols = "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT".to_owned();
    for (name, protocol, port) in &extra.listeners {
        listeners.push_str(&format!(",{name}://127.0.0.1:{port}"));
        advertised.push_str(&format!(",{name}://localhost:{port}"));
        protocols.push_str(&format!(",{name}:{protocol}"));
    }
    format!(
        "process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
listeners={listeners}
advertised.listeners={advertised}
listener.security.protocol.map={protocols}
inter.broker.listener.name=PLAINTEXT
controller.listener.names=CONTROLLER
log.dirs={}
auto.create.topics.enable=false
offsets.topic.replication.factor=1
offsets.topic.num.partitions=2
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=2
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=1000
group.consumer.heartbeat.interval.ms=200
group.consumer.min.heartbeat.interval.ms=100
group.consumer.session.timeout.ms=4000
group.consumer.min.session.timeout.ms=1000
group.consumer.assignment.interval.ms=0
log.cleaner.dedupe.buffer.size=8388608
num.network.threads=2
num.io.threads=4
{}",
        directory.join("data").display(),
        extra.settings
    )
}
