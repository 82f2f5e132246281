//! The same topic, the same machine, one run: tidegate beside Kafka Connect with the
//! Debezium JDBC sink, beside Kafka's performance tools, beside kcat.
//!
//! `reading`: without a sink; `storing`: into PostgreSQL, where rates are those between 10 %
//! and 95 % of the table's final size, so that a start counts for nobody.

mod reading;
mod storing;

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, ensure};

use super::median;
use crate::findings::{Finding, Target};
use crate::peers::Peers;
use crate::peers::broker;
use crate::peers::perf::{self, ProducerSettings};
use crate::run::{Bench, say};

const TOPIC: &str = "trade-tx";
const PARTITIONS: i32 = 24;
const RECORDS: u64 = 2_000_000;
/// Longest wait for one side to store or read everything.
const PATIENCE: Duration = Duration::from_secs(300);

pub(super) fn run(bench: &Bench) -> anyhow::Result<Vec<Finding>> {
    let kept = bench.results.join("peers");
    std::fs::create_dir_all(&kept)?;
    let scratch = tempfile::tempdir()?;
    let peers = Peers::find()?;
    let mut broker = broker::start(&scratch.path().join("broker"))?;
    let bootstrap = broker.bootstrap().to_owned();
    let world = World { bench, peers: &peers, bootstrap: &bootstrap, kept: &kept };

    let mut findings = told(world.produce(scratch.path())?);
    findings.extend(told(world.read_cold(&mut broker, scratch.path())?));
    findings.extend(told(world.read_warm(scratch.path())?));
    findings.extend(world.store(scratch.path())?);
    broker.stop();
    Ok(findings)
}

/// The whole takes minutes: what is known is told at once.
fn told(findings: Vec<Finding>) -> Vec<Finding> {
    findings.iter().for_each(|finding| say(&finding.line()));
    findings
}

struct World<'a> {
    bench: &'a Bench,
    peers: &'a Peers,
    bootstrap: &'a str,
    kept: &'a Path,
}

impl World<'_> {
    fn tidegate(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.bench.tidegate);
        command.args(arguments).args(["--brokers", self.bootstrap, "--metrics-addr", "off"]);
        command.stdin(Stdio::null()).stdout(Stdio::null());
        command
    }

    /// Fills the topic, and compares how fast with the Java producer, three times each.
    fn produce(&self, scratch: &Path) -> anyhow::Result<Vec<Finding>> {
        broker::create_topic(self.bootstrap, TOPIC, PARTITIONS)?;
        self.fill(TOPIC)?;
        // It draws its payloads from these: as long, and as easy to compress, as ours.
        let payloads = scratch.join("payloads");
        perf::save_payloads(self.bootstrap, TOPIC, 100_000, &payloads)?;
        let settings = ProducerSettings { compression: "lz4", linger_ms: 5, payloads: &payloads };
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        for round in 0..3 {
            say(&format!("peers: producing, round {round}"));
            let topic = format!("ours-{round}");
            broker::create_topic(self.bootstrap, &topic, PARTITIONS)?;
            ours.push(self.fill(&topic)?);
            let topic = format!("theirs-{round}");
            broker::create_topic(self.bootstrap, &topic, PARTITIONS)?;
            theirs.push(perf::produce(
                self.peers,
                self.bootstrap,
                &topic,
                RECORDS,
                settings,
                scratch,
            )?);
        }
        self.keep(scratch, "producer-perf.txt")?;
        let (ours, theirs) = (median(&mut ours), median(&mut theirs));
        Ok(vec![
            Finding::new("produce: tidegate", ours, "msg/s", Target::Told),
            Finding::new("produce: kafka-producer-perf-test", theirs, "msg/s", Target::Told),
            Finding::new("produce: ratio", ours / theirs, "x", Target::AtLeast(1.0)),
        ])
    }

    /// Sends all trades as fast as it goes; records a second between the first one and the
    /// last acknowledgement, as the Java producer counts.
    fn fill(&self, topic: &str) -> anyhow::Result<f64> {
        let output = self
            .tidegate(&["produce", "--rate", "max", "--records", &RECORDS.to_string()])
            .args(["--topic", topic, "--log-format", "json"])
            .output()?;
        let told = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "tidegate produce: {told}");
        let took_ms = told
            .lines()
            .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
            .find_map(|line| line.get("took_ms")?.as_f64())
            .with_context(|| format!("tidegate produce says no took_ms: {told}"))?;
        Ok(RECORDS as f64 * 1000.0 / took_ms)
    }

    fn keep(&self, from: &Path, name: &str) -> anyhow::Result<()> {
        let source = from.join(name);
        if source.exists() {
            std::fs::copy(source, self.kept.join(name))?;
        }
        Ok(())
    }
}

/// When this much was there, by straight lines between what was seen.
fn crossing(points: &[(f64, f64)], wanted: f64) -> f64 {
    let after = points.partition_point(|(_, seen)| *seen < wanted).clamp(1, points.len() - 1);
    let ((from_s, from), (to_s, to)) = (points[after - 1], points[after]);
    from_s + (to_s - from_s) * (wanted - from) / (to - from).max(1.0)
}
