//! Kafka's own performance tools, and kcat.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, ensure};

use super::Peers;

/// Records a second that `kafka-consumer-perf-test` reads, after the join.
pub(crate) fn consume(
    peers: &Peers,
    bootstrap: &str,
    topic: &str,
    records: u64,
    directory: &Path,
) -> anyhow::Result<f64> {
    let output = peers
        .java(1024, &directory.join("consumer-perf.log"))?
        .arg("org.apache.kafka.tools.ConsumerPerformance")
        .args(["--bootstrap-server", bootstrap, "--topic", topic])
        .args(["--num-records", &records.to_string(), "--timeout", "60000"])
        .output()
        .context("start java")?;
    let text = String::from_utf8_lossy(&output.stdout);
    std::fs::write(directory.join("consumer-perf.txt"), text.as_bytes())?;
    ensure!(output.status.success(), "kafka-consumer-perf-test: {text}");
    // start.time, end.time, data MB, MB/s, records, records/s, join ms, fetch ms, MB/s, records/s
    text.lines()
        .filter_map(|line| {
            let fields: Vec<&str> = line.split(", ").collect();
            (fields.len() == 10).then(|| fields[9].trim().parse().ok()).flatten()
        })
        .next_back()
        .with_context(|| format!("no figures of kafka-consumer-perf-test: {text}"))
}

/// Records a second that kcat reads to the end of the topic, its start included.
pub(crate) fn kcat(bootstrap: &str, topic: &str, records: u64) -> anyhow::Result<f64> {
    let started = Instant::now();
    let status = Command::new("kcat")
        .args(["-C", "-e", "-q", "-b", bootstrap, "-t", topic, "-o", "beginning"])
        .args(["-c", &records.to_string()])
        // Its default lets it wait a second each time its queue of 100,000 is full.
        .args(["-X", "queued.min.messages=1000000"])
        .args(["-X", "queued.max.messages.kbytes=1048576"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .status()
        .context("kcat: apt-get install kcat")?;
    ensure!(status.success(), "kcat: {status}");
    Ok(records as f64 / started.elapsed().as_secs_f64())
}

/// Settings of a producer, the same for both sides.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ProducerSettings<'a> {
    pub(crate) compression: &'a str,
    pub(crate) linger_ms: u64,
    /// A record's payload a line.
    pub(crate) payloads: &'a Path,
}

/// Writes payloads of a topic into a file, a line each.
pub(crate) fn save_payloads(
    bootstrap: &str,
    topic: &str,
    records: u64,
    file: &Path,
) -> anyhow::Result<()> {
    let status = Command::new("kcat")
        .args(["-C", "-e", "-q", "-b", bootstrap, "-t", topic, "-o", "beginning"])
        .args(["-c", &records.to_string()])
        .stdin(Stdio::null())
        .stdout(std::fs::File::create(file)?)
        .status()
        .context("kcat: apt-get install kcat")?;
    ensure!(status.success(), "kcat: {status}");
    Ok(())
}

/// Records a second that `kafka-producer-perf-test` sends: idempotent, acks=all.
pub(crate) fn produce(
    peers: &Peers,
    bootstrap: &str,
    topic: &str,
    records: u64,
    settings: ProducerSettings<'_>,
    directory: &Path,
) -> anyhow::Result<f64> {
    let output = peers
        .java(1024, &directory.join("producer-perf.log"))?
        .arg("org.apache.kafka.tools.ProducerPerformance")
        .args(["--topic", topic, "--num-records", &records.to_string(), "--throughput", "-1"])
        .arg("--payload-file")
        .arg(settings.payloads)
        .arg("--producer-props")
        .arg(format!("bootstrap.servers={bootstrap}"))
        .args(["acks=all", "enable.idempotence=true", "batch.size=131072"])
        .arg(format!("compression.type={}", settings.compression))
        .arg(format!("linger.ms={}", settings.linger_ms))
        .output()
        .context("start java")?;
    let text = String::from_utf8_lossy(&output.stdout);
    std::fs::write(directory.join("producer-perf.txt"), text.as_bytes())?;
    ensure!(output.status.success(), "kafka-producer-perf-test: {text}");
    // "5000000 records sent, 547000.1 records/sec (…), …": the last such line is the whole.
    text.lines()
        .rev()
        .find_map(|line| {
            let rate = line.split("records sent, ").nth(1)?.split_whitespace().next()?;
            rate.parse().ok()
        })
        .with_context(|| format!("no figures of kafka-producer-perf-test: {text}"))
}
