//! From a start to the first stored record: of a consumer, and of `tidegate up`.

use anyhow::Context;

use super::{median, path_text, promise};
use crate::events::times;
use crate::findings::{Finding, Target};
use crate::run::Bench;

/// Pods come and go one at a time; each start is one sample.
const PATH: [(i64, i64); 12] = [
    (0, 1),
    (5, 0),
    (8, 1),
    (13, 0),
    (16, 1),
    (21, 0),
    (24, 1),
    (29, 0),
    (32, 1),
    (37, 0),
    (40, 1),
    (45, 0),
];

pub(super) fn run(bench: &Bench) -> anyhow::Result<Vec<Finding>> {
    let path = path_text(&PATH);
    let arguments =
        ["--rate", "500", "--duration", "44", "--partitions", "24", "--replicas-path", &path];
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
            run.number("/world/first_stored_after_s")?,
            "s",
            Target::AtMost(10.0),
        ),
    ];
    findings.extend(promise(&run)?);
    run.discard()?;
    Ok(findings)
}
