//! A child that prints JSON lines and stops when its stdin closes.

use std::ffi::OsString;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};

use rustix::process::Signal;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{ChildStdin, Command};
use tokio::sync::mpsc::UnboundedSender;

use crate::Error;
use crate::process::Identity;

/// A program with its arguments and environment; nothing else is inherited from
/// our environment but what the system needs.
#[derive(Debug, Clone, Default)]
pub struct CommandTemplate {
    /// Program.
    pub program: PathBuf,
    /// Arguments.
    pub args: Vec<OsString>,
    /// Variables set on top of the inherited ones.
    pub env: Vec<(OsString, OsString)>,
    /// Variables taken away.
    pub env_remove: Vec<OsString>,
}

/// What happens to a child.
#[derive(Debug)]
pub(crate) enum ChildEvent {
    /// It printed a line.
    Line(String),
    /// It ended.
    Exited(ExitStatus),
}

/// A running child; dropping it closes its stdin.
#[derive(Debug)]
pub(crate) struct ChildProcess {
    pid: u32,
    /// The runtime waits for it: its id may be somebody else's before we are told. `None`
    /// if it ended at once.
    identity: Option<Identity>,
    /// Its end tells the child that we are gone.
    _stdin: Option<ChildStdin>,
}

impl ChildProcess {
    /// Starts it; `tell` gets its lines, in order, and at last its end. Must be
    /// called on the main thread, inside a current-thread runtime.
    pub(crate) fn spawn<K: Clone + Send + 'static>(
        template: &CommandTemplate,
        log: &Path,
        key: K,
        tell: UnboundedSender<(K, ChildEvent)>,
    ) -> Result<Self, Error> {
        let program = template.program.display().to_string();
        let log_file =
            File::options().create(true).append(true).open(log).map_err(Error::file(log))?;
        let mut command = Command::new(&template.program);
        command
            .args(&template.args)
            .envs(template.env.iter().cloned())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log_file)
            .process_group(0);
        for name in &template.env_remove {
            command.env_remove(name);
        }
        let mut child =
            command.spawn().map_err(|source| Error::Spawn { program: program.clone(), source })?;
        let pid = child.id().unwrap_or_default();
        let identity = Identity::of(pid);
        let stdin = child.stdin.take();
        let stdout = child.stdout.take();
        tokio::spawn(async move {
            if let Some(stdout) = stdout {
                let mut lines = BufReader::new(stdout).lines();
                while let Ok(Some(line)) = lines.next_line().await {
                    let _ = tell.send((key.clone(), ChildEvent::Line(line)));
                }
            }
            if let Ok(status) = child.wait().await {
                let _ = tell.send((key, ChildEvent::Exited(status)));
            }
        });
        Ok(Self { pid, identity, _stdin: stdin })
    }

    pub(crate) fn pid(&self) -> u32 {
        self.pid
    }

    pub(crate) fn terminate(&self) {
        self.signal(Signal::TERM);
    }

    pub(crate) fn kill(&self) {
        self.signal(Signal::KILL);
    }

    fn signal(&self, signal: Signal) {
        if let Some(identity) = self.identity {
            identity.signal(signal);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt as _;

    use super::*;

    #[test]
    fn a_process_that_got_the_id_afterwards_gets_no_signal() {
        let mut other = std::process::Command::new("sleep").arg("60").spawn().expect("spawns");
        let pid = other.id();
        let now = Identity::of(pid).expect("runs");
        let before = Identity { start_ticks: now.start_ticks - 1, ..now };
        let gone = ChildProcess { pid, identity: Some(before), _stdin: None };
        gone.kill();
        // Had it got the first one, it would not end of this one.
        ChildProcess { identity: Some(now), ..gone }.terminate();
        let status = other.wait().expect("waits");
        assert_eq!(status.signal(), Some(Signal::TERM.as_raw()));
    }
}
