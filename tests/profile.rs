//! `tidegate profile` on a real broker: what it measures is what was set up, and the
//! scenario it writes is simulated.

mod support;

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use support::{tidegate, wait_for};

/// Command lines of all processes that name a directory.
fn processes_naming(directory: &Path) -> Vec<String> {
    let name = directory.to_str().expect("utf-8");
    let command_line = |entry: std::fs::DirEntry| {
        let text = std::fs::read(entry.path().join("cmdline")).ok()?;
        let text = String::from_utf8_lossy(&text).replace('\0', " ");
        text.contains(name).then_some(text)
    };
    std::fs::read_dir("/proc").expect("/proc").flatten().filter_map(command_line).collect()
}

/// Batches that take 50 ms, whatever their size, as measured through Kafka, pod and SQLite.
#[test]
fn a_measured_scenario_says_what_a_batch_takes_and_is_simulated() {
    let files = tempfile::tempdir().expect("temporary directory");
    let (run_dir, scenario) = (files.path().join("run"), files.path().join("scenario.toml"));
    let output = tidegate()
        .args(["profile", "--quick", "--batch-size", "50", "--batch-processing-time", "0.05"])
        .args(["--partitions", "4", "--json", "--run-dir"])
        .arg(&run_dir)
        .arg("--output")
        .arg(&scenario)
        .output()
        .expect("tidegate runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let measured: serde_json::Value = serde_json::from_slice(&output.stdout).expect("json");
    let number =
        |path: &str| measured.pointer(path).and_then(serde_json::Value::as_f64).expect(path);

    // The write itself comes on top of the 50 ms; a loaded machine adds some.
    let fixed_s = number("/curve/fixed_s");
    assert!((0.045..0.15).contains(&fixed_s), "{measured}");
    assert!(number("/curve/record_s") < 0.002, "{measured}");
    let rate = number("/rate_per_s");
    assert!(rate < 50.0 / 0.05 && rate > 50.0 / 0.3, "{measured}");
    assert_eq!(measured["points"].as_array().map(Vec::len), Some(3), "{measured}");
    for start in measured["start_s"].as_array().expect("starts") {
        assert!(start.as_f64().is_some_and(|s| s > 0.0 && s < 60.0), "{measured}");
    }
    let rebalances = measured["rebalances"].as_array().expect("two joins");
    assert_eq!(rebalances.len(), 2, "{measured}");
    for join in rebalances {
        let of = |name: &str| join[name].as_f64().expect(name);
        // A record waits for its batch and its commit, join or not.
        assert!(of("usual_s") >= 0.05 && of("usual_s") < 30.0, "{measured}");
        assert!(of("flow_s") >= 0.05 && of("flow_s") < 60.0, "{measured}");
        assert!(of("rest_s") <= of("flow_s") + 1.0, "{measured}");
    }
    assert!(measured["is_kip848"].as_bool().expect("a protocol"));

    let simulated = tidegate()
        .args(["simulate", "--json", "--scaled-object", "local", "--scenario"])
        .arg(&scenario)
        .output()
        .expect("tidegate runs");
    assert!(simulated.status.success(), "{simulated:?}");
    let summary: serde_json::Value = serde_json::from_slice(&simulated.stdout).expect("json");
    let capacity = summary["pod_capacity_per_s"].as_f64().expect("a capacity");
    assert!((capacity / rate - 1.0).abs() < 0.5, "{capacity} and {rate}");
    assert_eq!(processes_naming(files.path()), Vec::<String>::new());
}

/// A pod that cannot open its database does not become ready by being started again.
#[test]
fn a_database_that_cannot_be_opened_ends_it_at_once_with_the_cause() {
    let files = tempfile::tempdir().expect("temporary directory");
    let output = tidegate()
        .args(["profile", "--quick", "--partitions", "4", "--database"])
        .args(["sqlite:/nonexistent/x.db", "--run-dir"])
        .arg(files.path().join("run"))
        .output()
        .expect("tidegate runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    let last = said.lines().last().unwrap_or_default();
    assert!(last.contains("ended by itself: ") && last.contains("/nonexistent/x.db"), "{said}");
    assert!(!said.contains("was ready not within"), "{said}");
}

#[test]
fn a_scenario_that_could_not_be_read_back_is_not_measured() {
    for (name, toml) in [("x.yaml", "x.toml"), ("a.b.YML", "a.b.toml")] {
        let output = tidegate().args(["profile", "--output", name]).output().expect("runs");
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{said}");
        let expected = format!("--output {name}: a scenario is written as TOML: {toml}");
        assert!(said.contains(&expected), "{said}");
    }
}

#[test]
fn an_interrupt_stops_everything_and_writes_nothing() {
    let files = tempfile::tempdir().expect("temporary directory");
    let (run_dir, scenario) = (files.path().join("run"), files.path().join("scenario.toml"));
    let mut child = tidegate()
        .args(["profile", "--run-dir"])
        .arg(&run_dir)
        .arg("--output")
        .arg(&scenario)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("tidegate starts");
    let pods =
        || processes_naming(files.path()).iter().filter(|line| line.contains(" consume ")).count();
    wait_for("a pod runs", Duration::from_secs(120), || (pods() > 0).then_some(()));
    support::signal(child.id(), "INT");
    let status = child.wait().expect("it ends");
    assert_eq!(status.code(), Some(130));
    assert!(!scenario.exists());
    // A pod that was in a batch finds its pipe closed and goes.
    wait_for("nothing is left", Duration::from_secs(20), || {
        processes_naming(files.path()).is_empty().then_some(())
    });
}
