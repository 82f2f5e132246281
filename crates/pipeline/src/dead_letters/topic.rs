//! Dead letters as records of a Kafka topic, beside the table.
//!
//! Contract: a sink publishes a batch's letters before it commits the batch, and does
//! not commit if that failed. So the topic has each letter of the table at least once;
//! the table has it exactly once. A letter may come again when its batch is written
//! again: the process remembers what it has published and leaves that out, a process
//! that died does not.
//!
//! A record goes on as it came (key, payload, headers); headers of ours say why and from
//! where. One that is larger than the topic takes goes without payload and headers: a
//! record that nobody can store must not stop its partition.
//!
//! Threads: deliveries are told on the client's thread; publishing blocks the caller's,
//! from async code a thread for blocking work.
//!
//! # Layout
//! - here: what sinks hold, the headers' names
//! - `publisher`: the client, and what becomes of each letter
//! - `published`: what is not published again
//!
//! Rejected: publishing after the commit (a process that dies between the two loses the
//! letter for the topic); a Kafka transaction (it cannot be one with the database's);
//! the table as an outbox (somebody would have to own it over rebalances).

mod published;
mod publisher;

use std::fmt;
use std::sync::Arc;

use tidegate_kafka::{ConnectionOptions, Record};

use self::publisher::Publisher;
use crate::Error;
use crate::decode::Rejection;
use crate::sink::SinkError;

/// Names of the headers that are added, in their order.
pub mod header {
    /// Stable code of the reason, see [`reason`](crate::decode::reason).
    pub const REASON_CODE: &str = "tidegate.reason_code";
    /// The reason for a human.
    pub const REASON: &str = "tidegate.reason";
    /// Topic that the record came from.
    pub const TOPIC: &str = "tidegate.topic";
    /// Partition that the record came from, decimal text.
    pub const PARTITION: &str = "tidegate.partition";
    /// Offset of the record, decimal text.
    pub const OFFSET: &str = "tidegate.offset";
    /// Timestamp of the record, Unix milliseconds, decimal text; absent if it has none.
    pub const TIMESTAMP_MS: &str = "tidegate.timestamp_ms";
    /// Length of a payload that was left out because the topic takes none so large.
    pub const LEFT_OUT_BYTES: &str = "tidegate.left_out_bytes";
}

/// A record that becomes a dead letter, and why.
pub(crate) type Letter<'a> = (&'a Record, &'a Rejection);

/// A topic for dead letters. Cheap to clone; all clones are one producer.
#[derive(Clone)]
pub struct DeadLetterTopic {
    publisher: Arc<Publisher>,
}

impl fmt::Debug for DeadLetterTopic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DeadLetterTopic({})", self.publisher.topic())
    }
}

impl DeadLetterTopic {
    /// The topic of a cluster. Connecting happens in the background;
    /// [`DeadLetterTopic::check`] asks whether the topic is there.
    ///
    /// # Errors
    /// [`Error::Option`] for a name that no topic can have, [`Error::Kafka`] for options
    /// of the connection.
    pub fn new(connection: &ConnectionOptions, topic: &str) -> Result<Self, Error> {
        if !is_topic_name(topic) {
            return Err(Error::Option {
                field: "dead_letter_topic",
                value: format!("{topic:?}"),
                allowed: "1 to 249 letters, digits and . _ -".into(),
            });
        }
        Ok(Self { publisher: Arc::new(Publisher::new(connection, topic)?) })
    }

    /// Asks whether the topic is there. A sink calls it when it is prepared.
    ///
    /// # Errors
    /// [`SinkError::Fatal`] if it is not, [`SinkError::Retry`] if no broker says.
    pub async fn check(&self) -> Result<(), SinkError> {
        self.blocking(Publisher::check).await
    }

    /// Publishes letters: returns when each was acknowledged by all replicas. A sink
    /// calls it before it commits the batch that they are of.
    ///
    /// # Errors
    /// [`SinkError::Retry`] when no acknowledgement came, [`SinkError::Fatal`] when the
    /// cluster refuses for good. Some may have been published.
    pub async fn publish(&self, letters: &[(&Record, &Rejection)]) -> Result<(), SinkError> {
        if letters.is_empty() {
            return Ok(());
        }
        let owned: Vec<(Record, Rejection)> =
            letters.iter().map(|(record, why)| ((*record).clone(), (*why).clone())).collect();
        self.blocking(move |publisher| {
            let letters: Vec<Letter<'_>> =
                owned.iter().map(|(record, why)| (record, why)).collect();
            publisher.publish(&letters)
        })
        .await
    }

    /// [`DeadLetterTopic::check`] on the caller's thread.
    pub(crate) fn check_blocking(&self) -> Result<(), SinkError> {
        self.publisher.check()
    }

    /// [`DeadLetterTopic::publish`] on the caller's thread.
    pub(crate) fn publish_blocking(&self, letters: &[Letter<'_>]) -> Result<(), SinkError> {
        self.publisher.publish(letters)
    }

    async fn blocking(
        &self,
        work: impl FnOnce(&Publisher) -> Result<(), SinkError> + Send + 'static,
    ) -> Result<(), SinkError> {
        let publisher = Arc::clone(&self.publisher);
        let done = tokio::task::spawn_blocking(move || work(&publisher)).await;
        done.unwrap_or_else(|error| Err(SinkError::Fatal(format!("publishing letters: {error}"))))
    }
}

fn is_topic_name(text: &str) -> bool {
    (1..=249).contains(&text.len())
        && ![".", ".."].contains(&text)
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
}

#[cfg(test)]
mod tests;
