//! What a rescale costs those who wait.

use super::{path_text, promise};
use crate::findings::{Finding, Target};
use crate::run::Bench;
use crate::steps::steps;

pub(super) struct Plan {
    name: &'static str,
    partitions: &'static str,
    rate: &'static str,
    duration: &'static str,
    path: &'static [(i64, i64)],
}

pub(super) const SMALL: Plan = Plan {
    name: "rescale24",
    partitions: "24",
    rate: "2000",
    duration: "60",
    path: &[(0, 1), (10, 6), (20, 12), (30, 20), (40, 8), (50, 2)],
};

pub(super) const LARGE: Plan = Plan {
    name: "rescale100",
    partitions: "100",
    rate: "5000",
    duration: "70",
    path: &[(0, 10), (10, 20), (20, 30), (30, 50), (40, 90), (50, 60), (60, 30)],
};

pub(super) fn run(bench: &Bench, plan: &Plan) -> anyhow::Result<Vec<Finding>> {
    let path = path_text(plan.path);
    let arguments = [
        "--rate",
        plan.rate,
        "--duration",
        plan.duration,
        "--partitions",
        plan.partitions,
        "--replicas-path",
        &path,
        "--batch-processing-time",
        "0",
    ];
    let run = bench.up(plan.name, &arguments, &mut |_, _| {})?;
    let mut findings = Vec::new();
    for step in steps(plan.path, &run.events()?, &run.timeline) {
        let name = |what: &str| format!("{} → {} pods: {what}", step.from, step.to);
        findings.extend([
            Finding::new(name("settled after"), step.settled_s, "s", Target::AtMost(1.1)),
            Finding::new(
                name("worst second, of the load"),
                step.worst_second_pct,
                "%",
                Target::AtLeast(80.0),
            ),
            Finding::new(
                name("worst 3 s, of the load"),
                step.worst_3s_pct,
                "%",
                Target::AtLeast(95.0),
            ),
            Finding::new(name("greatest age"), step.max_age_s, "s", Target::AtMost(1.5)),
        ]);
    }
    findings.extend(promise(&run)?);
    run.discard()?;
    Ok(findings)
}
