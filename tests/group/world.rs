//! A broker, a topic, a database, and consumers of one protocol: what the tests of a group
//! share.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::Value;
use tidegate_kafka::{Admin, ConnectionOptions, LagReader};
use tidegate_local::broker::BrokerOptions;

use crate::broker::TestBroker;
use crate::support::{Process, tidegate, wait_for};

pub(crate) const PARTITIONS: usize = 12;
pub(crate) const LIMIT: Duration = Duration::from_secs(90);
/// Session timeouts here: 4 s, by the broker for KIP-848, by this for classic.
pub(crate) const SETTINGS: &str =
    "[consume]\nsession_timeout_ms = 4000\nheartbeat_interval_ms = 300\n";

/// A broker, a topic, a database, and consumers of one protocol.
pub(crate) struct Group {
    pub(crate) broker: TestBroker,
    directory: tempfile::TempDir,
    pub(crate) protocol: &'static str,
    database: String,
}

impl Group {
    pub(crate) fn new(protocol: &'static str, database: Option<String>) -> Self {
        Self::on(TestBroker::plain(), protocol, database)
    }

    pub(crate) fn on(broker: TestBroker, protocol: &'static str, database: Option<String>) -> Self {
        let directory = tempfile::tempdir().expect("directory");
        std::fs::write(directory.path().join("settings.toml"), SETTINGS).expect("settings");
        let admin = Admin::new(&ConnectionOptions::new(broker.bootstrap())).expect("admin");
        admin.create_topic("t", PARTITIONS as i32, 1, &[]).expect("topic");
        admin.pin_start_offsets("g", "t").expect("pinned");
        let sqlite = || format!("sqlite:{}", directory.path().join("db").display());
        let database = database.unwrap_or_else(sqlite);
        Self { broker, directory, protocol, database }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(crate) fn command(&self, name: &str, pages: &str) -> Command {
        let mut command = tidegate();
        command
            .arg(name)
            .args(["--brokers", self.broker.bootstrap(), "--topic", "t", "--metrics-addr", pages])
            .arg("--config")
            .arg(self.path("settings.toml"))
            .stdin(Stdio::null());
        command
    }

    /// Records with a ledger, for this many seconds.
    pub(crate) fn load(&self, seconds: u32) -> Child {
        let log = File::create(self.path("produce.log")).expect("log");
        self.command("produce", "off")
            .args(["--rate", "300", "--duration", &seconds.to_string(), "--ledger"])
            .arg(self.path("ledger"))
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("starts")
    }

    pub(crate) fn member(&self, name: &str, more: &[&str]) -> Process {
        self.member_with_pages(name, "off", more)
    }

    pub(crate) fn member_with_pages(&self, name: &str, pages: &str, more: &[&str]) -> Process {
        let mut command = self.command("consume", pages);
        command
            .args(["--group", "g", "--protocol", self.protocol, "--report"])
            .args(["--batch-processing-time", "0.2", "--database", &self.database])
            .args(more);
        Process::start(command, self.directory.path(), name)
    }

    /// Every partition has exactly one owner among these members, and each has some:
    /// the first one of a group owns all until the next one is let in.
    pub(crate) fn wait_settled(&self, what: &str, members: &[&Process]) {
        wait_for(&format!("{}: {what}", self.protocol), LIMIT, || {
            let each: Vec<Vec<i64>> = members.iter().map(|member| member.assigned()).collect();
            if each.iter().any(Vec::is_empty) {
                return None;
            }
            let mut owned = each.concat();
            owned.sort_unstable();
            (owned == (0..PARTITIONS as i64).collect::<Vec<_>>()).then_some(())
        });
    }

    pub(crate) fn lag(&self) -> Option<i64> {
        let connection = ConnectionOptions::new(self.broker.bootstrap());
        let offsets = LagReader::new(&connection, "g", "t").ok()?.read().ok()?;
        Some(offsets.iter().map(tidegate_kafka::PartitionOffsets::lag_records).sum())
    }

    /// Waits for the end of the load and of the backlog, ends the members, audits.
    pub(crate) fn finish(&self, mut load: Child, members: Vec<Process>) {
        let sent = wait_for("the load ends", LIMIT, || load.try_wait().expect("wait"));
        assert!(sent.success(), "{}", read(&self.path("produce.log")));
        wait_for("no backlog", LIMIT, || (self.lag()? == 0).then_some(()));
        for member in members {
            member.drain("TERM", LIMIT);
        }
        let output = tidegate()
            .args(["audit", "--json", "--database", &self.database, "--ledger"])
            .arg(self.path("ledger"))
            .output()
            .expect("audit");
        let audit: Value = serde_json::from_slice(&output.stdout).expect("JSON");
        assert!(audit["sent"].as_u64().is_some_and(|sent| sent > 1_000), "{audit:#}");
        for broken in ["lost", "duplicated", "out_of_order", "pending"] {
            assert_eq!(audit[broken], 0, "{}: {broken}: {audit:#}", self.protocol);
        }
    }
}

pub(crate) fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_default()
}

/// A broker with the sessions that KIP-848 has by default.
pub(crate) fn long_sessions() -> TestBroker {
    let session = ("group.consumer.session.timeout.ms".to_owned(), "45000".to_owned());
    let options = BrokerOptions { settings: vec![session], ..BrokerOptions::default() };
    TestBroker::start(tempfile::tempdir().expect("directory"), options)
}
