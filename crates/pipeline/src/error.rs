//! Why a pipeline ended or could not start.

use tidegate_kafka::TopicPartition;

use crate::sink::SinkError;

/// Every variant is one line for the operator: what, which value, what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// An option is outside its range. The caller's fault; a retry does not help.
    #[error("{field} = {value}: allowed is {allowed}")]
    Option {
        /// Name of the option.
        field: &'static str,
        /// What was given.
        value: String,
        /// What is allowed.
        allowed: String,
    },
    /// The Kafka client could not start or ended. Restarting the process helps
    /// unless the message names a setting.
    #[error(transparent)]
    Kafka(#[from] tidegate_kafka::Error),
    /// The group's thread ended without saying why.
    #[error("the Kafka poll thread ended unexpectedly; restart the process")]
    GroupEnded,
    /// The sink can never accept what the pipeline writes (see [`SinkError::Fatal`]).
    #[error("sink: {0}")]
    Sink(#[source] SinkError),
    /// The sink's code panicked; nothing it was writing counts as written.
    #[error("the sink panicked: {0}; this is a defect of the sink")]
    SinkPanicked(String),
    /// Kafka delivered a record below the position that the sink holds, or up to which
    /// records came before, so the topic is not the one the position belongs to.
    #[error(
        "{partition}: Kafka delivered offset {offset}, but was already read up to {position}: the \
         topic was created anew or truncated; use an empty database and another group, or, to \
         read it again, delete this partition's position and set the group's offset of it back"
    )]
    PositionAhead {
        /// The partition.
        partition: TopicPartition,
        /// Offset of the record delivered.
        offset: i64,
        /// `next_offset` in the sink, or of the last record that came before.
        position: i64,
    },
    /// A position that this pipeline had read or written is gone from the sink: deleted,
    /// or forgotten by a failover. Kafka's committed offset may be past what the sink holds.
    #[error(
        "{partition}: its position has vanished from the sink (deleted, or forgotten by a \
         failover); set the group's offset of it back to what the sink holds, then restart: \
         it begins at Kafka's committed offset"
    )]
    PositionVanished {
        /// The partition.
        partition: TopicPartition,
    },
    /// The write in flight did not end within `drain_timeout_ms`. Nothing is lost: what was
    /// not committed is read again by the next owner. A group that does not answer is none.
    #[error(
        "not drained after {timeout_ms} ms (drain_timeout_ms); the unfinished batch will be read again"
    )]
    DrainTimeout {
        /// The bound that was exceeded, milliseconds.
        timeout_ms: u64,
    },
    /// The operating system gave no thread.
    #[error("cannot start the decode thread: {0}")]
    Thread(#[source] std::io::Error),
    /// The metrics endpoint cannot listen.
    #[error("cannot listen on {address} for metrics: {source}")]
    Listen {
        /// The address asked for.
        address: String,
        /// The system's reason.
        source: std::io::Error,
    },
}
