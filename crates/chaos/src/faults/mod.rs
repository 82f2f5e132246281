//! Carries a fault out, and says whether it took effect.
//!
//! Contract: each runs on a thread of its own, heals what it broke before it returns,
//! and reports an effect only when it saw one: a process that is gone, a packet
//! that was held, a connection that has ended. An error is the suite's, not a finding.
//!
//! # Layout
//! - `pods`: processes killed, stopped, drained, added
//! - `servers`: broker and database server
//! - `sessions`: what an administrator or another client does to the database
//! - `network`: what the proxies do

mod network;
mod pods;
mod servers;
mod sessions;

use std::time::Duration;

use serde_json::{Value, json};

use crate::plan::Fault;
use crate::pods::Pods;
use crate::servers::Servers;
use crate::stop::Stop;
use crate::store::Store;

pub(crate) use pods::drained;

/// A draining pod that is not gone by then is a finding.
pub(crate) const DRAIN_LIMIT: Duration = Duration::from_secs(30);

/// What faults act upon.
pub(crate) struct World {
    pub(crate) stop: Stop,
    pub(crate) servers: Servers,
    pub(crate) pods: Pods,
    pub(crate) store: Store,
}

/// What a fault did.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// Whether it counts.
    pub(crate) took_effect: bool,
    /// What was seen.
    pub(crate) seen: Value,
}

impl Outcome {
    fn seen(took_effect: bool, seen: Value) -> Self {
        Self { took_effect, seen }
    }

    fn nobody() -> Self {
        Self::seen(false, json!({ "why": "nobody to hit" }))
    }
}

/// Carries it out; returns when it is over.
pub(crate) fn apply(world: &World, fault: &Fault) -> anyhow::Result<Outcome> {
    match *fault {
        Fault::PodKill { pod, back_after_ms } => pods::kill(world, pod, millis(back_after_ms)),
        Fault::PodPause { pod, for_ms } => pods::pause(world, pod, millis(for_ms), false),
        Fault::PodZombie { pod, for_ms } => pods::pause(world, pod, millis(for_ms), true),
        Fault::PodTerm { pod, back_after_ms } => pods::term(world, pod, millis(back_after_ms)),
        Fault::ScaleUp { pods } => pods::scale_up(world, pods),
        Fault::ScaleDown { pods } => pods::scale_down(world, pods),
        Fault::BrokerKill { down_ms } => servers::kill_broker(world, millis(down_ms)),
        Fault::BrokerPause { for_ms } => servers::pause_broker(world, millis(for_ms)),
        Fault::DatabaseImmediate { down_ms } => {
            servers::stop_database(world, servers::How::Signal("QUIT"), millis(down_ms))
        }
        Fault::DatabaseRestart { down_ms } => {
            servers::stop_database(world, servers::How::Signal("INT"), millis(down_ms))
        }
        Fault::DatabaseKill { down_ms } => {
            servers::stop_database(world, servers::How::Kill, millis(down_ms))
        }
        Fault::SessionsTerminated => sessions::terminate(world),
        Fault::DatabaseReadOnly { for_ms } => sessions::read_only(world, millis(for_ms)),
        Fault::DatabaseLocked { for_ms } => sessions::lock(world, millis(for_ms)),
        Fault::Cut { service, share, ending } => network::cut(world, service, share, ending),
        Fault::HalfOpen { service, share } => network::half_open(world, service, share),
        Fault::AnswersLost { service, share, for_ms } => {
            network::lose_answers(world, service, share, millis(for_ms))
        }
        Fault::Slow { service, delay_ms, for_ms } => {
            network::slow(world, service, delay_ms, millis(for_ms))
        }
        Fault::Stall { service, for_ms } => network::stall(world, service, millis(for_ms)),
        Fault::Flap { service, times, down_ms, up_ms } => {
            network::flap(world, service, times, millis(down_ms), millis(up_ms))
        }
    }
}

fn millis(ms: u64) -> Duration {
    Duration::from_millis(ms)
}
