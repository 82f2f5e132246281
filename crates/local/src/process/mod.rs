//! Child processes that never become orphans.
//!
//! Contract: each child has a process group of its own, so a terminal's Ctrl-C
//! reaches only us. Pods and the producer hold a pipe on stdin: its end tells
//! them that we are gone, in whatever way. A child that cannot watch a pipe (the
//! JVM) is started through [`exec_guarded`], with which the kernel ends it.
//! Signals go to process ids that are verified by their start time, or to a child
//! that was not waited for yet, whose id nobody else can have.
//!
//! Threads: the parent-death signal follows the parent *thread*. Spawn from the
//! main thread, on a current-thread runtime.

mod identity;

pub use identity::Identity;

use std::convert::Infallible;
use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::process::Command;

use rustix::process::{Signal, getppid, set_parent_process_death_signal};

use crate::Error;

/// Becomes the command, which the kernel kills when our parent dies. `parent` is
/// who started us, as it knows itself. Returns only on failure.
///
/// # Errors
/// [`Error::Spawn`] when the program cannot be executed, or when the parent is
/// gone already.
pub fn exec_guarded(parent: u32, command: &[OsString]) -> Error {
    match prepare_guard(parent, command) {
        Ok(never) => match never {},
        Err(error) => error,
    }
}

fn prepare_guard(parent: u32, command: &[OsString]) -> Result<Infallible, Error> {
    let program =
        command.first().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let failed = |source| Error::Spawn { program: program.clone(), source };
    set_parent_process_death_signal(Some(Signal::KILL)).map_err(|errno| failed(errno.into()))?;
    // A parent that died before the request was made sends no signal.
    if getppid().map(|pid| pid.as_raw_nonzero().get().unsigned_abs()) != Some(parent) {
        return Err(failed(std::io::Error::other("the parent process is gone")));
    }
    let arguments = command.get(1..).unwrap_or_default();
    Err(failed(Command::new(&program).args(arguments).exec()))
}
