//! 90 pods on one small machine: CPU of all of them, memory of each.

use super::promise;
use crate::findings::{Finding, Target};
use crate::run::{Bench, Usage};

const PODS: usize = 90;

pub(super) fn run(bench: &Bench) -> anyhow::Result<Vec<Finding>> {
    // The demo's own settings: batches of 100, 0.1 s, one second a write.
    let arguments = [
        "--rate",
        "5000",
        "--duration",
        "75",
        "--partitions",
        "100",
        "--replicas-path",
        "0:90",
        "--batch-processing-time",
        "1",
    ];
    let run = bench.up("footprint", &arguments, &mut |_, _| {})?;
    let pods: Vec<&Usage> = run
        .usage
        .iter()
        .filter(|(name, _)| name.starts_with("consumer-"))
        .map(|(_, usage)| usage)
        .collect();
    let cores: f64 = pods.iter().map(|usage| usage.steady_cores()).sum();
    let peak_mib = pods.iter().map(|usage| usage.peak_mib).fold(0.0, f64::max);
    let mean_mib = pods.iter().map(|usage| usage.peak_mib).sum::<f64>() / pods.len().max(1) as f64;
    let other = |name: &str| run.usage.get(name).map_or(0.0, Usage::steady_cores);

    let mut findings = vec![
        Finding::new("consumer processes", pods.len() as f64, "", Target::Exactly(PODS as f64)),
        Finding::new("CPU of all of them", cores, "cores", Target::AtMost(1.0)),
        Finding::new("memory of one, peak of the largest", peak_mib, "MiB", Target::AtMost(32.0)),
        Finding::new("memory of one, mean of the peaks", mean_mib, "MiB", Target::Told),
        Finding::new("CPU of the broker", other("broker"), "cores", Target::Told),
        Finding::new("CPU of the producer", other("producer"), "cores", Target::Told),
        Finding::new("CPU of tidegate up", other("up"), "cores", Target::Told),
        Finding::new("age, p99", run.number("/audit/age_ms/p99")? / 1000.0, "s", Target::Told),
    ];
    findings.extend(promise(&run)?);
    run.discard()?;
    Ok(findings)
}
