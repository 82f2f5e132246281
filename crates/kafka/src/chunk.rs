//! Records copied out of the client, many at a time.
//!
//! A borrowed message pins its whole fetch response, so payloads are copied
//! once, into one buffer a chunk that the records then slice.

use std::ops::Range;
use std::sync::Arc;

use bytes::BytesMut;
use rdkafka::Message;
use rdkafka::message::{BorrowedMessage, Headers};

use crate::{Header, Record};

const MAX_RECORDS: usize = 1000;
const MAX_BYTES: usize = 1 << 20;

struct Pending {
    partition: i32,
    offset: i64,
    timestamp_ms: Option<i64>,
    key: Option<Range<usize>>,
    payload: Option<Range<usize>>,
    headers: Vec<(String, Option<Range<usize>>)>,
}

/// Records of one poll, until they are sliced out of their common buffer.
#[derive(Default)]
pub(crate) struct Chunk {
    buffer: BytesMut,
    pending: Vec<Pending>,
}

impl Chunk {
    pub(crate) fn is_full(&self) -> bool {
        self.pending.len() >= MAX_RECORDS || self.buffer.len() >= MAX_BYTES
    }

    pub(crate) fn push(&mut self, message: &BorrowedMessage<'_>) {
        let key = message.key().map(|bytes| self.copy(bytes));
        let payload = message.payload().map(|bytes| self.copy(bytes));
        let headers = message
            .headers()
            .into_iter()
            .flat_map(|headers| headers.iter())
            .map(|header| (header.key.to_owned(), header.value.map(|bytes| self.copy(bytes))))
            .collect();
        self.pending.push(Pending {
            partition: message.partition(),
            offset: message.offset(),
            timestamp_ms: message.timestamp().to_millis(),
            key,
            payload,
            headers,
        });
    }

    fn copy(&mut self, bytes: &[u8]) -> Range<usize> {
        let start = self.buffer.len();
        self.buffer.extend_from_slice(bytes);
        start..self.buffer.len()
    }

    pub(crate) fn finish(self, topic: &Arc<str>) -> Vec<Record> {
        let bytes = self.buffer.freeze();
        self.pending
            .into_iter()
            .map(|pending| Record {
                topic: topic.clone(),
                partition: pending.partition,
                offset: pending.offset,
                timestamp_ms: pending.timestamp_ms,
                key: pending.key.map(|range| bytes.slice(range)),
                payload: pending.payload.map(|range| bytes.slice(range)),
                headers: pending
                    .headers
                    .into_iter()
                    .map(|(key, value)| Header {
                        key,
                        value: value.map(|range| bytes.slice(range)),
                    })
                    .collect(),
            })
            .collect()
    }
}
