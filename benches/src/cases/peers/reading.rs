//! The topic read to its end by each reader. Cold: each is the first after a start of the
//! broker. Warm: one after the other.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::bail;
use tidegate_local::broker::Broker;

use super::{PATIENCE, RECORDS, TOPIC, World, crossing};
use crate::cases::median;
use crate::findings::{Finding, Target};
use crate::peers::broker::Guarded;
use crate::peers::perf;
use crate::run::say;

/// Who reads a topic.
#[derive(Debug, Clone, Copy)]
enum Reader {
    Tidegate,
    Java,
    Kcat,
}

const READERS: [Reader; 3] = [Reader::Tidegate, Reader::Java, Reader::Kcat];

/// Records a second of each reader.
#[derive(Debug, Default)]
struct Rates([Vec<f64>; READERS.len()]);

impl Rates {
    fn of(&mut self, reader: Reader) -> &mut Vec<f64> {
        &mut self.0[reader as usize]
    }

    fn findings(mut self, when: &str) -> Vec<Finding> {
        let each: Vec<String> = (READERS.iter().zip(&self.0))
            .map(|(reader, rates)| format!("{reader:?} {rates:.0?}"))
            .collect();
        say(&format!("peers: {when}: {}", each.join(", ")));
        let [ours, java, kcat] = READERS.map(|reader| median(self.of(reader)));
        let told = |who: &str, rate| {
            Finding::new(format!("read {when}: {who}"), rate, "msg/s", Target::Told)
        };
        vec![
            told("tidegate, decoded", ours),
            told("kafka-consumer-perf-test, fetch only", java),
            told("kcat", kcat),
            Finding::new(
                format!("read {when}: against the faster"),
                ours / java.max(kcat),
                "x",
                Target::AtLeast(1.0),
            ),
        ]
    }
}

impl World<'_> {
    /// Each reading is the first after the broker's start; who begins takes turns.
    pub(super) fn read_cold(
        &self,
        broker: &mut Broker,
        scratch: &Path,
    ) -> anyhow::Result<Vec<Finding>> {
        let mut rates = Rates::default();
        for round in 0..3 {
            for turn in 0..READERS.len() {
                let reader = READERS[(round + turn) % READERS.len()];
                say(&format!("peers: reading cold, round {round}, {reader:?}"));
                broker.shut_down();
                broker.start_again()?;
                broker.wait_ready()?;
                rates.of(reader).push(self.read(reader, &format!("cold-{round}"), scratch)?);
            }
        }
        Ok(rates.findings("cold"))
    }

    pub(super) fn read_warm(&self, scratch: &Path) -> anyhow::Result<Vec<Finding>> {
        let mut rates = Rates::default();
        for round in 0..4 {
            say(&format!("peers: reading warm, round {round}"));
            for reader in READERS {
                let rate = self.read(reader, &format!("warm-{round}"), scratch)?;
                // The first round only warms.
                if round > 0 {
                    rates.of(reader).push(rate);
                }
            }
        }
        self.keep(scratch, "consumer-perf.txt")?;
        Ok(rates.findings("warm"))
    }

    /// Records a second.
    fn read(&self, reader: Reader, group: &str, scratch: &Path) -> anyhow::Result<f64> {
        match reader {
            Reader::Tidegate => self.discard(group),
            Reader::Java => perf::consume(self.peers, self.bootstrap, TOPIC, RECORDS, scratch),
            Reader::Kcat => perf::kcat(self.bootstrap, TOPIC, RECORDS),
        }
    }

    /// Records a second that a consumer without a database reads and decodes.
    fn discard(&self, group: &str) -> anyhow::Result<f64> {
        let [port] = tidegate_ports::free()?;
        let child = Command::new(&self.bench.tidegate)
            .args(["consume", "--database", "none", "--group", group])
            .args(["--config", "benches/profiles/postgres.toml", "--brokers", self.bootstrap])
            .args(["--metrics-addr", &format!("127.0.0.1:{port}")])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        let guarded = Guarded(child);
        let rate = read_rate(port)?;
        drop(guarded);
        Ok(rate)
    }
}

/// Records a second between 5 % and 95 % of all, by what the consumer's metrics say.
fn read_rate(port: u16) -> anyhow::Result<f64> {
    let started = Instant::now();
    let total = RECORDS as f64;
    let mut points = Vec::new();
    while started.elapsed() < PATIENCE {
        std::thread::park_timeout(Duration::from_millis(25));
        let Some(records) = processed(port) else { continue };
        points.push((started.elapsed().as_secs_f64(), records));
        if records >= total {
            let took = crossing(&points, 0.95 * total) - crossing(&points, 0.05 * total);
            return Ok(0.9 * total / took);
        }
    }
    bail!("the consumer read too little: {:?}", points.last())
}

/// The counter of processed records; `None` while nobody answers.
fn processed(port: u16) -> Option<f64> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream
        .write_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        .ok()?;
    let mut text = String::new();
    stream.read_to_string(&mut text).ok()?;
    let name = "kafka_messages_processed_total{status=\"success\"}";
    text.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok())
}
