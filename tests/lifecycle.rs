//! However `tidegate up` ends: no orphans, a consistent database, a clean next start.

mod support;

use std::time::Duration;

use serde_json::Value;
use support::{Up, get, is_alive, signal, tidegate, wait_for};

const LIMIT: Duration = Duration::from_secs(120);
const LOAD: &[&str] = &[
    "--rate",
    "500",
    "--duration",
    "60",
    "--partitions",
    "8",
    "--replicas-path",
    "0:3",
    "--batch-processing-time",
    "0.1",
];

/// Every process id the world file names, with the binary itself left out.
fn children(world: &Value) -> Vec<u32> {
    fn collect(value: &Value, pids: &mut Vec<u32>) {
        match value {
            Value::Object(fields) => {
                for (name, field) in fields {
                    match (name.as_str(), field.as_u64()) {
                        ("pid", Some(pid)) => pids.push(pid as u32),
                        _ => collect(field, pids),
                    }
                }
            }
            Value::Array(items) => items.iter().for_each(|item| collect(item, pids)),
            _ => {}
        }
    }
    let mut pids = Vec::new();
    collect(world, &mut pids);
    pids
}

fn running(up: &Up) -> Vec<u32> {
    up.wait_for_ready_pods(3);
    up.wait_for_load();
    let own = up.id();
    let pids: Vec<u32> =
        children(&up.world().expect("world.json")).into_iter().filter(|pid| *pid != own).collect();
    assert!(pids.len() >= 5, "broker, producer and three pods, found {pids:?}");
    assert!(pids.iter().all(|pid| is_alive(*pid)), "{pids:?}");
    pids
}

fn wait_until_gone(pids: &[u32], limit: Duration) {
    wait_for(&format!("{pids:?} gone"), limit, || {
        pids.iter().all(|pid| !is_alive(*pid)).then_some(())
    });
}

#[test]
fn one_interrupt_drains_audits_and_exits_zero() {
    let up = Up::start(LOAD);
    let pids = running(&up);
    signal(up.id(), "INT");
    let done = up.finish(LIMIT);
    done.assert_promise_kept();
    wait_until_gone(&pids, Duration::from_secs(5));
}

#[test]
fn a_second_interrupt_ends_it_at_once_without_orphans() {
    let up = Up::start(LOAD);
    let pids = running(&up);
    signal(up.id(), "INT");
    wait_for("the first interrupt is acknowledged", Duration::from_secs(10), || {
        up.log().to_lowercase().contains("interrupt").then_some(())
    });
    signal(up.id(), "INT");
    let done = up.finish(Duration::from_secs(10));
    assert_eq!(done.status.code(), Some(130), "{}", done.log);
    wait_until_gone(&pids, Duration::from_secs(5));
}

#[test]
fn kill_9_leaves_no_orphans_and_a_consistent_database() {
    let up = Up::start(LOAD);
    let pids = running(&up);
    let run_dir = up.run_dir();
    signal(up.id(), "KILL");
    wait_until_gone(&pids, Duration::from_secs(10));

    let database = format!("sqlite:{}", run_dir.join("trades.db").display());
    let output = tidegate()
        .args(["audit", "--json", "--database", &database, "--ledger"])
        .arg(run_dir.join("ledger"))
        .output()
        .expect("audit runs");
    let report: Value = serde_json::from_slice(&output.stdout).expect("audit prints JSON");
    assert_eq!(report["duplicated"], 0, "{report:#}");
    assert_eq!(report["out_of_order"], 0, "{report:#}");
    drop(up);

    let next = Up::start(&[
        "--rate",
        "200",
        "--duration",
        "3",
        "--partitions",
        "4",
        "--replicas-path",
        "0:1",
        "--batch-processing-time",
        "0.01",
    ]);
    next.finish(LIMIT).assert_promise_kept();
}

#[test]
fn the_running_world_can_be_looked_at() {
    let up = Up::start(&["--rate", "300", "--duration", "30", "--partitions", "6"]);
    up.wait_for_ready_pods(1);
    let table =
        tidegate().args(["get", "hpa", "--run-dir"]).arg(up.run_dir()).output().expect("get");
    let table = String::from_utf8(table.stdout).expect("utf-8");
    let mut lines = table.lines();
    let header: Vec<&str> = lines.next().unwrap_or_default().split_whitespace().collect();
    assert_eq!(
        header,
        ["NAME", "REFERENCE", "TARGETS", "MINPODS", "MAXPODS", "REPLICAS", "AGE"],
        "{table}"
    );
    let row = lines.next().unwrap_or_default();
    assert!(row.starts_with("keda-hpa-"), "{table}");
    assert!(row.contains("Deployment/trade-tx-consumer"), "{table}");
    up.wait_for_load();
    signal(up.id(), "INT");
    up.finish(LIMIT).assert_promise_kept();
}

/// The page's data are the seconds of the series, with the decisions that changed the pods.
#[test]
fn the_dashboard_shows_the_running_world() {
    let up = Up::start(&[
        "--dashboard",
        "--law",
        "slo",
        "--target-age",
        "3",
        "--rate",
        "300",
        "--duration",
        "12",
        "--partitions",
        "8",
    ]);
    let address = wait_for("the address of the page", LIMIT, || {
        let log = up.log();
        let (_, rest) = log.split_once("dashboard http://")?;
        Some(rest.split_once('/')?.0.to_owned())
    });
    assert!(address.starts_with("127.0.0.1:"), "{address}");
    let (code, page) = get(&address, "/").expect("answers");
    assert_eq!(code, 200);
    assert!(page.contains("data-live=\"/data.json\"") && page.contains("law: slo"), "{page}");
    let mut seen = Value::Null;
    wait_for("pods, records and their age", LIMIT, || {
        let (_, body) = get(&address, "/data.json")?;
        seen = serde_json::from_str(&body).expect("JSON");
        let any = |key: &str| {
            let values = seen[key].as_array()?;
            values.iter().any(|value| value.as_f64() > Some(0.0)).then_some(())
        };
        for key in ["arrival", "processed", "age", "desired", "ready"] {
            any(key)?;
        }
        Some(())
    });
    assert_eq!(seen["promise_s"], 3.0);
    let change = &seen["decisions"][0];
    assert!(change["to"].as_i64() > change["from"].as_i64(), "{seen}");
    assert!(change["why"].as_str().is_some_and(|why| why.starts_with("SLO: ")), "{seen}");

    let done = up.finish(LIMIT);
    done.assert_promise_kept();
    assert!(get(&address, "/").is_none(), "the page ends with the world");
    let series = done.directory.path().join("series.csv");
    let series = std::fs::read_to_string(series).expect("series");
    let desired: Vec<i64> = series
        .lines()
        .skip(1)
        .map(|line| line.split(',').nth(6).and_then(|text| text.parse().ok()).expect(line))
        .collect();
    let shown: Vec<i64> =
        seen["desired"].as_array().expect("a list").iter().filter_map(Value::as_i64).collect();
    assert_eq!(shown, desired[..shown.len()], "what was shown is what was kept");
}

#[test]
fn without_a_world_get_says_so() {
    let nowhere = tempfile::tempdir().expect("temporary directory");
    let output =
        tidegate().args(["get", "hpa", "--run-dir"]).arg(nowhere.path()).output().expect("get");
    assert_eq!(output.status.code(), Some(1));
    let line = String::from_utf8(output.stderr).expect("utf-8");
    assert_eq!(line.lines().count(), 1, "{line}");
    assert!(line.contains("tidegate up"), "{line}");
}
