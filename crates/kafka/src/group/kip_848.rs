//! What KIP-848 leaves to the poll thread.
//!
//! The client does not say that the topic does not exist: it is asked for until it is known,
//! over the client's own connection. And a static member that leaves is only away, to the
//! client as to the broker: its place is given up over a connection of our own.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use rdkafka::consumer::Consumer;
use rdkafka::error::KafkaError;
use rdkafka::metadata::MetadataTopic;

use super::thread::Poller;
use super::{GroupOptions, GroupProtocol};
use crate::Error;
use crate::fence::remove_member_blocking;

/// How long a question for the topic holds the thread up, and the pause before the next one.
const TOPIC_WAIT: Duration = Duration::from_secs(1);

impl Poller {
    /// Asks for the topic, if it has to be, until a broker answers.
    pub(super) fn find_topic(&mut self) -> Result<(), Error> {
        if self.topic_at.is_none_or(|at| Instant::now() < at) {
            return Ok(());
        }
        let topic = &self.consumer.context().options.topic;
        let found = self.consumer.fetch_metadata(Some(topic), TOPIC_WAIT).and_then(|found| {
            match found.topics().iter().find_map(MetadataTopic::error) {
                Some(code) => Err(KafkaError::MetadataFetch(code.into())),
                None => Ok(()),
            }
        });
        if let Err(error) = found {
            tracing::debug!(%error, topic, "the topic is not known yet");
            self.topic_at = Some(Instant::now() + TOPIC_WAIT);
            return self.client_error(&error);
        }
        self.topic_at = None;
        Ok(())
    }

    /// A static member that is to come back.
    pub(super) fn keeps_place(&self) -> bool {
        let is_static = self.consumer.context().options.instance_id.is_some();
        is_static && self.shared.keep_place.load(Ordering::Acquire)
    }

    /// Whose place in the group the client leaves behind.
    pub(super) fn place_to_give_up(&self) -> Option<(GroupOptions, String)> {
        let options = &self.consumer.context().options;
        let leaves_one = self.protocol == GroupProtocol::Consumer
            && options.instance_id.is_some()
            && !self.keeps_place();
        let member_id = self.shared.status().member_id.clone().filter(|_| leaves_one)?;
        Some((options.clone(), member_id))
    }
}

/// The client says that a static member is away for a moment (member epoch −2); this, that
/// it does not come back.
pub(super) fn give_up_place(options: &GroupOptions, member_id: &str) {
    let (connection, group) = (&options.connection, &options.group);
    let removed = remove_member_blocking(connection, group, member_id, GroupProtocol::Consumer);
    if let Err(error) = removed {
        tracing::warn!(
            %error,
            instance_id = options.instance_id,
            "the group keeps the partitions of this member until its session ends"
        );
    }
}
