//! Why a run ends early: a signal, or something that must not happen.

use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use tokio::signal::unix::{SignalKind, signal};

/// How often a wait looks at its condition.
const LOOK: Duration = Duration::from_millis(10);

/// Shared by everybody who waits. Cheap to clone.
#[derive(Clone, Default)]
pub(crate) struct Stop {
    interrupted: Arc<AtomicBool>,
    finding: Arc<OnceLock<String>>,
}

impl Stop {
    /// One that SIGINT and SIGTERM set. A second signal ends the process at once;
    /// its children end with it.
    pub(crate) fn on_signals() -> anyhow::Result<Self> {
        let stop = Self::default();
        let interrupted = Arc::clone(&stop.interrupted);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (mut interrupt, mut terminate) = runtime.block_on(async {
            anyhow::Ok((signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?))
        })?;
        std::thread::Builder::new().name("signals".into()).spawn(move || {
            runtime.block_on(async {
                loop {
                    tokio::select! {
                        _ = interrupt.recv() => {}
                        _ = terminate.recv() => {}
                    }
                    if interrupted.swap(true, SeqCst) {
                        exit_at_once();
                    }
                    crate::say("interrupted: cleaning up (once more to end at once)");
                }
            });
        })?;
        Ok(stop)
    }

    /// Notes something that must not happen; the first one counts.
    pub(crate) fn found(&self, what: impl Into<String>) {
        let what = what.into();
        if self.finding.set(what.clone()).is_ok() {
            crate::say(&format!("FOUND: {what}"));
        }
    }

    pub(crate) fn finding(&self) -> Option<&str> {
        self.finding.get().map(String::as_str)
    }

    pub(crate) fn is_interrupted(&self) -> bool {
        self.interrupted.load(SeqCst)
    }

    /// Whether the run must end.
    pub(crate) fn is_set(&self) -> bool {
        self.is_interrupted() || self.finding().is_some()
    }

    /// Sleeps, but not beyond the end of the run.
    pub(crate) fn sleep(&self, time: Duration) {
        self.wait(time, || None::<()>);
    }

    /// Waits until the condition gives a value, the time is over or the run ends.
    pub(crate) fn wait<T>(
        &self,
        limit: Duration,
        mut condition: impl FnMut() -> Option<T>,
    ) -> Option<T> {
        let deadline = Instant::now() + limit;
        loop {
            if let Some(value) = condition() {
                return Some(value);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() || self.is_set() {
                return None;
            }
            std::thread::sleep(left.min(LOOK));
        }
    }
}

#[allow(clippy::exit)]
fn exit_at_once() -> ! {
    std::process::exit(130)
}
