//! Partitions come and go.

use std::sync::Arc;

use tidegate_kafka::{AssignReply, Position, RevokeReply, StartPosition, TopicPartition};
use tokio::time::Instant;

use super::{Done, Engine, Group, Positions, with_retries};
use crate::Error;
use crate::decode::Row;
use crate::events::{Change, DropReason, PartitionsChanged, PositionsMoved, Repositioned};
use crate::lifecycle::Epoch;
use crate::sink::{Sink, SinkError};

/// A revoke that waits for writes in flight.
pub(super) struct PendingRevoke {
    pub(super) partitions: Vec<TopicPartition>,
    reply: RevokeReply,
    /// When the writes it waits for are given up.
    pub(super) deadline: Instant,
}

impl<R, S, G> Engine<R, S, G>
where
    R: Row,
    S: Sink<R>,
    G: Group,
{
    /// Asks the sink where to start. A partition that came back while its last
    /// records are still being written waits for them: the position is moving.
    pub(super) fn on_assign(&mut self, partitions: Vec<TopicPartition>, reply: AssignReply) {
        if self.drain.is_some() {
            return; // Nobody will read: without an answer the member leaves.
        }
        if self.in_flight.iter().any(|flight| flight.touches(&partitions)) {
            self.waiting_assigns.push_back((partitions, reply));
        } else {
            self.ask_positions(partitions, reply);
        }
    }

    pub(super) fn resume_assigns(&mut self) {
        for (partitions, reply) in std::mem::take(&mut self.waiting_assigns) {
            self.on_assign(partitions, reply);
        }
    }

    fn ask_positions(&mut self, partitions: Vec<TopicPartition>, reply: AssignReply) {
        let positions = self.read_positions(partitions.clone());
        self.tasks.spawn(async move {
            let positions = positions.await;
            Done::Assigned { partitions, reply, positions }
        });
    }

    pub(super) fn read_positions(
        &self,
        partitions: Vec<TopicPartition>,
    ) -> impl Future<Output = Positions> + Send + use<R, S, G> {
        let (sink, status, mut backoff) =
            (Arc::clone(&self.sink), Arc::clone(&self.status), self.backoff.clone());
        backoff.reset();
        async move {
            if partitions.is_empty() {
                return Ok(Vec::new());
            }
            let ask = || sink.positions(&partitions);
            let positions = with_retries("read positions", backoff, &status, ask).await?;
            if positions.len() != partitions.len() {
                return Err(SinkError::Fatal(format!(
                    "asked for {} positions, it answered {}",
                    partitions.len(),
                    positions.len()
                )));
            }
            // The client takes some of these for the log's end.
            let below = |(_, position): &(_, &Option<i64>)| position.is_some_and(|at| at < 0);
            if let Some((partition, Some(position))) = partitions.iter().zip(&positions).find(below)
            {
                return Err(SinkError::Fatal(format!(
                    "it answered position {position} of {partition}: offsets begin with 0, and \
                     None is where nothing was written"
                )));
            }
            Ok(positions)
        }
    }

    pub(super) fn on_assigned(
        &mut self,
        partitions: &[TopicPartition],
        reply: AssignReply,
        positions: Positions,
    ) {
        let positions = match positions {
            Ok(positions) if self.drain.is_none() => positions,
            Ok(_) => return,
            Err(error) => return self.fail_sink("read positions", error),
        };
        let mut starts = Vec::with_capacity(partitions.len());
        let mut dropped = 0;
        for (partition, next_offset) in partitions.iter().zip(positions) {
            dropped += self.partitions.assign(partition.clone(), next_offset);
            starts.push(StartPosition { partition: partition.clone(), next_offset });
        }
        self.drop_records(DropReason::NotOwned, dropped);
        // Kafka's offsets may be behind, if the last owner died before its commit.
        let commit: Vec<Position> = starts.iter().filter_map(known_position).collect();
        reply.send(starts);
        if !commit.is_empty() {
            self.group.commit(commit);
        }
        self.partitions_changed(Change::Assigned, partitions);
    }

    /// Drops what is buffered; answers when nothing of it is in flight any more.
    pub(super) fn on_revoke(&mut self, partitions: Vec<TopicPartition>, reply: RevokeReply) {
        let dropped = self.partitions.revoke(&partitions);
        self.drop_records(DropReason::NotOwned, dropped);
        let deadline = Instant::now() + self.revoke_timeout;
        self.revokes.push(PendingRevoke { partitions, reply, deadline });
        self.settle_revokes();
    }

    /// Answers the revokes that need not wait any longer.
    pub(super) fn settle_revokes(&mut self) {
        let (waiting, settled): (Vec<_>, Vec<_>) = std::mem::take(&mut self.revokes)
            .into_iter()
            .partition(|revoke| self.partitions.any_in_flight(&revoke.partitions));
        self.revokes = waiting;
        for PendingRevoke { partitions, reply, .. } in settled {
            let positions = self.partitions.release(&partitions);
            self.partitions_changed(Change::Revoked, &partitions);
            // Too late is no harm: the sink has the positions.
            reply.send(positions);
        }
    }

    pub(super) fn on_lost(&mut self, partitions: &[TopicPartition]) {
        let dropped = self.partitions.lost(partitions);
        self.drop_records(DropReason::NotOwned, dropped);
        self.partitions_changed(Change::Lost, partitions);
        self.settle_revokes();
    }

    /// Fenced partitions: where did the other owner get to?
    pub(super) fn read_again(&mut self, fenced: Vec<(TopicPartition, Epoch)>) {
        if fenced.is_empty() || self.drain.is_some() {
            return;
        }
        let partitions = fenced.iter().map(|(partition, _)| partition.clone()).collect();
        let positions = self.read_positions(partitions);
        self.tasks.spawn(async move {
            let positions = positions.await;
            Done::Reread { fenced, positions }
        });
    }

    pub(super) fn on_reread(&mut self, fenced: Vec<(TopicPartition, Epoch)>, positions: Positions) {
        let positions = match positions {
            Ok(positions) => positions,
            Err(error) => return self.fail_sink("read positions", error),
        };
        // Not only for whoever looks at the lag: it is a question to the group. A member
        // whose join was swallowed on its way believes that it still owns what others write
        // by now; the commit finds the dead connection, or is told that nobody knows it.
        let mut commit = Vec::new();
        for ((partition, epoch), position) in fenced.into_iter().zip(positions) {
            if !self.partitions.awaits_position(&partition, epoch) {
                continue;
            }
            let Some(next_offset) = position else {
                return self.fail(Error::PositionVanished { partition });
            };
            self.partitions.reposition(&partition, epoch, next_offset);
            Repositioned { partition: &partition, next_offset }.emit();
            let TopicPartition { topic, partition: number } = partition.clone();
            commit.push(Position { topic, partition: number, next_offset });
            self.group.seek(partition, next_offset);
        }
        if !commit.is_empty() {
            self.group.commit(commit);
        }
    }

    /// The sink is back: does it still hold what it held? A database that failed over
    /// to a standby may have forgotten commits; a partition with records to write is
    /// told by its write, one without is asked about here.
    pub(super) fn check_idle(&mut self) {
        let idle = self.partitions.idle();
        if idle.is_empty() || self.drain.is_some() {
            return;
        }
        let partitions = idle.iter().map(|(partition, ..)| partition.clone()).collect();
        let positions = self.read_positions(partitions);
        self.tasks.spawn(async move {
            let positions = positions.await;
            Done::Checked { idle, positions }
        });
    }

    pub(super) fn on_checked(
        &mut self,
        idle: Vec<(TopicPartition, Epoch, i64)>,
        positions: Positions,
    ) {
        let positions = match positions {
            Ok(positions) if self.drain.is_none() => positions,
            Ok(_) => return,
            Err(error) => return self.fail_sink("read positions", error),
        };
        let (mut moved, mut stored) = (Vec::new(), Vec::new());
        for ((partition, epoch, known), position) in idle.into_iter().zip(positions) {
            // Sinks that keep no positions answer none.
            if position.is_none_or(|position| position == known) {
                continue;
            }
            if let Some(dropped) = self.partitions.moved(&partition, epoch, known) {
                self.drop_records(DropReason::NotOwned, dropped);
                moved.push((partition, epoch));
                stored.push(position);
            }
        }
        if !moved.is_empty() {
            PositionsMoved { partitions: moved.len() }.emit(&self.status);
            self.on_reread(moved, Ok(stored));
        }
    }

    fn partitions_changed(&self, change: Change, partitions: &[TopicPartition]) {
        let owned = self.partitions.owned().count();
        PartitionsChanged { change, partitions, owned }.emit(&self.status);
    }
}

fn known_position(start: &StartPosition) -> Option<Position> {
    let TopicPartition { topic, partition } = start.partition.clone();
    start.next_offset.map(|next_offset| Position { topic, partition, next_offset })
}
