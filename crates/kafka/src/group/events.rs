//! What the poll thread tells the engine.

use std::sync::mpsc;

use crate::{Error, Position, Records, StartPosition, TopicPartition};

/// Something that happened to this member's partitions.
#[derive(Debug)]
pub enum GroupEvent {
    /// Partitions were added: answer where they start.
    Assign {
        /// The added ones only.
        partitions: Vec<TopicPartition>,
        /// Where the answer goes.
        reply: AssignReply,
    },
    /// Records, per partition in offset order.
    Records(Records),
    /// Partitions go, and are still ours: finish or abandon, answer the final positions.
    Revoke {
        /// The removed ones only.
        partitions: Vec<TopicPartition>,
        /// Where the answer goes.
        reply: RevokeReply,
    },
    /// Partitions are gone: drop what is buffered, commit nothing.
    Lost {
        /// The lost ones.
        partitions: Vec<TopicPartition>,
    },
    /// All records of the partition after this event come from `next_offset` on.
    Seeked {
        /// The partition.
        partition: TopicPartition,
        /// First offset that follows.
        next_offset: i64,
    },
    /// The poll thread has ended.
    Fatal(Error),
}

/// Answers an assignment; dropping it unanswered ends the member.
#[derive(Debug)]
pub struct AssignReply(pub(super) mpsc::Sender<Vec<StartPosition>>);

impl AssignReply {
    /// Where each assigned partition starts.
    pub fn send(self, positions: Vec<StartPosition>) {
        let _ = self.0.send(positions);
    }

    /// A reply and where it arrives, for tests of an engine.
    pub fn channel() -> (Self, mpsc::Receiver<Vec<StartPosition>>) {
        let (sender, receiver) = mpsc::channel();
        (Self(sender), receiver)
    }
}

/// Answers a revocation; dropping it unanswered commits nothing more.
#[derive(Debug)]
pub struct RevokeReply(pub(super) mpsc::Sender<Vec<Position>>);

impl RevokeReply {
    /// Final positions of the revoked partitions, as far as they are known.
    pub fn send(self, positions: Vec<Position>) {
        let _ = self.0.send(positions);
    }

    /// A reply and where it arrives, for tests of an engine.
    pub fn channel() -> (Self, mpsc::Receiver<Vec<Position>>) {
        let (sender, receiver) = mpsc::channel();
        (Self(sender), receiver)
    }
}
