//! The published demo's own path of pods and load, five times faster: 100
//! partitions, batches of 100 that take a second, 1,000 then 5,000 msg/s, and one
//! record in 10,000 that is poison. Minutes of the original are 12 s here; the
//! write of a batch is not compressed, so settling has a fifth of the time.

use super::{path_text, promise};
use crate::events::times;
use crate::findings::{Finding, Target};
use crate::run::Bench;

/// Nothing for 4 s (to see that nothing is skipped), then the incumbent's path.
const PATH: [(i64, i64); 13] = [
    (0, 0),
    (4, 10),
    (60, 20),
    (72, 30),
    (84, 40),
    (96, 50),
    (108, 60),
    (120, 70),
    (132, 80),
    (144, 90),
    (186, 73),
    (198, 58),
    (216, 68),
];
const STEP_MS: i64 = 12_000;
/// What a pod can do: a batch of 100 a second.
const POD_PER_S: f64 = 100.0;
const WINDOW_MS: i64 = 5_000;

pub(super) fn run(bench: &Bench) -> anyhow::Result<Vec<Finding>> {
    let path = path_text(&PATH);
    let arguments = [
        "--profile",
        "benches/profiles/incumbent.toml",
        "--partitions",
        "100",
        "--replicas-path",
        &path,
        "--batch-processing-time",
        "1",
    ];
    let run = bench.up("incumbent", &arguments, &mut |_, _| {})?;
    let scaled = times(&run.events()?, "scaled");
    let mut findings = Vec::new();
    for (pair, at_ms) in PATH.windows(2).skip(1).zip(scaled.iter().skip(1)) {
        let (from, to) = (pair[0].1, pair[1].1);
        let until_ms = at_ms + STEP_MS;
        let worst = run.timeline.worst_rate(*at_ms, until_ms - WINDOW_MS, WINDOW_MS);
        // No more can be stored than has come.
        let load = run.timeline.arrived(*at_ms, until_ms) as f64 / STEP_MS as f64 * 1000.0;
        let possible = (from.min(to) as f64 * POD_PER_S).min(load);
        findings.push(Finding::new(
            format!("{from} → {to} pods: worst 5 s, of what they can do"),
            100.0 * worst / possible,
            "%",
            Target::AtLeast(90.0),
        ));
    }
    for (name, pointer) in [
        ("age, p50", "/audit/age_ms/p50"),
        ("age, p99", "/audit/age_ms/p99"),
        ("age, max", "/audit/age_ms/max"),
    ] {
        findings.push(Finding::new(name, run.number(pointer)? / 1000.0, "s", Target::Told));
    }
    findings.push(Finding::new(
        "backlog, most",
        run.number("/world/max_backlog")?,
        "records",
        Target::Told,
    ));
    findings.push(Finding::new(
        "poison records in dead letters",
        run.number("/audit/dead_lettered")?,
        "records",
        Target::AtLeast(1.0),
    ));
    findings.push(Finding::new(
        "others in dead letters",
        run.number("/audit/dead_lettered_unexpected")?,
        "records",
        Target::Exactly(0.0),
    ));
    findings.push(Finding::new(
        "crashes",
        run.number("/world/restarts")?,
        "",
        Target::Exactly(0.0),
    ));
    findings.extend(promise(&run)?);
    run.discard()?;
    Ok(findings)
}
