//! The published demo's own path of pods and load, five times faster: 100
//! partitions, batches of 100 that take a second, 1,000 then 5,000 msg/s, and one
//! record in 10,000 that is poison. Minutes of the original are 12 s here; the
//! write of a batch is not compressed, so settling has a fifth of the time.

use super::{path_text, promise};
use crate::events::{Owners, owners_at, times};
use crate::findings::{Finding, Target};
use crate::run::Bench;
use crate::timeline::Timeline;

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
/// A record waits for the batch before its own, and for its own: up to two writes.
const ON_THE_WAY_S: f64 = 2.0;

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
    let events = run.events()?;
    let scaled = times(&events, "scaled");
    let mut findings = Vec::new();
    for (pair, at_ms) in PATH.windows(2).skip(1).zip(scaled.iter().skip(1)) {
        let until_ms = at_ms + STEP_MS;
        let owners = [owners_at(&events, *at_ms), owners_at(&events, until_ms)];
        findings.push(Finding::new(
            format!("{} → {} pods: worst 5 s, of what they can do", pair[0].1, pair[1].1),
            100.0 * worst_share(&run.timeline, *at_ms, until_ms, &owners),
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

/// The least share of what was possible in any window, windows taken every 100 ms.
fn worst_share(timeline: &Timeline, from_ms: i64, to_ms: i64, owners: &[Owners; 2]) -> f64 {
    (from_ms..=to_ms - WINDOW_MS)
        .step_by(100)
        .map(|start_ms| {
            let possible = owners
                .iter()
                .map(|owners| possible(timeline, start_ms, owners))
                .fold(f64::INFINITY, f64::min);
            timeline.committed(start_ms, start_ms + WINDOW_MS) as f64 / possible.max(1.0)
        })
        .fold(f64::INFINITY, f64::min)
}

/// What the pods can store in a window with these partitions: each a batch of 100
/// a second, but no more than was there for it. That is what came in the window,
/// and what waited before it without the records that are on their way at any time.
fn possible(timeline: &Timeline, start_ms: i64, owners: &Owners) -> f64 {
    let seconds = WINDOW_MS as f64 / 1000.0;
    owners
        .values()
        .map(|partitions| {
            let there: f64 = partitions
                .iter()
                .map(|partition| {
                    let arrived =
                        timeline.arrived_on(*partition, start_ms, start_ms + WINDOW_MS) as f64;
                    let waiting = timeline.backlog_of(*partition, start_ms) as f64;
                    arrived + (waiting - arrived / seconds * ON_THE_WAY_S).max(0.0)
                })
                .sum();
            there.min(POD_PER_S * seconds)
        })
        .sum()
}
