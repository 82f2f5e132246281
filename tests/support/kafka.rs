//! A broker that a test may stop and start again on the same port and data.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tidegate_kafka::{Admin, ConnectionOptions};
use tidegate_local::broker::Distribution;

use super::{signal, wait_for};

const CLUSTER_ID: &str = "4L6g3nShT-eMCtK--X86sw";

/// A one-node Kafka of a test.
pub(crate) struct Kafka {
    directory: tempfile::TempDir,
    class_path: String,
    port: u16,
    child: Option<Child>,
}

impl Kafka {
    pub(crate) fn start() -> Self {
        let distribution = Distribution::find(&mut |_| {}).expect("Kafka");
        let jars: Vec<String> =
            distribution.jars.iter().map(|jar| jar.display().to_string()).collect();
        let ports: Vec<std::net::TcpListener> = (0..2)
            .map(|_| std::net::TcpListener::bind(("127.0.0.1", 0)).expect("free port"))
            .collect();
        let port = |index: usize| ports[index].local_addr().expect("address").port();
        let (broker, controller) = (port(0), port(1));
        drop(ports);
        let directory = tempfile::tempdir().expect("directory");
        let mut kafka = Self { directory, class_path: jars.join(":"), port: broker, child: None };
        kafka.configure(controller);
        kafka.format();
        kafka.start_again();
        kafka
    }

    pub(crate) fn bootstrap(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    pub(crate) fn connection(&self) -> ConnectionOptions {
        ConnectionOptions::new(self.bootstrap())
    }

    pub(crate) fn create_topic(&self, topic: &str, partitions: i32) {
        let admin = Admin::new(&self.connection()).expect("admin");
        admin.create_topic(topic, partitions, 1, &[]).expect("topic");
    }

    /// SIGTERM, and waits for the end.
    pub(crate) fn stop(&mut self) {
        if let Some(mut child) = self.child.take() {
            signal(child.id(), "TERM");
            let _ = child.wait();
        }
    }

    pub(crate) fn start_again(&mut self) {
        let log = std::fs::File::create(self.directory.path().join("server.log")).expect("log");
        // Dies with the thread that started it, however that ends.
        let child = super::tidegate()
            .args(["exec-guarded", &format!("--parent={}", std::process::id()), "--", "java"])
            .args(self.java("kafka.Kafka"))
            .arg(self.settings())
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("log"))
            .stderr(log)
            .spawn()
            .expect("java starts");
        self.child = Some(child);
        let admin = Admin::new(&self.connection()).expect("admin");
        wait_for("the broker", Duration::from_secs(120), || {
            admin.wait_ready(Duration::from_millis(200)).ok()
        });
    }

    fn configure(&self, controller: u16) {
        let (broker, data) = (self.port, self.directory.path().join("data"));
        let text = format!(
            "process.roles=broker,controller\nnode.id=1\n\
             controller.quorum.voters=1@127.0.0.1:{controller}\n\
             listeners=PLAINTEXT://127.0.0.1:{broker},CONTROLLER://127.0.0.1:{controller}\n\
             advertised.listeners=PLAINTEXT://127.0.0.1:{broker}\n\
             controller.listener.names=CONTROLLER\n\
             listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT\n\
             log.dirs={}\nauto.create.topics.enable=false\n\
             offsets.topic.replication.factor=1\noffsets.topic.num.partitions=2\n\
             transaction.state.log.replication.factor=1\ntransaction.state.log.min.isr=1\n\
             transaction.state.log.num.partitions=2\n\
             share.coordinator.state.topic.replication.factor=1\n\
             share.coordinator.state.topic.min.isr=1\n\
             group.initial.rebalance.delay.ms=0\n\
             group.consumer.heartbeat.interval.ms=500\n\
             group.consumer.min.heartbeat.interval.ms=100\n\
             group.consumer.session.timeout.ms=45000\n\
             group.consumer.assignment.interval.ms=0\n\
             log.cleaner.dedupe.buffer.size=8388608\n",
            data.display()
        );
        std::fs::write(self.settings(), text).expect("settings");
    }

    fn format(&self) {
        let output = Command::new("java")
            .args(self.java("kafka.tools.StorageTool"))
            .args(["format", &format!("--cluster-id={CLUSTER_ID}"), "-c"])
            .arg(self.settings())
            .output()
            .expect("java runs");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "format: {said}");
    }

    fn settings(&self) -> PathBuf {
        self.directory.path().join("server.properties")
    }

    fn java(&self, class: &str) -> Vec<String> {
        let flags = ["-Xmx512m", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-cp"];
        let mut arguments: Vec<String> = flags.map(str::to_owned).to_vec();
        arguments.extend([self.class_path.clone(), class.to_owned()]);
        arguments
    }
}

impl Drop for Kafka {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
