//! A sink whose write costs a second a batch and ten microseconds a row: 8 pods at
//! 5,000 msg/s with batches of automatic size. With 100 rows a batch it would take
//! 50 pods to carry the load at all.

use super::promise;
use crate::findings::{Finding, Target};
use crate::run::Bench;

pub(super) fn run(bench: &Bench) -> anyhow::Result<Vec<Finding>> {
    let arguments = [
        "--batch-size",
        "auto",
        "--batch-processing-time",
        "1",
        "--message-processing-time",
        "0.00001",
        "--rate",
        "5000",
        "--duration",
        "60",
        "--replicas-path",
        "0:8",
    ];
    let run = bench.up("adaptive", &arguments, &mut |_, _| {})?;
    let mut findings = vec![
        Finding::new("pods, most", run.number("/world/peak_replicas")?, "", Target::AtMost(8.0)),
        Finding::new(
            "age, p99",
            run.number("/audit/age_ms/p99")? / 1000.0,
            "s",
            Target::AtMost(5.0),
        ),
    ];
    for (name, pointer) in [("age, p50", "/audit/age_ms/p50"), ("age, max", "/audit/age_ms/max")] {
        findings.push(Finding::new(name, run.number(pointer)? / 1000.0, "s", Target::Told));
    }
    findings.extend(promise(&run)?);
    run.discard()?;
    Ok(findings)
}
