//! SIGINT, SIGTERM and a closed stdin, as a future a service can wait for.

use std::io::Read;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::oneshot;

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

/// How long a process whose supervisor is gone may take to finish. Its broker is
/// most likely gone too, and ending at any instant is safe.
const ORPHAN_GRACE: Duration = Duration::from_secs(3);

/// Resolves when stdin reaches its end: the process that holds the other end
/// of the pipe is gone. What arrives before is ignored. The process itself ends
/// [`ORPHAN_GRACE`] later, whatever it is doing then.
///
/// A plain thread reads: tokio's own stdin would keep the runtime from ending.
fn stdin_closed() -> std::io::Result<oneshot::Receiver<()>> {
    let (closed, wait) = oneshot::channel();
    let reader = std::thread::Builder::new().name("stdin".into()).stack_size(64 * 1024);
    reader.spawn(move || {
        let mut ignored = [0u8; 64];
        let mut stdin = std::io::stdin().lock();
        while matches!(stdin.read(&mut ignored), Ok(count) if count > 0) {}
        let _ = closed.send(());
        std::thread::sleep(ORPHAN_GRACE);
        exit_at_once(1);
    })?;
    Ok(wait)
}

/// The stop of a service command: a signal, or (with `watch_stdin`) a closed stdin.
/// A second signal ends the process at once with code 130, so that an impatient
/// Ctrl-C always works. Returns what ended it: `SIGINT`, `SIGTERM` or `stdin closed`.
pub(crate) async fn service_stop(mut signals: StopSignals, watch_stdin: bool) -> &'static str {
    let orphaned = watch_stdin.then(stdin_closed).and_then(|watched| {
        watched.inspect_err(|error| tracing::warn!(%error, "cannot watch stdin")).ok()
    });
    let orphaned = async {
        match orphaned {
            Some(closed) => drop(closed.await),
            None => std::future::pending().await,
        }
    };
    let reason = tokio::select! {
        name = signals.next() => name,
        () = orphaned => "stdin closed",
    };
    tracing::info!(reason, "stopping");
    tokio::spawn(async move {
        signals.next().await;
        exit_at_once(130);
    });
    reason
}

/// A flag that the first signal sets, for work without a runtime; the second ends the
/// process at once with code 130. A thread of its own waits for them.
pub(crate) fn stop_flag() -> std::io::Result<Arc<AtomicBool>> {
    let flag = Arc::new(AtomicBool::new(false));
    let set = flag.clone();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut signals = {
        let _guard = runtime.enter();
        StopSignals::install()?
    };
    std::thread::Builder::new().name("signals".into()).spawn(move || {
        runtime.block_on(async {
            signals.next().await;
            set.store(true, Ordering::Relaxed);
            signals.next().await;
            exit_at_once(130);
        });
    })?;
    Ok(flag)
}

#[allow(clippy::exit)]
fn exit_at_once(code: i32) -> ! {
    std::process::exit(code)
}
