//! What the end-to-end tests share: a running `tidegate up`, its report, its pods.
//!
//! Every test drives the binary from outside, against a broker the binary itself
//! provisioned. Waiting is for conditions with a deadline, never for a while.

#![allow(dead_code, unused_imports)]

mod process;

use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tidegate_load::ledger::Ledger;

pub(crate) use process::{Process, get};

/// The binary under test.
pub(crate) fn tidegate() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tidegate"));
    for name in [
        "KAFKA_BOOTSTRAP_SERVERS",
        "KAFKA_TOPIC",
        "CONSUMER_GROUP",
        "BATCH_SIZE",
        "BATCH_TIMEOUT_SECONDS",
        "MESSAGE_PROCESSING_TIME",
        "BATCH_PROCESSING_TIME",
        "MESSAGES_PER_SECOND",
        "LAG_THRESHOLD",
    ] {
        command.env_remove(name);
    }
    command
}

/// Polls until `condition` gives a value; panics with `what` after `limit`.
pub(crate) fn wait_for<T>(what: &str, limit: Duration, condition: impl FnMut() -> Option<T>) -> T {
    wait(limit, condition).unwrap_or_else(|| panic!("not within {limit:?}: {what}"))
}

/// `None` when it did not come within the limit.
pub(crate) fn wait<T>(limit: Duration, mut condition: impl FnMut() -> Option<T>) -> Option<T> {
    let deadline = Instant::now() + limit;
    loop {
        let found = condition();
        if found.is_some() || Instant::now() >= deadline {
            return found;
        }
        std::thread::park_timeout(Duration::from_millis(50));
    }
}

/// A `tidegate up` in the background with a directory of its own.
pub(crate) struct Up {
    child: Child,
    directory: tempfile::TempDir,
}

impl Up {
    /// Starts it; `arguments` are added to a run directory and a JSON report.
    pub(crate) fn start(arguments: &[&str]) -> Self {
        let directory = tempfile::tempdir().expect("temporary directory");
        let child = Self::command(directory.path(), arguments).spawn().expect("tidegate starts");
        Self { child, directory }
    }

    fn command(directory: &Path, arguments: &[&str]) -> Command {
        let log = std::fs::File::create(directory.join("up.log")).expect("log file");
        let mut command = tidegate();
        command
            .arg("up")
            .arg("--run-dir")
            .arg(directory.join("run"))
            .arg("--json")
            .arg(directory.join("report.json"))
            .arg("--csv")
            .arg(directory.join("series.csv"))
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("log file"))
            .stderr(log);
        command
    }

    pub(crate) fn run_dir(&self) -> PathBuf {
        self.directory.path().join("run")
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.directory.path().join("up.log")).unwrap_or_default()
    }

    /// The live state file, once there is one.
    pub(crate) fn world(&self) -> Option<Value> {
        let text = std::fs::read_to_string(self.run_dir().join("world.json")).ok()?;
        serde_json::from_str(&text).ok()
    }

    /// The pods that are ready now, oldest first: (name, process id).
    pub(crate) fn ready_pods(&self) -> Vec<(String, u32)> {
        let world = self.world().unwrap_or_default();
        let pods = world["pods"].as_array().cloned().unwrap_or_default();
        pods.iter()
            .filter(|pod| pod["state"] == "ready")
            .filter_map(|pod| Some((pod["name"].as_str()?.to_owned(), pod["pid"].as_u64()? as u32)))
            .collect()
    }

    pub(crate) fn wait_for_ready_pods(&self, count: usize) -> Vec<(String, u32)> {
        wait_for(&format!("{count} ready pods\n{}", self.log()), Duration::from_secs(60), || {
            let pods = self.ready_pods();
            (pods.len() >= count).then_some(pods)
        })
    }

    /// Waits until Kafka has acknowledged a record: pods are ready before the load begins.
    pub(crate) fn wait_for_load(&self) {
        wait_for(
            &format!("a record acknowledged\n{}", self.log()),
            Duration::from_secs(60),
            || {
                let ledger = Ledger::read(&self.run_dir().join("ledger")).ok()?;
                (!ledger.acked.is_empty()).then_some(())
            },
        );
    }

    /// Waits for the end and returns its report.
    pub(crate) fn finish(mut self, limit: Duration) -> Finished {
        let status = wait_for(&format!("end of tidegate up\n{}", self.log()), limit, || {
            self.child.try_wait().expect("wait")
        });
        let log = self.log();
        let report = std::fs::read_to_string(self.directory.path().join("report.json"))
            .ok()
            .and_then(|text| serde_json::from_str(&text).ok())
            .unwrap_or_default();
        Finished {
            status,
            report,
            log,
            directory: std::mem::replace(
                &mut self.directory,
                tempfile::tempdir().expect("temporary directory"),
            ),
        }
    }
}

impl Drop for Up {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            signal(self.child.id(), "KILL");
            let _ = self.child.wait();
        }
    }
}

/// A `tidegate up` that ended.
pub(crate) struct Finished {
    pub(crate) status: ExitStatus,
    pub(crate) report: Value,
    pub(crate) log: String,
    pub(crate) directory: tempfile::TempDir,
}

impl Finished {
    /// A number of the report by path, for example `/audit/lost`.
    pub(crate) fn number(&self, path: &str) -> f64 {
        self.report
            .pointer(path)
            .and_then(Value::as_f64)
            .unwrap_or_else(|| panic!("no number at {path} in {:#}\n{}", self.report, self.log))
    }

    /// Everything sent is stored once, in order, and the exit code says so.
    pub(crate) fn assert_promise_kept(&self) {
        assert_eq!(self.status.code(), Some(0), "exit code\n{}", self.log);
        assert!(self.number("/audit/sent") > 0.0, "nothing was sent\n{}", self.log);
        for violation in ["/audit/lost", "/audit/duplicated", "/audit/out_of_order"] {
            assert_eq!(self.number(violation), 0.0, "{violation}\n{}", self.log);
        }
    }
}

/// Sends a signal by name to one process.
pub(crate) fn signal(pid: u32, name: &str) {
    let status = Command::new("kill").arg(format!("-{name}")).arg(pid.to_string()).status();
    assert!(status.expect("kill runs").success(), "kill -{name} {pid}");
}

/// Whether the process exists and is not a zombie.
pub(crate) fn is_alive(pid: u32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat"))
        .is_ok_and(|stat| !stat.rsplit(')').next().unwrap_or("").trim_start().starts_with('Z'))
}
