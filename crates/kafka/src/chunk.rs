//! Records copied out of the client, many at a time.
//!
//! A borrowed message pins its whole fetch response, so payloads are copied
//! once, into one buffer a chunk. The records are cut out of it by whoever reads them:
//! the thread that copies has the most to do.

use std::ops::Range;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use rdkafka::Message;
use rdkafka::message::{BorrowedMessage, Headers};

use crate::{Header, Record};

const MAX_RECORDS: usize = 1000;
const MAX_BYTES: usize = 1 << 20;

#[derive(Debug)]
struct Pending {
    partition: i32,
    offset: i64,
    timestamp_ms: Option<i64>,
    key: Option<Range<usize>>,
    payload: Option<Range<usize>>,
    headers: Vec<(String, Option<Range<usize>>)>,
}

/// Records of one poll.
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

    pub(crate) fn finish(self, topic: &str) -> Records {
        // A topic of their own: threads that clone and drop records of different chunks
        // would otherwise pass one counter to and fro.
        let topic = Arc::from(topic);
        Records { topic, bytes: self.buffer.freeze(), pending: self.pending.into_iter() }
    }
}

/// Records of one topic, one behind the other, each cut out of their common bytes when
/// its turn comes.
#[derive(Debug)]
pub struct Records {
    topic: Arc<str>,
    bytes: Bytes,
    pending: std::vec::IntoIter<Pending>,
}

impl Iterator for Records {
    type Item = Record;

    fn next(&mut self) -> Option<Record> {
        let pending = self.pending.next()?;
        let cut = |range: Option<Range<usize>>| range.map(|range| self.bytes.slice(range));
        let headers = pending.headers.into_iter();
        Some(Record {
            topic: self.topic.clone(),
            partition: pending.partition,
            offset: pending.offset,
            timestamp_ms: pending.timestamp_ms,
            key: cut(pending.key),
            payload: cut(pending.payload),
            headers: headers.map(|(key, value)| Header { key, value: cut(value) }).collect(),
        })
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.pending.size_hint()
    }
}

impl ExactSizeIterator for Records {}

/// Copies records of one topic, for tests of an engine.
impl FromIterator<Record> for Records {
    fn from_iter<I: IntoIterator<Item = Record>>(records: I) -> Self {
        let mut chunk = Chunk::default();
        let mut topic: Arc<str> = Arc::from("");
        for record in records {
            let key = record.key.map(|bytes| chunk.copy(&bytes));
            let payload = record.payload.map(|bytes| chunk.copy(&bytes));
            let headers = record.headers.into_iter();
            let headers = headers
                .map(|header| (header.key, header.value.map(|bytes| chunk.copy(&bytes))))
                .collect();
            topic = record.topic;
            let Record { partition, offset, timestamp_ms, .. } = record;
            chunk.pending.push(Pending { partition, offset, timestamp_ms, key, payload, headers });
        }
        chunk.finish(&topic)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_come_out_as_they_went_in() {
        let record = |offset: i64, payload: Option<&'static [u8]>| Record {
            topic: "t".into(),
            partition: 3,
            offset,
            timestamp_ms: Some(offset * 10),
            key: payload.is_some().then(|| Bytes::from_static(b"key")),
            payload: payload.map(Bytes::from_static),
            headers: vec![
                Header { key: "h".into(), value: Some(Bytes::from_static(b"\0v")) },
                Header { key: "none".into(), value: None },
            ],
        };
        let sent = [record(7, Some(b"{}")), record(8, None), record(9, Some(b""))];
        let records: Records = sent.clone().into_iter().collect();
        assert_eq!(records.len(), 3);
        assert_eq!(records.collect::<Vec<_>>(), sent);
    }
}
