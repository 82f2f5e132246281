//! A sink that fails for a while.
//!
//! The next write tells whether it is back. Where nothing is left to write, because the
//! failed records went with their partitions, nobody would: the process would count as not
//! ready until the next record comes. Then a position is asked for.

use std::time::Duration;

use tidegate_kafka::TopicPartition;
use tokio::time::Instant;

use super::{Done, Engine, Group, Positions};
use crate::batch::PositionUpdate;
use crate::decode::Row;
use crate::sink::Sink;

/// Since a write failed, and may be tried again.
#[derive(Debug)]
pub(super) struct Outage {
    /// Of the batch that failed first: something to ask for.
    partition: TopicPartition,
    /// Whether the question is on its way.
    asked: bool,
}

impl<R, S, G> Engine<R, S, G>
where
    R: Row,
    S: Sink<R>,
    G: Group,
{
    /// No write starts for a while. Writes that fail together wait together.
    pub(super) fn hold_back(&mut self, positions: &[PositionUpdate]) -> Duration {
        if let (None, Some(update)) = (&self.failing, positions.first()) {
            self.failing = Some(Outage { partition: update.partition.clone(), asked: false });
        }
        let now = Instant::now();
        match self.retry_at.filter(|at| *at > now) {
            Some(at) => at - now,
            None => {
                let wait = self.backoff.next_wait();
                self.retry_at = Some(now + wait);
                wait
            }
        }
    }

    /// When the sink must be asked, since no write will tell.
    pub(super) fn ask_at(&self) -> Option<Instant> {
        let is_unasked = self.failing.as_ref().is_some_and(|outage| !outage.asked);
        let is_idle = self.in_flight.is_empty() && self.partitions.buffered_records() == 0;
        (is_unasked && is_idle && self.drain.is_none())
            .then(|| self.retry_at.unwrap_or_else(Instant::now))
    }

    pub(super) fn ask_if_idle(&mut self, now: Instant) {
        if self.ask_at().is_none_or(|at| now < at) {
            return;
        }
        let Some(outage) = &mut self.failing else { return };
        outage.asked = true;
        let partition = outage.partition.clone();
        let positions = self.read_positions(vec![partition]);
        self.tasks.spawn(async move { Done::Asked(positions.await) });
    }

    /// The sink answered, whatever it said; a write may have told before.
    pub(super) fn on_asked(&mut self, positions: Positions) {
        match positions {
            Err(error) => self.fail_sink("read positions", error),
            Ok(_) if self.failing.take().is_some() => {
                self.backoff.reset();
                self.retry_at = None;
                self.check_idle();
            }
            Ok(_) => {}
        }
    }
}
