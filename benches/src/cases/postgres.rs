//! 2,000,000 trades wait on 8 partitions; one consumer drains them into
//! PostgreSQL in batches of 10,000. Beside it, on the same server, psql copies
//! the same rows from files of 10,000 rows, a commit each: what the database can
//! take raw. Server settings are its defaults, synchronous_commit and fsync on.
//!
//! Rates are of the rows after the first commit of either side, so that a start
//! counts for neither.

use std::fs;
use std::path::Path;
use std::time::Instant;

use anyhow::Context;
use tidegate_pgtest::Server;

use super::promise;
use crate::findings::{Finding, Target};
use crate::run::{Bench, say};

const BATCH: usize = 10_000;
/// What both sides write.
const COLUMNS: &str = "account_id, trade_id, symbol, trade_type, quantity, price, timestamp, \
     kafka_topic, kafka_partition, kafka_offset, record_timestamp_ms, committed_at_ms";

pub(super) fn run(bench: &Bench) -> anyhow::Result<Vec<Finding>> {
    let server = Server::start(&[])?;
    server.create_database("tidegate")?;
    let url = server.url("tidegate");
    let arguments = [
        "--config",
        "benches/profiles/postgres.toml",
        "--database",
        &url,
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
    let run = bench.up("postgres", &arguments, &mut |_, _| {})?;
    let drained = drain_rate(&server)?;
    let copied = copy_rate(&server)?;
    let mut findings = vec![
        Finding::new("one consumer into PostgreSQL", drained, "rows/s", Target::Told),
        Finding::new("psql \\copy of the same rows", copied, "rows/s", Target::Told),
        Finding::new("consumer against \\copy", 100.0 * drained / copied, "%", Target::Told),
    ];
    findings.extend(promise(&run)?);
    run.discard()?;
    Ok(findings)
}

/// Rows a second between the first commit and the last.
fn drain_rate(server: &Server) -> anyhow::Result<f64> {
    let rate = "SELECT (SELECT count(*) FROM trades WHERE committed_at_ms < \
                  (SELECT max(committed_at_ms) FROM trades)) * 1000.0 / \
                (max(committed_at_ms) - min(committed_at_ms)) FROM trades";
    server.psql("tidegate", rate)?.parse().context("rows a second")
}

/// The rows of the consumer, from files, into a table that was made the same way.
fn copy_rate(server: &Server) -> anyhow::Result<f64> {
    let files = tempfile::tempdir()?;
    let all = files.path().join("all");
    let export =
        format!("\\copy (SELECT {COLUMNS} FROM trades ORDER BY id) TO '{}'", all.display());
    server.psql("tidegate", &export)?;
    server.psql("tidegate", "CREATE TABLE copied (LIKE trades INCLUDING ALL)")?;
    let script = files.path().join("script");
    let rows = split(&all, files.path(), &script)?;
    server.psql("tidegate", "CHECKPOINT")?;
    say(&format!("postgres: \\copy of {rows} rows"));
    let started = Instant::now();
    server.psql_file("tidegate", &script)?;
    Ok(rows as f64 / started.elapsed().as_secs_f64())
}

/// Files of a batch each, and the script that copies them; returns the rows.
fn split(all: &Path, directory: &Path, script: &Path) -> anyhow::Result<usize> {
    let text = fs::read_to_string(all)?;
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    let mut commands = String::new();
    for (index, rows) in lines.chunks(BATCH).enumerate() {
        let file = directory.join(index.to_string());
        fs::write(&file, rows.concat())?;
        commands.push_str(&format!("\\copy copied ({COLUMNS}) FROM '{}'\n", file.display()));
    }
    fs::write(script, commands)?;
    Ok(lines.len())
}
