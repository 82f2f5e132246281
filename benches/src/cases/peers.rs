//! The same topic, the same machine, one run: tidegate beside Kafka Connect with the
//! Debezium JDBC sink, beside Kafka's performance tools, beside kcat.
//!
//! Rates into PostgreSQL are those between 10 % and 95 % of the table's final size, so
//! that a start counts for nobody. Both sides write into the same table of seven columns. Reading is timed cold (the
//! first reader of each kind after the broker's start) and warm.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use tidegate_pgtest::Server;

use super::median;
use crate::findings::{Finding, Target};
use crate::peers::broker::{self, Guarded};
use crate::peers::perf::{self, ProducerSettings};
use crate::peers::{Peers, connect};
use crate::proc;
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
    let broker = broker::start(&scratch.path().join("broker"))?;
    let world = World { bench, peers: &peers, bootstrap: broker.bootstrap(), kept: &kept };

    let mut findings = told(world.produce(scratch.path())?);
    findings.extend(told(world.read(scratch.path())?));
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

/// One side into PostgreSQL.
struct Stored {
    rows_per_s: f64,
    peak_mib: f64,
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

    /// Sends all trades as fast as it goes; records a second, the start included.
    fn fill(&self, topic: &str) -> anyhow::Result<f64> {
        let started = Instant::now();
        let status = self
            .tidegate(&["produce", "--rate", "max", "--records", &RECORDS.to_string()])
            .args(["--topic", topic])
            .stderr(Stdio::null())
            .status()?;
        ensure!(status.success(), "tidegate produce: {status}");
        Ok(RECORDS as f64 / started.elapsed().as_secs_f64())
    }

    fn read(&self, scratch: &Path) -> anyhow::Result<Vec<Finding>> {
        let mut findings = Vec::new();
        let (mut ours, mut java, mut kcat) = (Vec::new(), Vec::new(), Vec::new());
        for round in 0..4 {
            say(&format!("peers: reading, round {round}"));
            ours.push(self.discard(round)?);
            java.push(perf::consume(self.peers, self.bootstrap, TOPIC, RECORDS, scratch)?);
            kcat.push(perf::kcat(self.bootstrap, TOPIC, RECORDS)?);
        }
        self.keep(scratch, "consumer-perf.txt")?;
        for (when, range) in [("cold", 0..1), ("warm", 1..4)] {
            let (ours, java, kcat) = (
                median(&mut ours[range.clone()]),
                median(&mut java[range.clone()]),
                median(&mut kcat[range]),
            );
            findings.extend([
                Finding::new(
                    format!("read {when}: tidegate, decoded"),
                    ours,
                    "msg/s",
                    Target::Told,
                ),
                Finding::new(
                    format!("read {when}: kafka-consumer-perf-test, fetch only"),
                    java,
                    "msg/s",
                    Target::Told,
                ),
                Finding::new(format!("read {when}: kcat"), kcat, "msg/s", Target::Told),
                Finding::new(
                    format!("read {when}: against the faster"),
                    ours / java.max(kcat),
                    "x",
                    Target::AtLeast(1.0),
                ),
            ]);
        }
        Ok(findings)
    }

    /// Records a second that a consumer without a database reads and decodes.
    fn discard(&self, round: usize) -> anyhow::Result<f64> {
        let group = format!("read-{round}");
        let [port] = tidegate_ports::free()?;
        let child = Command::new(&self.bench.tidegate)
            .args(["consume", "--database", "none", "--group", &group])
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

    fn store(&self, scratch: &Path) -> anyhow::Result<Vec<Finding>> {
        let mut findings = Vec::new();
        for (mode, wanted) in [(connect::Mode::Insert, "insert"), (connect::Mode::Upsert, "upsert")]
        {
            say(&format!("peers: into PostgreSQL, {wanted}"));
            let ours = self.ours_into_postgres(mode)?;
            let theirs = self.connect_into_postgres(mode, &scratch.join(wanted));
            self.keep(&scratch.join(wanted), "connect.log")?;
            let theirs = theirs?;
            findings.extend(told(vec![
                Finding::new(
                    format!("{wanted}: tidegate"),
                    ours.rows_per_s,
                    "rows/s",
                    Target::Told,
                ),
                Finding::new(
                    format!("{wanted}: Kafka Connect"),
                    theirs.rows_per_s,
                    "rows/s",
                    Target::Told,
                ),
                Finding::new(
                    format!("{wanted}: ratio"),
                    ours.rows_per_s / theirs.rows_per_s,
                    "x",
                    Target::AtLeast(4.0),
                ),
                Finding::new(
                    format!("{wanted}: memory, tidegate"),
                    ours.peak_mib,
                    "MiB",
                    Target::Told,
                ),
                Finding::new(
                    format!("{wanted}: memory, Kafka Connect"),
                    theirs.peak_mib,
                    "MiB",
                    Target::Told,
                ),
                Finding::new(
                    format!("{wanted}: memory, ratio"),
                    ours.peak_mib / theirs.peak_mib,
                    "x",
                    Target::AtMost(0.125),
                ),
            ]));
        }
        Ok(findings)
    }

    fn ours_into_postgres(&self, mode: connect::Mode) -> anyhow::Result<Stored> {
        let server = server_with_table(mode)?;
        let url = server.url("tidegate");
        let group = format!("into-postgres-{mode:?}");
        let mut command =
            self.tidegate(&["consume", "--database", &url, "--database-connections", "2"]);
        command.args(["--config", "benches/profiles/peers.toml"]);
        command.args(["--group", &group]);
        let mapping = match mode {
            connect::Mode::Insert => "benches/profiles/insert.toml",
            connect::Mode::Upsert => "benches/profiles/upsert.toml",
        };
        command.args(["--mapping", mapping]);
        let guarded = Guarded(command.stderr(Stdio::null()).spawn()?);
        measure(&server, guarded, &self.kept.join(format!("tidegate-{mode:?}.csv")))
    }

    fn connect_into_postgres(
        &self,
        mode: connect::Mode,
        directory: &Path,
    ) -> anyhow::Result<Stored> {
        let server = server_with_table(mode)?;
        let url = server.url("tidegate");
        let guarded = connect::start(self.peers, self.bootstrap, TOPIC, &url, mode, directory)?;
        measure(&server, guarded, &self.kept.join(format!("connect-{mode:?}.csv")))
            .with_context(|| format!("Kafka Connect: see {}", directory.display()))
    }

    fn keep(&self, from: &Path, name: &str) -> anyhow::Result<()> {
        let source = from.join(name);
        if source.exists() {
            std::fs::copy(source, self.kept.join(name))?;
        }
        Ok(())
    }
}

fn server_with_table(mode: connect::Mode) -> anyhow::Result<Server> {
    let server = Server::start(&[])?;
    server.create_database("tidegate")?;
    server.psql("tidegate", connect::TABLE)?;
    if mode == connect::Mode::Upsert {
        server.psql("tidegate", "ALTER TABLE trades ADD PRIMARY KEY (trade_id)")?;
    }
    Ok(server)
}

/// Watches the table grow; ends the process. Its size tells the rows at any moment:
/// all rows are about as long, and the server's counters lag by up to ten seconds.
fn measure(server: &Server, guarded: Guarded, series: &Path) -> anyhow::Result<Stored> {
    let pid = guarded.0.id();
    let started = Instant::now();
    let mut points: Vec<(f64, f64)> = Vec::new();
    let mut peak_mib: f64 = 0.0;
    let mut csv = String::from("seconds,bytes\n");
    loop {
        std::thread::park_timeout(Duration::from_millis(500));
        let bytes = server
            .psql("tidegate", "SELECT coalesce(pg_relation_size(to_regclass('trades')), 0)")?
            .parse::<f64>()
            .context("size of the table")?;
        let now_s = started.elapsed().as_secs_f64();
        peak_mib = peak_mib.max(proc::peak_resident_mib(pid).context("the process has ended")?);
        let stands = points.last().is_some_and(|(_, last)| *last == bytes);
        if !stands {
            points.push((now_s, bytes));
            csv.push_str(&format!("{now_s:.2},{bytes}\n"));
        }
        if stands && bytes > 0.0 && rows(server)? == RECORDS {
            break;
        }
        if started.elapsed() > PATIENCE {
            bail!("only {} of {RECORDS} rows after {} s", rows(server)?, PATIENCE.as_secs());
        }
    }
    drop(guarded);
    std::fs::write(series, csv)?;
    let total = points.last().map_or(0.0, |(_, bytes)| *bytes);
    let took_s = crossing(&points, 0.95 * total) - crossing(&points, 0.1 * total);
    Ok(Stored { rows_per_s: 0.85 * RECORDS as f64 / took_s, peak_mib })
}

fn rows(server: &Server) -> anyhow::Result<u64> {
    server.psql("tidegate", "SELECT count(*) FROM trades")?.parse().context("rows")
}

/// When this much was there, by straight lines between what was seen.
fn crossing(points: &[(f64, f64)], wanted: f64) -> f64 {
    let after = points.partition_point(|(_, seen)| *seen < wanted).clamp(1, points.len() - 1);
    let ((from_s, from), (to_s, to)) = (points[after - 1], points[after]);
    from_s + (to_s - from_s) * (wanted - from) / (to - from).max(1.0)
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
