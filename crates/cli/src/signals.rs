//! SIGINT, SIGTERM and a closed stdin, as a future a service can wait for.

use std::io::Read;

use tokio::signal::unix::{Signal, SignalKind, signal};

/// Both stop signals, installed at construction: none is missed between calls.
pub(crate) struct StopSignals {
    interrupt: Signal,
    terminate: Signal,
}

impl StopSignals {
    pub(crate) fn install() -> std::io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    /// Resolves with the name of the next signal.
    pub(crate) async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.interrupt.recv() => "SIGINT",
            _ = self.terminate.recv() => "SIGTERM",
        }
    }
}

/// Resolves when stdin reaches its end: the process that holds the other end
/// of the pipe is gone. What arrives before is ignored.
///
/// A plain thread reads: tokio's own stdin would keep the runtime from ending.
pub(crate) async fn stdin_closed() {
    let (closed, wait) = tokio::sync::oneshot::channel();
    let reader = std::thread::Builder::new().name("stdin".into()).stack_size(64 * 1024);
    let spawned = reader.spawn(move || {
        let mut ignored = [0u8; 64];
        let mut stdin = std::io::stdin().lock();
        while matches!(stdin.read(&mut ignored), Ok(count) if count > 0) {}
        let _ = closed.send(());
    });
    if let Err(error) = spawned {
        tracing::warn!(%error, "cannot watch stdin");
        std::future::pending::<()>().await;
    }
    let _ = wait.await;
}

/// The stop of a service command: a signal, or (with `watch_stdin`) a closed stdin.
/// A second signal ends the process at once with code 130, so that an impatient
/// Ctrl-C always works.
pub(crate) async fn service_stop(mut signals: StopSignals, watch_stdin: bool) {
    let reason = tokio::select! {
        name = signals.next() => name,
        () = stdin_closed(), if watch_stdin => "stdin closed",
    };
    tracing::info!(reason, "stopping");
    tokio::spawn(async move {
        signals.next().await;
        exit_at_once();
    });
}

#[allow(clippy::exit)]
fn exit_at_once() -> ! {
    std::process::exit(130)
}
