//! Two consumers, a load, and a database to which something happens.

#![allow(clippy::print_stderr)]

use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::Value;
use tidegate_kafka::{Admin, ConnectionOptions, LagReader};

use super::broker::free_ports;
use super::support::{Process, get, tidegate, wait_for};

const PARTITIONS: usize = 8;
const LIMIT: Duration = Duration::from_secs(60);
/// From the database's return to the last record that had waited for it.
const RECOVERY: Duration = Duration::from_secs(5);

/// A consumer, and where its pages are.
struct Member {
    process: Process,
    address: String,
}

impl Member {
    /// Status and body of /readyz.
    fn readyz(&self) -> Option<(u16, String)> {
        let (code, body) = get(&self.address, "/readyz")?;
        Some((code, body.trim().to_owned()))
    }

    /// Its partitions, and how often they have changed.
    fn membership(&self) -> (Value, Value) {
        let report = self.process.report();
        (report["assigned"].clone(), report["rebalances_total"].clone())
    }
}

/// The group, its load and its database.
pub(crate) struct World {
    brokers: String,
    topic: &'static str,
    database: String,
    directory: tempfile::TempDir,
    members: Vec<Member>,
    load: Option<Process>,
}

impl World {
    /// Starts two consumers and a load of 200 records a second; returns when each has
    /// partitions and writes.
    pub(crate) fn start(brokers: &str, topic: &'static str, database: &str) -> Self {
        let admin = Admin::new(&ConnectionOptions::new(brokers)).expect("admin");
        admin.create_topic(topic, PARTITIONS as i32, 1, &[]).expect("topic");
        admin.pin_start_offsets(topic, topic).expect("pinned");
        let mut world = Self {
            brokers: brokers.to_owned(),
            topic,
            database: database.to_owned(),
            directory: tempfile::tempdir().expect("directory"),
            members: Vec::new(),
            load: None,
        };
        world.members = ["a", "b"].map(|name| world.member(name)).into();
        wait_for("each has partitions", LIMIT, || {
            let counts: Vec<usize> =
                world.members.iter().map(|member| member.process.assigned().len()).collect();
            (!counts.contains(&0) && counts.iter().sum::<usize>() == PARTITIONS).then_some(())
        });
        world.load = Some(world.produce());
        wait_for("records are stored", LIMIT, || (world.offsets()?.0 > 200).then_some(()));
        world
    }

    fn command(&self, name: &str) -> Command {
        let mut command = tidegate();
        command.arg(name).args(["--brokers", &self.brokers, "--topic", self.topic]);
        command
    }

    fn member(&self, name: &str) -> Member {
        let [port] = free_ports();
        let address = format!("127.0.0.1:{port}");
        let mut command = self.command("consume");
        command
            .args(["--group", self.topic, "--report", "--database", &self.database])
            .args(["--metrics-addr", &address]);
        Member { process: Process::start(command, self.directory.path(), name), address }
    }

    fn produce(&self) -> Process {
        let mut command = self.command("produce");
        command
            .args(["--rate", "200", "--metrics-addr", "off", "--ledger"])
            .arg(self.directory.path().join("ledger"));
        Process::start(command, self.directory.path(), "produce")
    }

    /// Records committed, and sent.
    fn offsets(&self) -> Option<(i64, i64)> {
        let connection = ConnectionOptions::new(&*self.brokers);
        let offsets = LagReader::new(&connection, self.topic, self.topic).ok()?.read().ok()?;
        let committed = offsets.iter().map(|partition| partition.committed.unwrap_or(0)).sum();
        let waiting: i64 = offsets.iter().map(tidegate_kafka::PartitionOffsets::lag_records).sum();
        Some((committed, committed + waiting))
    }

    fn is_ready(&self) -> bool {
        self.members.iter().all(|member| member.readyz().is_some_and(|(code, _)| code == 200))
    }

    /// Makes the database unusable, and usable again. Meanwhile every consumer says
    /// that it is not ready, one of them with one of these `reasons`; nobody leaves the
    /// group; after it all that had waited is stored within five seconds.
    pub(crate) fn outage(
        &self,
        what: &str,
        reasons: &[&str],
        cause: impl FnOnce(),
        repair: impl FnOnce(),
    ) {
        wait_for(&format!("ready before: {what}"), LIMIT, || self.is_ready().then_some(()));
        let membership: Vec<_> = self.members.iter().map(Member::membership).collect();
        let logged: Vec<usize> =
            self.members.iter().map(|member| member.process.log().len()).collect();
        cause();
        let said = self.wait_not_ready(what, reasons);
        repair();
        let back = Instant::now();
        let sent = self.offsets().expect("the broker answers").1;
        wait_for(&format!("{what}: all is stored again\n{}", self.log()), LIMIT, || {
            (self.is_ready() && self.offsets()?.0 >= sent).then_some(())
        });
        let took = back.elapsed();
        eprintln!("{what}: /readyz said {said:?}; all stored {took:?} after it");
        assert!(took < RECOVERY, "{what}: {took:?}\n{}", self.log());
        let now: Vec<_> = self.members.iter().map(Member::membership).collect();
        assert_eq!(now, membership, "{what}: the group noticed it\n{}", self.log());
        let log: Vec<String> = self
            .members
            .iter()
            .zip(logged)
            .map(|(member, from)| member.process.log()[from..].to_owned())
            .collect();
        for part in ["sink unavailable, holding back", "sink available"] {
            assert!(log.iter().all(|log| log.contains(part)), "{what}: {part}\n{log:#?}");
        }
        for part in ["partitions changed", "panicked"] {
            assert!(!log.iter().any(|log| log.contains(part)), "{what}: {part}\n{log:#?}");
        }
    }

    /// Until nobody is ready and one of the reasons was given; returns who gave it.
    fn wait_not_ready(&self, what: &str, reasons: &[&str]) -> String {
        let mut refused = vec![false; self.members.len()];
        let mut given = None;
        let waited = format!("{what}: not ready with {reasons:?}");
        wait_for(&waited, LIMIT, || {
            for (member, refused) in self.members.iter().zip(&mut refused) {
                let Some((code, body)) = member.readyz() else { continue };
                *refused |= code == 503;
                if code == 503 && reasons.iter().any(|reason| body.contains(reason)) {
                    given.get_or_insert(body);
                }
            }
            if refused.contains(&false) { None } else { given.clone() }
        })
    }

    /// Everything the consumers have logged.
    pub(crate) fn log(&self) -> String {
        self.members.iter().map(|member| member.process.log() + "\n").collect()
    }

    /// Ends the load when there is something to audit, waits for the backlog, drains the
    /// consumers and audits them.
    pub(crate) fn finish(mut self) {
        wait_for("records to audit", LIMIT, || (self.offsets()?.1 > 500).then_some(()));
        self.load.take().expect("the load runs").drain("TERM", LIMIT);
        wait_for("no backlog", LIMIT, || {
            let (committed, sent) = self.offsets()?;
            (committed == sent).then_some(())
        });
        let log = self.log();
        for member in self.members.drain(..) {
            member.process.drain("TERM", LIMIT);
        }
        let output = tidegate()
            .args(["audit", "--json", "--database", &self.database, "--ledger"])
            .arg(self.directory.path().join("ledger"))
            .output()
            .expect("audit");
        let said = String::from_utf8_lossy(&output.stderr);
        let audit: Value = serde_json::from_slice(&output.stdout).expect(&said);
        assert!(audit["sent"].as_u64().is_some_and(|sent| sent > 500), "{audit:#}");
        assert_eq!(audit["stored"], audit["sent"], "{audit:#}\n{}", log);
        for broken in ["lost", "duplicated", "out_of_order", "pending", "dead_lettered"] {
            assert_eq!(audit[broken], 0, "{broken}: {audit:#}\n{}", log);
        }
    }
}
