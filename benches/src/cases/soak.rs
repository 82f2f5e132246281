//! One pod with 1,000 partitions and a trickle of load: does its memory grow?

use std::collections::BTreeMap;

use super::promise;
use crate::findings::{Finding, Target};
use crate::proc;
use crate::run::{Bench, processes};

/// Until then buffers, caches and pages of the allocator fill, seconds.
const WARM_S: f64 = 60.0;

pub(super) fn run(bench: &Bench) -> anyhow::Result<Vec<Finding>> {
    let arguments = [
        "--partitions",
        "1000",
        "--rate",
        "500",
        "--duration",
        "180",
        "--replicas-path",
        "0:1",
        "--batch-size",
        "auto",
        "--batch-processing-time",
        "0",
    ];
    let mut resident: BTreeMap<u64, f64> = BTreeMap::new();
    let run = bench.up("soak", &arguments, &mut |now_s, world| {
        let pod = processes(world).into_iter().find(|(name, _)| name.starts_with("consumer"));
        if let Some(mib) = pod.and_then(|(_, pid)| proc::resident_mib(pid)) {
            resident.insert(now_s as u64, mib);
        }
    })?;
    let mut csv = String::from("second,resident_mib\n");
    for (second, mib) in &resident {
        csv.push_str(&format!("{second},{mib:.2}\n"));
    }
    std::fs::write(run.kept.join("resident.csv"), csv)?;
    let steady: Vec<f64> = resident.range(WARM_S as u64..).map(|(_, mib)| *mib).collect();
    let half = steady.len() / 2;
    let most = |part: &[f64]| part.iter().copied().fold(0.0, f64::max);
    let (early, late) = (most(&steady[..half]), most(&steady[half..]));
    let mut findings = vec![
        Finding::new("resident memory, first half", early, "MiB", Target::Told),
        Finding::new("resident memory, second half", late, "MiB", Target::Told),
        Finding::new("growth", 100.0 * (late - early) / early, "%", Target::AtMost(3.0)),
    ];
    findings.extend(promise(&run)?);
    run.discard()?;
    Ok(findings)
}
