//! Rescaling under load loses, repeats and reorders nothing.

mod support;

use std::time::Duration;

use support::{Up, is_alive, signal, wait_for};

const MINUTES: Duration = Duration::from_secs(240);

/// The group grows 1→6→12→20 and shrinks →8→2 under 2,000 msg/s on 24 partitions.
#[test]
fn a_group_grows_and_shrinks_under_load() {
    let up = Up::start(&[
        "--rate",
        "2000",
        "--duration",
        "42",
        "--partitions",
        "24",
        "--replicas-path",
        "0:1,7:6,14:12,21:20,28:8,35:2",
        "--batch-processing-time",
        "0.02",
    ]);
    let done = up.finish(MINUTES);
    done.assert_promise_kept();
    assert_eq!(done.number("/audit/sent"), 84_000.0);
    assert_eq!(done.number("/audit/stored"), 84_000.0);
    assert_eq!(done.number("/world/peak_replicas"), 20.0);
}

/// kill -9 of a third of the pods in the middle of the load.
#[test]
fn killed_pods_lose_and_repeat_nothing() {
    let up = Up::start(&[
        "--rate",
        "2000",
        "--duration",
        "25",
        "--partitions",
        "24",
        "--replicas-path",
        "0:9",
        "--batch-processing-time",
        "0.05",
    ]);
    let pods = up.wait_for_ready_pods(9);
    up.wait_for_load();
    for (_, pid) in pods.iter().step_by(3) {
        signal(*pid, "KILL");
    }
    wait_for("the killed pods are replaced", Duration::from_secs(30), || {
        let now = up.ready_pods();
        let fresh = now.iter().filter(|(_, pid)| !pods.iter().any(|(_, old)| old == pid)).count();
        (now.len() == 9 && fresh == 3).then_some(())
    });
    let done = up.finish(MINUTES);
    done.assert_promise_kept();
    assert_eq!(done.number("/world/restarts"), 3.0);
    assert_eq!(done.number("/world/fenced"), 3.0);
}

/// SIGTERM to a pod drains it: it exits by itself and leaves no gap.
#[test]
fn a_terminated_pod_drains() {
    let up = Up::start(&[
        "--rate",
        "1000",
        "--duration",
        "20",
        "--partitions",
        "12",
        "--replicas-path",
        "0:4",
        "--batch-processing-time",
        "0.1",
    ]);
    let pods = up.wait_for_ready_pods(4);
    up.wait_for_load();
    let (_, victim) = pods[1];
    signal(victim, "TERM");
    wait_for("the pod ends", Duration::from_secs(10), || (!is_alive(victim)).then_some(()));
    let done = up.finish(MINUTES);
    done.assert_promise_kept();
    assert_eq!(done.number("/world/fenced"), 0.0, "a clean leaver needs no fencing");
}

/// Regression: a pod that left while an assignment was on its way to it waited for
/// ever, and its partitions stood still until the drain timeout.
#[test]
fn scaling_in_twice_within_a_second_is_prompt() {
    let up = Up::start(&[
        "--rate",
        "1000",
        "--duration",
        "30",
        "--partitions",
        "24",
        "--replicas-path",
        "0:9,5:8,6:4,10:9,14:8,15:4,19:9,23:8,24:4",
        "--batch-processing-time",
        "0.2",
    ]);
    let done = up.finish(MINUTES);
    done.assert_promise_kept();
    assert_eq!(done.number("/world/fenced"), 0.0, "every pod left by itself\n{}", done.log);
    assert!(done.number("/audit/age_ms/max") < 5_000.0, "no partition stood still\n{}", done.log);
}
