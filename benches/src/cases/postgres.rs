//! 2,000,000 trades wait on 8 partitions; one consumer drains them into
//! PostgreSQL in batches of 10,000. Beside it, on the same server, psql copies
//! the same rows from files of 10,000 rows, a commit each, over as many
//! connections: what the database can take raw. Server settings are its defaults,
//! synchronous_commit and fsync on.
//!
//! One connection three times, the two sides in turn, and two connections once. The consumer's
//! rates are those between 10 % and 95 % of the rows, as in the case `peers`: neither its start
//! counts nor the topic's end, where batches are what is left.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::Context;
use tidegate_pgtest::Server;

use super::promise;
use crate::findings::{Finding, Target};
use crate::peers::broker;
use crate::run::{Bench, say};

const BATCH: usize = 10_000;
/// What both sides write.
const COLUMNS: &str = "account_id, trade_id, symbol, trade_type, quantity, price, timestamp, \
     kafka_topic, kafka_partition, kafka_offset, record_timestamp_ms, committed_at_ms";

/// As much log as both sides write: a new server's log files are made as they are needed, which
/// the first one would pay for, and those of before are used again.
const WARM: &str = "CREATE TABLE warm AS SELECT repeat('x', 180) FROM generate_series(1, 3000000); \
     DROP TABLE warm; CHECKPOINT";

/// With one connection, where there is a target.
const ROUNDS: usize = 3;

pub(super) fn run(bench: &Bench) -> anyhow::Result<Vec<Finding>> {
    let mut findings = Vec::new();
    let mut ratios = Vec::new();
    for round in 1..=ROUNDS {
        ratios.push(measure(bench, 1, &format!("round {round}"), &mut findings)?);
    }
    ratios.sort_by(f64::total_cmp);
    let what = format!("consumer against \\copy, median of {ROUNDS} rounds");
    findings.push(Finding::new(what, ratios[ROUNDS / 2], "%", Target::AtLeast(85.0)));
    measure(bench, 2, "two connections", &mut findings)?;
    Ok(findings)
}

/// Both sides; what the consumer did in percent of what psql did.
fn measure(
    bench: &Bench,
    connections: usize,
    name: &str,
    findings: &mut Vec<Finding>,
) -> anyhow::Result<f64> {
    let server = Server::start(&[])?;
    server.create_database("tidegate")?;
    server.psql("tidegate", WARM)?;
    let url = server.url("tidegate");
    let count = connections.to_string();
    // Lean, as the one of the case `peers`: it has the same two cores, and psql needs none.
    let scratch = tempfile::tempdir()?;
    let broker = broker::start(scratch.path())?;
    let arguments = [
        "--brokers",
        broker.bootstrap(),
        "--config",
        "benches/profiles/postgres.toml",
        "--database",
        &url,
        "--database-connections",
        &count,
        "--partitions",
        "8",
        // All is sent when the only pod starts.
        "--rate",
        "50000",
        "--duration",
        "40",
        "--replicas-path",
        "0:0,55:1",
        "--batch-processing-time",
        "0",
    ];
    let run =
        bench.up(&format!("postgres {name}").replace(' ', "-"), &arguments, &mut |_, _| {})?;
    broker.stop();
    let drained = drain_rate(&server)?;
    let copied = copy_rate(&server, connections)?;
    let peak_mib = run.usage.iter().filter(|(name, _)| name.starts_with("consumer"));
    let peak_mib = peak_mib.map(|(_, usage)| usage.peak_mib).fold(0.0, f64::max);
    let ratio = 100.0 * drained / copied;
    findings.extend([
        told(name, "one consumer", drained, "rows/s"),
        told(name, "psql \\copy of the same rows", copied, "rows/s"),
        told(name, "consumer against \\copy", ratio, "%"),
        told(name, "peak memory of the consumer", peak_mib, "MiB"),
    ]);
    findings.extend(promise(&run)?);
    run.discard()?;
    Ok(ratio)
}

fn told(name: &str, what: &str, value: f64, unit: &'static str) -> Finding {
    Finding::new(format!("{name}: {what}"), value, unit, Target::Told)
}

/// Rows a second between 10 % and 95 % of them, by their commits. The consumer starts before,
/// and at the topic's end a batch is what is left of its partition.
fn drain_rate(server: &Server) -> anyhow::Result<f64> {
    let rate = "WITH commits AS (SELECT committed_at_ms AS at_ms, count(*) AS rows FROM trades \
                  GROUP BY 1), \
                sums AS (SELECT at_ms, sum(rows) OVER (ORDER BY at_ms) AS rows, \
                  sum(rows) OVER () AS total FROM commits) \
                SELECT (max(rows) - min(rows)) * 1000.0 / (max(at_ms) - min(at_ms)) FROM sums \
                WHERE rows BETWEEN 0.1 * total AND 0.95 * total";
    server.psql("tidegate", rate)?.parse().context("rows a second")
}

/// The rows of the consumer, from files, into a table that was made the same way.
fn copy_rate(server: &Server, connections: usize) -> anyhow::Result<f64> {
    let files = tempfile::tempdir()?;
    let all = files.path().join("all");
    let export =
        format!("\\copy (SELECT {COLUMNS} FROM trades ORDER BY id) TO '{}'", all.display());
    server.psql("tidegate", &export)?;
    server.psql("tidegate", "CREATE TABLE copied (LIKE trades INCLUDING ALL)")?;
    let (rows, scripts) = split(&all, files.path(), connections)?;
    server.psql("tidegate", "CHECKPOINT")?;
    say(&format!("postgres: \\copy of {rows} rows over {connections} connection(s)"));
    let started = Instant::now();
    std::thread::scope(|scope| {
        let copies: Vec<_> = scripts
            .iter()
            .map(|script| scope.spawn(|| server.psql_file("tidegate", script)))
            .collect();
        copies.into_iter().try_for_each(|copy| match copy.join() {
            Ok(result) => result.map_err(anyhow::Error::from),
            Err(_) => anyhow::bail!("psql's thread panicked"),
        })
    })?;
    Ok(rows as f64 / started.elapsed().as_secs_f64())
}

/// Files of a batch each, dealt out to the scripts that copy them; returns the rows.
fn split(
    all: &Path,
    directory: &Path,
    connections: usize,
) -> anyhow::Result<(usize, Vec<PathBuf>)> {
    let text = fs::read_to_string(all)?;
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    let mut commands = vec![String::new(); connections];
    for (index, rows) in lines.chunks(BATCH).enumerate() {
        let file = directory.join(index.to_string());
        fs::write(&file, rows.concat())?;
        let copy = format!("\\copy copied ({COLUMNS}) FROM '{}'\n", file.display());
        commands[index % connections].push_str(&copy);
    }
    let mut scripts = Vec::new();
    for (index, commands) in commands.iter().enumerate() {
        let script = directory.join(format!("script-{index}"));
        fs::write(&script, commands)?;
        scripts.push(script);
    }
    Ok((lines.len(), scripts))
}
