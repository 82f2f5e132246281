//! A process of ours in the background, and its pages.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::{signal, wait_for};

/// Killed and waited for when dropped.
pub(crate) struct Process {
    child: Child,
    files: PathBuf,
}

impl Process {
    /// Its stdout goes to `NAME.out` in the directory, its stderr to `NAME.log`, behind
    /// what an earlier one of this name has written.
    pub(crate) fn start(mut command: Command, directory: &Path, name: &str) -> Self {
        let files = directory.join(name);
        let open = |kind: &str| {
            let file = files.with_extension(kind);
            File::options().create(true).append(true).open(file).expect("file")
        };
        command.stdin(Stdio::null()).stdout(open("out")).stderr(open("log"));
        Self { child: command.spawn().expect("starts"), files }
    }

    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.files.with_extension("log")).unwrap_or_default()
    }

    /// The last line of `--report`.
    pub(crate) fn report(&self) -> Value {
        let text = std::fs::read_to_string(self.files.with_extension("out")).unwrap_or_default();
        let complete = text.rfind('\n').map_or("", |end| &text[..end]);
        serde_json::from_str(complete.lines().last().unwrap_or("{}")).unwrap_or_default()
    }

    /// Its partitions, as the last report says.
    pub(crate) fn assigned(&self) -> Vec<i64> {
        let report = self.report();
        report["assigned"].as_array().into_iter().flatten().filter_map(Value::as_i64).collect()
    }

    pub(crate) fn signal(&self, name: &str) {
        signal(self.child.id(), name);
    }

    pub(crate) fn assert_running(&mut self) {
        let ended = self.child.try_wait().expect("wait");
        assert!(ended.is_none(), "{ended:?}\n{}", self.log());
    }

    /// Waits for a condition while it runs; its log is shown if it is not met.
    pub(crate) fn wait_until(
        &mut self,
        what: &str,
        limit: Duration,
        mut is_met: impl FnMut() -> bool,
    ) {
        let deadline = Instant::now() + limit;
        while !is_met() {
            self.assert_running();
            assert!(Instant::now() < deadline, "{what}\n{}", self.log());
            std::thread::park_timeout(Duration::from_millis(50));
        }
    }

    /// Waits until it ends by itself.
    pub(crate) fn ended(&mut self, limit: Duration) -> ExitStatus {
        wait_for("the process ends", limit, || self.child.try_wait().expect("wait"))
    }

    /// Ends it by a signal, and expects that it drained; returns its log.
    pub(crate) fn drain(mut self, name: &str, limit: Duration) -> String {
        self.signal(name);
        let status = self.ended(limit);
        let log = self.log();
        assert!(status.success(), "{status}\n{log}");
        log
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

/// Status and body of a page; `None` while nobody answers.
pub(crate) fn get(address: &str, path: &str) -> Option<(u16, String)> {
    let mut stream = TcpStream::connect(address).ok()?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).ok()?;
    let mut text = String::new();
    stream.read_to_string(&mut text).ok()?;
    let (head, body) = text.split_once("\r\n\r\n")?;
    Some((head.get(9..12)?.parse().ok()?, body.to_owned()))
}
