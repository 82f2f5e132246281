//! Work that only the main thread may do: starting processes that the kernel ends
//! together with the thread that started them.

use std::process::{Child, Command};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::Context as _;

type Job = Box<dyn FnOnce() + Send>;

/// Hands work to the main thread. Cheap to clone.
#[derive(Clone)]
pub(crate) struct MainThread(Sender<Job>);

/// What the main thread has to do.
pub(crate) struct Jobs(Receiver<Job>);

pub(crate) fn main_thread() -> (MainThread, Jobs) {
    let (sender, receiver) = channel();
    (MainThread(sender), Jobs(receiver))
}

impl MainThread {
    /// Runs the job there and waits for its answer.
    pub(crate) fn call<T: Send + 'static>(
        &self,
        job: impl FnOnce() -> T + Send + 'static,
    ) -> anyhow::Result<T> {
        let (answer, wait) = channel();
        let job = Box::new(move || drop(answer.send(job())));
        self.0.send(job).ok().context("the main thread has ended")?;
        wait.recv().context("the main thread has ended")
    }

    /// Starts a program that dies with this process, whatever state it is in.
    pub(crate) fn spawn(&self, mut command: Command) -> anyhow::Result<Child> {
        self.call(move || command.spawn())?.context("start a process")
    }
}

impl Jobs {
    /// Works until the thread has ended; returns what it returned.
    pub(crate) fn serve<T>(self, thread: JoinHandle<T>) -> anyhow::Result<T> {
        while !thread.is_finished() {
            match self.0.recv_timeout(Duration::from_millis(20)) {
                Ok(job) => job(),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        thread.join().map_err(|_| anyhow::anyhow!("the suite panicked"))
    }
}
