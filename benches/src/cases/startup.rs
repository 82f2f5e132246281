//! From a start to the first stored record: of a consumer, and of `tidegate up`.

use anyhow::Context;

use super::{median, path_text, promise};
use crate::events::times;
use crate::findings::{Finding, Target};
use crate::run::Bench;

/// Pods come and go one at a time; each start is one sample.
const PATH: [(i64, i64); 12] = [
    (0, 0),
    (4, 1),
    (9, 0),
    (12, 1),
    (17, 0),
    (20, 1),
    (25, 0),
    (28, 1),
    (33, 0),
    (36, 1),
    (41, 0),
    (44, 1),
];

pub(super) fn run(bench: &Bench) -> anyhow::Result<Vec<Finding>> {
    let path = path_text(&PATH);
    let arguments = [
        "--rate",
        "500",
        "--duration",
        "48",
        "--partitions",
        "24",
        "--replicas-path",
        &path,
        "--batch-processing-time",
        "0",
    ];
    let run = bench.up("startup", &arguments, &mut |_, _| {})?;
    let mut samples: Vec<f64> = times(&run.events()?, "started")
        .into_iter()
        .map(|started_ms| {
            let first_ms = run.timeline.first_commit_at_or_after(started_ms);
            first_ms.map(|first_ms| (first_ms - started_ms) as f64 / 1000.0)
        })
        .collect::<Option<_>>()
        .context("a pod that stored nothing")?;
    let worst = samples.iter().copied().fold(0.0, f64::max);
    let mut findings = vec![
        Finding::new("consumer starts", samples.len() as f64, "samples", Target::AtLeast(6.0)),
        Finding::new(
            "consumer start to first stored record, median",
            median(&mut samples),
            "s",
            Target::AtMost(1.0),
        ),
        Finding::new(
            "consumer start to first stored record, worst",
            worst,
            "s",
            Target::AtMost(1.0),
        ),
        Finding::new(
            "tidegate up to first stored record, Kafka cached",
            first_stored_after_s(bench)?,
            "s",
            Target::AtMost(10.0),
        ),
    ];
    findings.extend(promise(&run)?);
    run.discard()?;
    Ok(findings)
}

/// With the first pod wanted at once, and load from the first second.
fn first_stored_after_s(bench: &Bench) -> anyhow::Result<f64> {
    let arguments = ["--rate", "500", "--duration", "3", "--replicas-path", "0:1"];
    let run = bench.up("startup-up", &arguments, &mut |_, _| {})?;
    let first = run.number("/world/first_stored_after_s")?;
    run.discard()?;
    Ok(first)
}
