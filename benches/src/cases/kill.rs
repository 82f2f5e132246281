//! kill -9 of 3 of 8 pods: how long their partitions stand still.

use std::process::Command;

use anyhow::{Context, ensure};

use super::promise;
use crate::findings::{Finding, Target};
use crate::run::Bench;

const KILL_AT_S: f64 = 12.0;
const VICTIMS: [&str; 3] = ["consumer-2", "consumer-5", "consumer-7"];

pub(super) fn run(bench: &Bench) -> anyhow::Result<Vec<Finding>> {
    let mut killed_at_ms = None;
    let mut orphaned: Vec<i32> = Vec::new();
    let arguments = [
        "--rate",
        "2000",
        "--duration",
        "25",
        "--partitions",
        "24",
        "--replicas-path",
        "0:8",
        "--batch-processing-time",
        "0",
    ];
    let run = bench.up("kill", &arguments, &mut |now_s, world| {
        let pods = world["pods"].as_array().cloned().unwrap_or_default();
        let settled = pods.iter().filter(|pod| pod["state"] == "ready").count() == 8;
        if killed_at_ms.is_some() || now_s < KILL_AT_S || !settled {
            return;
        }
        let victims = pods.iter().filter(|pod| VICTIMS.iter().any(|name| pod["name"] == *name));
        let mut pids = Vec::new();
        for victim in victims {
            pids.extend(victim["pid"].as_u64().map(|pid| pid.to_string()));
            let owned = victim["report"]["assigned"].as_array().into_iter().flatten();
            orphaned.extend(owned.filter_map(|partition| Some(partition.as_i64()? as i32)));
        }
        killed_at_ms = Some(jiff::Timestamp::now().as_millisecond());
        let _ = Command::new("kill").arg("-9").args(pids).status();
    })?;

    let killed_at_ms = killed_at_ms.context("the pods were never all ready")?;
    ensure!(orphaned.len() >= 6, "the victims owned only {orphaned:?}");
    let events = run.events()?;
    // A partition has moved when a pod that was not killed reports it.
    let moved_ms = orphaned
        .iter()
        .map(|partition| {
            events
                .iter()
                .filter(|event| event.event == "assigned" && event.t_ms > killed_at_ms)
                .filter(|event| !VICTIMS.contains(&event.subject.as_str()))
                .find(|event| event.partitions.as_ref().is_some_and(|all| all.contains(partition)))
                .map(|event| event.t_ms - killed_at_ms)
        })
        .collect::<Option<Vec<i64>>>()
        .context("a partition never moved")?;
    let moved_s = moved_ms.iter().copied().max().unwrap_or(0) as f64 / 1000.0;
    let stored_s = run
        .timeline
        .first_commit_after(killed_at_ms, &orphaned)
        .into_iter()
        .collect::<Option<Vec<i64>>>()
        .context("a partition stored nothing more")?
        .into_iter()
        .max()
        .unwrap_or(0) as f64
        / 1000.0;

    let mut findings = vec![
        Finding::new("partitions of the killed", orphaned.len() as f64, "", Target::Told),
        Finding::new("all of them moved after", moved_s, "s", Target::AtMost(0.5)),
        Finding::new("each of them stored again after", stored_s, "s", Target::Told),
        Finding::new("fenced", run.number("/world/fenced")?, "pods", Target::Exactly(3.0)),
        Finding::new("greatest age", run.number("/audit/age_ms/max")? / 1000.0, "s", Target::Told),
    ];
    findings.extend(promise(&run)?);
    run.discard()?;
    Ok(findings)
}
