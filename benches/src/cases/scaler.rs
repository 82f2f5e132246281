//! 500 ScaledObjects of 100 partitions each, one scaler, one real broker: memory, CPU,
//! connections, and how fast KEDA's calls are answered while everything is read once a
//! second.
//!
//! The measure is what users report of KEDA's own Kafka scaler: 35 GiB for about 3,000
//! objects (kedacore/keda#7453), 1 GiB after its fix (#7886); that is 6 MiB and 0.2 MiB
//! an object beyond the operator itself.

use std::collections::HashMap;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::Context;
use tidegate_kafka::{Admin, ConnectionOptions, Error as KafkaError};
use tidegate_scaler::proto::external_scaler_client::ExternalScalerClient;
use tidegate_scaler::proto::{GetMetricsRequest, ScaledObjectRef};
use tonic::transport::Channel;

use super::median;
use crate::findings::{Finding, Target};
use crate::proc;
use crate::run::{Bench, say};

const OBJECTS: usize = 500;
const PARTITIONS: i32 = 100;
/// Groups share topics: a broker of this size does not carry 50,000 partitions.
const TOPICS: usize = 20;
/// Until everything was read once, and then for so long.
const WARM_UP: Duration = Duration::from_secs(20);
const MEASURED: Duration = Duration::from_secs(60);
/// An HPA sync (15 s) and half a poll (30 s) of each object.
const ASKED_EVERY: Duration = Duration::from_secs(10);

pub(super) fn run(bench: &Bench) -> anyhow::Result<Vec<Finding>> {
    let mut findings = None;
    // The world lends its broker; its own load is one idle pod and a trickle.
    let arguments = ["--rate", "10", "--duration", "240", "--replicas-path", "0:1"];
    let directory = bench.results.join("scaler");
    let run = bench.up("scaler", &arguments, &mut |_, world| {
        let (Some(bootstrap), Some(broker)) =
            (world["bootstrap"].as_str(), world["broker"]["pid"].as_u64())
        else {
            return;
        };
        if findings.is_none() {
            findings = Some(measure(bench, bootstrap, broker as u32, &directory));
        }
    })?;
    run.discard()?;
    findings.context("the world never had a broker")?
}

struct Scaler(Child);

impl Drop for Scaler {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn measure(
    bench: &Bench,
    bootstrap: &str,
    broker: u32,
    directory: &Path,
) -> anyhow::Result<Vec<Finding>> {
    say("scaler: topics and committed offsets");
    let admin = Admin::new(&ConnectionOptions::new(bootstrap))?;
    for topic in 0..TOPICS {
        admin.create_topic(&topic_name(topic), PARTITIONS, 1, &[])?;
    }
    pin_offsets(bootstrap)?;
    let log = directory.join("scaler.log");
    let file = std::fs::File::create(&log)?;
    let scaler = Scaler(
        Command::new(&bench.tidegate)
            .args(["scaler", "--brokers", bootstrap])
            .args(["--listen", "127.0.0.1:0", "--metrics-addr", "127.0.0.1:0"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(file)
            .spawn()?,
    );
    let address = said(&log, "gRPC available at ")?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let empty_mib = proc::peak_resident_mib(scaler.0.id()).unwrap_or(f64::NAN);
    say(&format!("scaler: asking for {OBJECTS} objects"));
    let asked = runtime.block_on(ask(&address, &scaler, broker, directory))?;
    let Asked { scaler_cores, broker_cores, mut answers_ms, failed, peak_mib, threads, reads } =
        asked;
    let count = answers_ms.len() as f64;
    let p99_ms = {
        answers_ms.sort_by(f64::total_cmp);
        answers_ms[answers_ms.len() * 99 / 100]
    };
    Ok(vec![
        Finding::new("ScaledObjects", OBJECTS as f64, "", Target::Told),
        Finding::new("partitions of each", f64::from(PARTITIONS), "", Target::Told),
        Finding::new("topics they share", TOPICS as f64, "", Target::Told),
        Finding::new("memory of the scaler, peak", peak_mib, "MiB", Target::AtMost(256.0)),
        Finding::new("memory without objects", empty_mib, "MiB", Target::Told),
        Finding::new(
            "memory an object",
            (peak_mib - empty_mib) / OBJECTS as f64 * 1024.0,
            "KiB",
            Target::AtMost(350.0),
        ),
        Finding::new("CPU of the scaler", scaler_cores, "cores", Target::AtMost(0.5)),
        Finding::new("CPU of the broker", broker_cores, "cores", Target::Told),
        Finding::new("connections to Kafka", reads.connections, "", Target::AtMost(2.0)),
        Finding::new("threads of the scaler", threads, "", Target::AtMost(8.0)),
        Finding::new("requests to Kafka a read", reads.requests, "", Target::AtMost(5.0)),
        Finding::new("reads of the cluster", reads.per_s, "1/s", Target::Told),
        Finding::new("time of a read", reads.mean_ms, "ms", Target::Told),
        Finding::new("calls of KEDA", count, "", Target::Told),
        Finding::new("calls that failed", failed, "", Target::Exactly(0.0)),
        Finding::new("a call, median", median(&mut answers_ms), "ms", Target::Told),
        Finding::new("a call, p99", p99_ms, "ms", Target::Told),
    ])
}

/// Commits of every group, by a few clients at a time: one after the other takes minutes.
fn pin_offsets(bootstrap: &str) -> anyhow::Result<()> {
    const AT_ONCE: usize = 16;
    let pin = |first: usize| {
        let admin = Admin::new(&ConnectionOptions::new(bootstrap))?;
        for object in (first..OBJECTS).step_by(AT_ONCE) {
            admin.pin_start_offsets(&group_name(object), &topic_name(object % TOPICS))?;
        }
        Ok::<_, KafkaError>(())
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..AT_ONCE).map(|first| scope.spawn(move || pin(first))).collect();
        threads.into_iter().try_for_each(|thread| {
            thread
                .join()
                .map_err(|_| anyhow::anyhow!("a thread that pins offsets ended"))?
                .map_err(Into::into)
        })
    })
}

fn topic_name(topic: usize) -> String {
    format!("bench-{topic}")
}

fn group_name(object: usize) -> String {
    format!("bench-group-{object}")
}

struct Asked {
    scaler_cores: f64,
    broker_cores: f64,
    answers_ms: Vec<f64>,
    failed: f64,
    peak_mib: f64,
    threads: f64,
    reads: Reads,
}

#[derive(Debug, Clone, Copy)]
struct Reads {
    per_s: f64,
    mean_ms: f64,
    requests: f64,
    connections: f64,
}

async fn ask(
    address: &str,
    scaler: &Scaler,
    broker: u32,
    directory: &Path,
) -> anyhow::Result<Asked> {
    let channel = Channel::from_shared(format!("http://{address}"))?.connect().await?;
    let objects: Vec<ScaledObjectRef> = (0..OBJECTS).map(object).collect();
    let (mut ignored, mut first_failures) = (Vec::new(), 0.0);
    let started = Instant::now();
    while started.elapsed() < WARM_UP {
        round(&channel, &objects, &mut ignored, &mut first_failures).await;
    }
    let pages = said(&directory.join("scaler.log"), "Metrics available at http://")?;
    let pages = pages.trim_end_matches("/metrics").to_owned();
    let cpu = || (proc::cpu_seconds(scaler.0.id()), proc::cpu_seconds(broker));
    let (cpu_before, before) = (cpu(), scrape(&pages).await?);
    let began = Instant::now();
    let (mut answers_ms, mut failed) = (Vec::new(), 0.0);
    while began.elapsed() < MEASURED {
        round(&channel, &objects, &mut answers_ms, &mut failed).await;
    }
    let seconds = began.elapsed().as_secs_f64();
    let (cpu_after, after) = (cpu(), scrape(&pages).await?);
    std::fs::write(directory.join("metrics.txt"), &after)?;
    let cores = |before: Option<f64>, after: Option<f64>| {
        after.zip(before).map_or(f64::NAN, |(after, before)| (after - before) / seconds)
    };
    let delta = |name: &str| value(&after, name) - value(&before, name);
    let count = delta("tidegate_scaler_reads_total{outcome=\"complete\"}");
    Ok(Asked {
        scaler_cores: cores(cpu_before.0, cpu_after.0),
        broker_cores: cores(cpu_before.1, cpu_after.1),
        answers_ms,
        failed,
        peak_mib: proc::peak_resident_mib(scaler.0.id()).unwrap_or(f64::NAN),
        threads: proc::threads(scaler.0.id()).unwrap_or(f64::NAN),
        reads: Reads {
            per_s: count / seconds,
            mean_ms: delta("tidegate_scaler_read_seconds_total") / count * 1000.0,
            requests: delta("tidegate_scaler_kafka_requests_total") / count,
            connections: value(&after, "tidegate_scaler_kafka_connections"),
        },
    })
}

fn object(index: usize) -> ScaledObjectRef {
    let metadata = [
        ("scalerAddress", "tidegate-scaler:6000".to_owned()),
        ("consumerGroup", group_name(index)),
        ("topic", topic_name(index % TOPICS)),
        ("targetAgeSeconds", "30".to_owned()),
    ];
    ScaledObjectRef {
        name: format!("object-{index}"),
        namespace: "bench".into(),
        scaler_metadata: HashMap::from(metadata.map(|(key, value)| (key.to_owned(), value))),
    }
}

/// Every object asked once, spread over the round as KEDA's loops are.
async fn round(
    channel: &Channel,
    objects: &[ScaledObjectRef],
    answers_ms: &mut Vec<f64>,
    failed: &mut f64,
) {
    let mut client = ExternalScalerClient::new(channel.clone());
    let mut tick = tokio::time::interval(ASKED_EVERY / OBJECTS as u32);
    for object in objects {
        tick.tick().await;
        let began = Instant::now();
        let spec = client.get_metric_spec(object.clone()).await;
        let Ok(spec) = spec else {
            *failed += 1.0;
            continue;
        };
        let metric_name = spec.into_inner().metric_specs.remove(0).metric_name;
        let request = GetMetricsRequest { scaled_object_ref: Some(object.clone()), metric_name };
        let metrics = client.get_metrics(request).await;
        let active = client.is_active(object.clone()).await;
        *failed += f64::from(u8::from(metrics.is_err())) + f64::from(u8::from(active.is_err()));
        answers_ms.push(began.elapsed().as_secs_f64() * 1000.0 / 3.0);
    }
}

async fn scrape(address: &str) -> anyhow::Result<String> {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let mut stream = tokio::net::TcpStream::connect(address).await?;
    stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: scaler\r\nConnection: close\r\n\r\n").await?;
    let mut text = String::new();
    stream.read_to_string(&mut text).await?;
    Ok(text)
}

fn value(text: &str, name: &str) -> f64 {
    text.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok()).unwrap_or(f64::NAN)
}

/// The rest of the log's first line with this in it.
fn said(log: &Path, what: &str) -> anyhow::Result<String> {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        let text = std::fs::read_to_string(log)?;
        let line = text.split_once(what).and_then(|(_, rest)| rest.split_once('\n'));
        if let Some((line, _)) = line {
            return Ok(line.trim().to_owned());
        }
        anyhow::ensure!(Instant::now() < deadline, "the scaler did not say {what:?}: {text}");
        std::thread::park_timeout(Duration::from_millis(50));
    }
}
