//! `tidegate up` into a real PostgreSQL keeps the promise.

mod support;

use std::time::Duration;

use serde_json::Value;
use support::{Up, signal, tidegate, wait_for};
use tidegate_pgtest::Server;

const MINUTES: Duration = Duration::from_secs(240);
const LOAD: &[&str] = &[
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
];

fn up(server: &Server, database: &str) -> Up {
    server.create_database(database).expect("creates");
    let url = server.url(database);
    let arguments: Vec<&str> = LOAD.iter().copied().chain(["--database", &url]).collect();
    Up::start(&arguments)
}

/// kill -9 of a third of the pods in the middle of the load.
#[test]
fn killed_pods_lose_and_repeat_nothing_in_postgres() {
    let server = Server::start(&[]).expect("a PostgreSQL server");
    let up = up(&server, "pods");
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
    assert_eq!(done.number("/audit/stored"), 50_000.0);
    assert_eq!(server.psql("pods", "SELECT count(*) FROM trades").expect("counts"), "50000");

    // The audit alone says the same, and the database is not used twice.
    let ledger = done.directory.path().join("run/ledger");
    let audit = tidegate()
        .args(["audit", "--json", "--database", &server.url("pods"), "--ledger"])
        .arg(ledger)
        .output()
        .expect("audit runs");
    assert_eq!(audit.status.code(), Some(0));
    let report: Value = serde_json::from_slice(&audit.stdout).expect("audit prints JSON");
    assert_eq!(report["stored"], 50_000);
    let again = tidegate().args(["up", "--database", &server.url("pods")]).output().expect("runs");
    assert_eq!(again.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&again.stderr).contains("exists already"));
}

/// SIGKILL of the database in the middle of the load: the pods hold back and go on.
#[test]
fn a_killed_database_loses_and_repeats_nothing() {
    let mut server = Server::start(&[]).expect("a PostgreSQL server");
    let up = up(&server, "server");
    up.wait_for_ready_pods(9);
    wait_for("rows are stored", Duration::from_secs(30), || {
        let rows = server.psql("server", "SELECT count(*) FROM trades").ok()?;
        rows.parse::<u64>().is_ok_and(|rows| rows > 5_000).then_some(())
    });
    server.kill().expect("kills");
    server.start_again().expect("recovers");
    let done = up.finish(MINUTES);
    done.assert_promise_kept();
    assert_eq!(done.number("/audit/stored"), 50_000.0);
    assert_eq!(done.number("/world/restarts"), 0.0, "no pod ends with its database");
}
