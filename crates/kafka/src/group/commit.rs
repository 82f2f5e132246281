//! A commit on its way, whose answer is waited for as long as one likes: the client's wrapper
//! either waits for ever or drops the answer.

use std::ptr::NonNull;
use std::time::Duration;

use rdkafka::bindings::{
    rd_kafka_commit_queue, rd_kafka_event_destroy, rd_kafka_event_error, rd_kafka_queue_destroy,
    rd_kafka_queue_new, rd_kafka_queue_poll, rd_kafka_queue_t, rd_kafka_resp_err_t,
};
use rdkafka::client::{Client, ClientContext};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use rdkafka::types::RDKafkaRespErr;

use crate::Position;

/// Sent; whoever drops it is not told. To be dropped before its client is.
pub(super) struct Sent {
    queue: NonNull<rd_kafka_queue_t>,
}

// SAFETY: the library's queues have locks of their own and belong to no thread.
#[allow(unsafe_code)]
unsafe impl Send for Sent {}

impl Sent {
    #[allow(unsafe_code)]
    pub(super) fn new<C: ClientContext>(
        client: &Client<C>,
        positions: &[Position],
    ) -> KafkaResult<Self> {
        let mut list = TopicPartitionList::with_capacity(positions.len());
        for position in positions {
            let offset = Offset::Offset(position.next_offset);
            list.add_partition_offset(&position.topic, position.partition, offset)?;
        }
        // SAFETY: the client outlives both calls. The queue is ours, and destroyed once, by
        // `drop`. The library copies the list, keeps the queue by a count of its own for as
        // long as an answer is due, and is given no callback.
        let (sent, code) = unsafe {
            let queue = NonNull::new(rd_kafka_queue_new(client.native_ptr()));
            let queue = queue.ok_or(refused(RDKafkaRespErr::RD_KAFKA_RESP_ERR__FAIL))?;
            let sent = Self { queue };
            let nobody = std::ptr::null_mut();
            let native = client.native_ptr();
            (sent, rd_kafka_commit_queue(native, list.ptr(), queue.as_ptr(), None, nobody))
        };
        outcome(code).map(|()| sent)
    }

    /// What the broker says of it; `None` if it does not say so in time.
    #[allow(unsafe_code)]
    pub(super) fn answer(&self, wait: Duration) -> Option<KafkaResult<()>> {
        let wait_ms = i32::try_from(wait.as_millis()).unwrap_or(i32::MAX);
        // SAFETY: the queue lives. The event is ours once it is polled, read before it is
        // destroyed, and destroyed once.
        unsafe {
            let event = NonNull::new(rd_kafka_queue_poll(self.queue.as_ptr(), wait_ms))?;
            let code = rd_kafka_event_error(event.as_ptr());
            rd_kafka_event_destroy(event.as_ptr());
            Some(outcome(code))
        }
    }
}

impl Drop for Sent {
    #[allow(unsafe_code)]
    fn drop(&mut self) {
        // SAFETY: ours, and used by nobody after this.
        unsafe { rd_kafka_queue_destroy(self.queue.as_ptr()) }
    }
}

fn outcome(code: rd_kafka_resp_err_t) -> KafkaResult<()> {
    match code {
        RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR => Ok(()),
        code => Err(refused(code)),
    }
}

fn refused(code: RDKafkaRespErr) -> KafkaError {
    KafkaError::ConsumerCommit(code.into())
}
