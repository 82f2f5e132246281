//! A consumer group member: one thread that polls, one channel that tells.
//!
//! Contract: everything that happens to a partition (assignment, records,
//! revocation, loss) reaches the engine through one bounded channel, in the order
//! in which it happened. Positions the engine hands to [`GroupHandle::commit`] are
//! committed by the poll thread, coalesced, and only while the partition is owned. Nobody waits
//! for a coordinator that does not answer: the positions that count are in the sink.
//!
//! Threads: one OS thread owns the client for its whole life: it polls, runs the
//! rebalance callbacks, commits, and closes. The engine's tasks only hold the
//! handle. While a callback waits for the engine, the client keeps up heartbeats.
//! Records are read by [`crate::fetch`], on threads of its own; the client's own fetching
//! is paused from the moment of an assignment.
//!
//! Rejected: `StreamConsumer` (callbacks on runtime threads, lost wake-ups); the client's
//! own fetching (ADR 033); not polling as backpressure (a rebalance would wait for the writer).

mod callbacks;
mod close;
mod commit;
mod commits;
mod context;
mod events;
mod handle;
mod kip_848;
mod options;
mod recovery;
mod rejoin;
#[cfg(test)]
mod tests;
mod thread;

pub use events::{AssignReply, GroupEvent, RevokeReply};
pub(crate) use handle::Shared;
pub use handle::{GroupHandle, GroupStatus};
pub use options::{GroupOptions, GroupProtocol};

use std::sync::Arc;

use tokio::sync::mpsc;

use crate::fetch::Fetcher;
use crate::{Error, probe};

/// Events in flight between the poll thread and the engine; each may carry a
/// chunk of records, whose number the buffer marks bound.
const CHANNEL_CAPACITY: usize = 64;

/// Starts group members.
#[derive(Debug)]
pub struct GroupConsumer;

impl GroupConsumer {
    /// Joins the group on a thread of its own. `Auto` asks the broker which protocols it
    /// speaks, as [`cluster`](crate::cluster()) does: nothing is guessed where it does not
    /// answer, since a member of the other protocol would turn the whole group over.
    ///
    /// # Errors
    /// [`Error::Option`] for options that cannot work, [`Error::Client`] when the
    /// client cannot be created, [`Error::Security`] when there is no token or a broker
    /// refuses, [`Error::Wire`] when `Auto` gets no answer.
    pub fn spawn(
        options: GroupOptions,
    ) -> Result<(GroupHandle, mpsc::Receiver<GroupEvent>), Error> {
        options.validate()?;
        let protocol = decide_protocol(&options)?;
        let (events, receiver) = mpsc::channel(CHANNEL_CAPACITY);
        let shared = Arc::new(Shared::new(protocol, &options));
        let fetcher = Fetcher::spawn(options.clone(), shared.clone(), events.clone())?;
        let (commands, inbox) = std::sync::mpsc::channel();
        let poller =
            thread::Poller::new(options, protocol, fetcher, events, inbox, shared.clone())?;
        std::thread::Builder::new().name("kafka-poll".into()).spawn(move || poller.run()).map_err(
            |error| Error::Client {
                action: "start the poll thread",
                reason: error.to_string(),
                code: None,
            },
        )?;
        Ok((GroupHandle::new(commands, shared), receiver))
    }
}

fn decide_protocol(options: &GroupOptions) -> Result<GroupProtocol, Error> {
    match options.protocol {
        GroupProtocol::Auto => Ok(probe::cluster(&options.connection)?.protocol),
        chosen => Ok(chosen),
    }
}
