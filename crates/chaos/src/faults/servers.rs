//! Broker and database server.

use std::time::Duration;

use rustix::process::Signal;
use serde_json::json;

use super::{Outcome, World};
use crate::pods::{send, state};

const AT_ONCE: Duration = Duration::from_secs(5);

/// How the database server ends.
#[derive(Debug, Clone, Copy)]
pub(super) enum How {
    /// By a signal to its main process, which ends the others.
    Signal(&'static str),
    /// SIGKILL of all its processes.
    Kill,
}

pub(super) fn kill_broker(world: &World, down: Duration) -> anyhow::Result<Outcome> {
    let Ok(_claim) = world.servers.broker_claim.try_lock() else { return Ok(Outcome::nobody()) };
    let old = world.servers.broker_pid();
    let started = std::time::Instant::now();
    world.servers.kill_broker();
    let gone = matches!(state(old), None | Some('Z'));
    world.stop.sleep(down);
    world.servers.restart_broker()?;
    let new = world.servers.broker_pid();
    let seen = json!({ "down_ms": started.elapsed().as_millis() as u64 });
    Ok(Outcome::seen(gone && new != old, seen))
}

pub(super) fn pause_broker(world: &World, time: Duration) -> anyhow::Result<Outcome> {
    let Ok(_claim) = world.servers.broker_claim.try_lock() else { return Ok(Outcome::nobody()) };
    let pid = world.servers.broker_pid();
    let is_stopped = || state(pid) == Some('T');
    send(pid, Signal::STOP);
    let stopped = world.stop.wait(AT_ONCE, || is_stopped().then_some(())).is_some();
    world.stop.sleep(time);
    let still = is_stopped();
    send(pid, Signal::CONT);
    let goes_on = world.stop.wait(AT_ONCE, || (!is_stopped()).then_some(())).is_some();
    Ok(Outcome::seen(stopped && still && goes_on, json!({ "stopped": stopped && still })))
}

pub(super) fn stop_database(world: &World, how: How, down: Duration) -> anyhow::Result<Outcome> {
    let Some(mut server) = world.servers.claim_postgres() else { return Ok(Outcome::nobody()) };
    let Some(old) = server.pid() else { return Ok(Outcome::nobody()) };
    let started = std::time::Instant::now();
    match how {
        How::Signal(signal) => server.shut_down(signal)?,
        How::Kill => server.kill()?,
    }
    let gone = server.pid().is_none();
    world.stop.sleep(down);
    server.start_again()?;
    let new = server.pid();
    let seen = json!({ "down_ms": started.elapsed().as_millis() as u64 });
    Ok(Outcome::seen(gone && new.is_some_and(|new| new != old), seen))
}
