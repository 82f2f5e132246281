//! What `make demo` does, with its picture.

use anyhow::Context;

use super::promise;
use crate::chart::{Line, Panel, svg};
use crate::findings::{Finding, Target};
use crate::run::Bench;

pub(super) fn run(bench: &Bench) -> anyhow::Result<Vec<Finding>> {
    let run = bench.up("demo", &[], &mut |_, _| {})?;
    let series = std::fs::read_to_string(run.kept.join("series.csv"))?;
    std::fs::write(run.kept.join("demo.svg"), picture(&series)?)?;

    let mut findings = Vec::new();
    for (name, pointer, unit, divide) in [
        ("age, p50", "/audit/age_ms/p50", "s", 1000.0),
        ("age, p99", "/audit/age_ms/p99", "s", 1000.0),
        ("age, max", "/audit/age_ms/max", "s", 1000.0),
        ("backlog, most", "/world/max_backlog", "records", 1.0),
        ("pods, most", "/world/peak_replicas", "", 1.0),
        ("pod-seconds", "/world/pod_seconds", "", 1.0),
        ("pod-seconds of the perfect follower", "/world/perfect_pod_seconds", "", 1.0),
    ] {
        findings.push(Finding::new(name, run.number(pointer)? / divide, unit, Target::Told));
    }
    // Up for the load and down after it: one reversal is none too many.
    findings.push(Finding::new(
        "direction reversals",
        run.number("/world/direction_reversals")?,
        "",
        Target::AtMost(1.0),
    ));
    findings.extend(promise(&run)?);
    run.discard()?;
    Ok(findings)
}

fn picture(series: &str) -> anyhow::Result<String> {
    let mut lines = series.lines();
    let header: Vec<&str> = lines.next().context("an empty series")?.split(',').collect();
    let rows: Vec<Vec<&str>> = lines.map(|line| line.split(',').collect()).collect();
    let column = |name: &str| -> anyhow::Result<Vec<f64>> {
        let index = header
            .iter()
            .position(|column| *column == name)
            .with_context(|| format!("no column {name} in the series"))?;
        Ok(rows.iter().map(|row| row[index].parse().unwrap_or(0.0)).collect())
    };
    let (arrival, processed) = (column("arrival_per_s")?, column("processed_per_s")?);
    let (age, wanted, ready) =
        (column("oldest_age_s")?, column("replicas_desired")?, column("pods_ready")?);
    Ok(svg(&[
        Panel {
            title: "records a second",
            lines: vec![
                Line { name: "arriving", color: "#2563eb", values: &arrival },
                Line { name: "stored", color: "#16a34a", values: &processed },
            ],
        },
        Panel {
            title: "age of the oldest waiting record, seconds",
            lines: vec![Line { name: "age", color: "#dc2626", values: &age }],
        },
        Panel {
            title: "pods",
            lines: vec![
                Line { name: "wanted", color: "#9333ea", values: &wanted },
                Line { name: "ready", color: "#0d9488", values: &ready },
            ],
        },
    ]))
}
