//! The end: intake stops, the writes in flight finish, the group is left, and
//! the revoke that comes with leaving is served. A failure ends the same way, so
//! that the partitions move on at once.
//!
//! A group that does not answer in time is no failure: nothing is in flight any more when it is
//! left, and a member that says nothing more is given up when its session ends. A coordinator
//! that is away costs up to eight seconds of waiting for its answers.

use tokio::time::Instant;

use super::{Done, Engine, Group};
use crate::Error;
use crate::decode::Row;
use crate::events::{DrainStarted, DropReason};
use crate::sink::Sink;
use crate::status::Phase;

pub(super) struct Drain {
    /// When the writes in flight are given up, so that there is time to leave.
    pub(super) abandon_at: Instant,
    /// When the engine ends, whatever is unfinished.
    pub(super) deadline: Instant,
    leaving: bool,
    left: bool,
}

impl<R, S, G> Engine<R, S, G>
where
    R: Row,
    S: Sink<R>,
    G: Group,
{
    pub(super) fn begin_drain(&mut self) {
        if self.drain.is_some() {
            return;
        }
        let (now, timeout) = (Instant::now(), self.options.drain_timeout());
        self.drain = Some(Drain {
            abandon_at: now + timeout.mul_f64(0.75),
            deadline: now + timeout,
            leaving: false,
            left: false,
        });
        self.status.set_phase(Phase::Draining);
        DrainStarted { in_flight: self.partitions.in_flight_records(), timeout }.emit();
        let dropped = self.partitions.stop_intake();
        self.drop_records(DropReason::NotOwned, dropped);
        self.waiting_assigns.clear();
        self.leave_when_idle();
    }

    /// Leaves the group once nothing is in flight.
    pub(super) fn leave_when_idle(&mut self) {
        let Some(drain) = &mut self.drain else { return };
        if drain.leaving || !self.in_flight.is_empty() {
            return;
        }
        drain.leaving = true;
        // Reads of positions: nobody waits for them, and the sink may be down.
        self.tasks.abort_all();
        let group = self.group.clone();
        self.tasks.spawn(async move { Done::Left(group.leave().await) });
    }

    pub(super) fn on_left(&mut self, result: Result<(), tidegate_kafka::Error>) {
        if let Some(drain) = &mut self.drain {
            drain.left = true;
        }
        match result {
            // It ended by itself, over an assignment that was not answered any
            // more, and has left before that.
            Ok(()) | Err(tidegate_kafka::Error::Ended) => {}
            Err(error) => {
                self.failure.get_or_insert(Error::Kafka(error));
            }
        }
    }

    pub(super) fn on_group_ended(&mut self) {
        if self.drain.is_none() {
            self.fail(Error::GroupEnded);
        }
    }

    /// Remembers the first failure, and ends.
    pub(super) fn fail(&mut self, error: Error) {
        tracing::error!(%error, "pipeline failed");
        self.failure.get_or_insert(error);
        self.begin_drain();
    }

    pub(super) fn finished(&self) -> bool {
        self.drain.as_ref().is_some_and(|drain| drain.left || drain.deadline <= Instant::now())
    }

    pub(super) fn outcome(self) -> Result<(), Error> {
        let (left, leaving) =
            self.drain.as_ref().map_or((false, false), |drain| (drain.left, drain.leaving));
        let timeout_ms = self.options.drain_timeout_ms;
        match self.failure {
            Some(failure) => Err(failure),
            None if left => Ok(()),
            None if leaving => {
                tracing::warn!(
                    drain_timeout_ms = timeout_ms,
                    "Kafka did not answer in time: the group keeps the partitions of this member \
                     until its session ends"
                );
                Ok(())
            }
            None => Err(Error::DrainTimeout { timeout_ms }),
        }
    }
}
