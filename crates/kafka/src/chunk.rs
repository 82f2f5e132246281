//! Records of a broker's answer, many at a time.
//!
//! A record is where it lies in its batch's bytes: nothing is copied, and the records are
//! cut out of the bytes by whoever reads them, not by the thread that fetches.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;

use crate::{Header, Record};

const MAX_RECORDS: usize = 1000;

/// A record before it is cut out. Ranges are within its source.
#[derive(Debug)]
pub(crate) struct Pending {
    /// Index of its bytes in the chunk; given by the chunk.
    pub(crate) source: u32,
    pub(crate) partition: i32,
    pub(crate) offset: i64,
    pub(crate) timestamp_ms: Option<i64>,
    pub(crate) key: Option<Range<u32>>,
    pub(crate) payload: Option<Range<u32>>,
    pub(crate) headers: Vec<(String, Option<Range<u32>>)>,
}

/// Up to a thousand records, and the batches that they lie in.
#[derive(Debug, Default)]
pub(crate) struct Chunk {
    sources: Vec<Bytes>,
    pending: Vec<Pending>,
}

impl Chunk {
    pub(crate) fn len(&self) -> usize {
        self.pending.len()
    }

    /// Only records of partitions that are still wanted.
    pub(crate) fn keep(&mut self, wanted: impl Fn(i32) -> bool) {
        self.pending.retain(|record| wanted(record.partition));
    }

    pub(crate) fn finish(self, topic: &str) -> Records {
        // A topic of their own: threads that clone and drop records of different chunks
        // would otherwise pass one counter to and fro.
        let topic = Arc::from(topic);
        Records { topic, sources: self.sources, pending: self.pending.into_iter() }
    }
}

/// Chunks that grow one behind the other.
#[derive(Debug, Default)]
pub(crate) struct Chunks {
    full: Vec<Chunk>,
    open: Chunk,
}

impl Chunks {
    /// Records of one batch, which lie in `source`. Nothing of the batch is taken when one
    /// of them cannot be read.
    pub(crate) fn push<E>(
        &mut self,
        source: &Bytes,
        records: impl Iterator<Item = Result<Pending, E>>,
    ) -> Result<(), E> {
        let before = (self.full.len(), self.open.len());
        self.open.sources.push(source.clone());
        for record in records {
            match record {
                Ok(record) => self.push_one(source, record),
                Err(error) => {
                    self.cut_back(before);
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    fn push_one(&mut self, source: &Bytes, mut record: Pending) {
        if self.open.len() >= MAX_RECORDS {
            self.full.push(std::mem::take(&mut self.open));
            self.open.sources.push(source.clone());
            self.open.pending.reserve(MAX_RECORDS);
        }
        record.source = (self.open.sources.len() - 1) as u32;
        self.open.pending.push(record);
    }

    fn cut_back(&mut self, (full, records): (usize, usize)) {
        if let Some(chunk) = self.full.drain(full..).next() {
            self.open = chunk;
        }
        self.open.pending.truncate(records);
    }

    pub(crate) fn finish(mut self) -> Vec<Chunk> {
        if self.open.len() > 0 {
            self.full.push(self.open);
        }
        self.full
    }
}

/// Records of one topic, one behind the other, each cut out of its batch's bytes when
/// its turn comes.
#[derive(Debug)]
pub struct Records {
    topic: Arc<str>,
    sources: Vec<Bytes>,
    pending: std::vec::IntoIter<Pending>,
}

impl Records {
    /// Bytes of the keys and payloads that are left.
    pub(crate) fn bytes(&self) -> usize {
        let length = |range: &Option<Range<u32>>| range.as_ref().map_or(0, Range::len);
        let records = self.pending.as_slice().iter();
        records.map(|record| length(&record.key) + length(&record.payload)).sum()
    }
}

impl Iterator for Records {
    type Item = Record;

    fn next(&mut self) -> Option<Record> {
        let pending = self.pending.next()?;
        let source = &self.sources[pending.source as usize];
        let cut = |range: Option<Range<u32>>| {
            range.map(|range| source.slice(range.start as usize..range.end as usize))
        };
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
        let mut topic: Arc<str> = Arc::from("");
        let (mut sources, mut pending) = (Vec::new(), Vec::new());
        for record in records {
            let mut bytes = Vec::new();
            let mut copy = |part: Option<Bytes>| {
                part.map(|part| {
                    let start = bytes.len() as u32;
                    bytes.extend_from_slice(&part);
                    start..bytes.len() as u32
                })
            };
            let (key, payload) = (copy(record.key), copy(record.payload));
            let headers = record.headers.into_iter();
            let headers = headers.map(|header| (header.key, copy(header.value))).collect();
            let Record { partition, offset, timestamp_ms, .. } = record;
            let source = sources.len() as u32;
            pending.push(Pending {
                source,
                partition,
                offset,
                timestamp_ms,
                key,
                payload,
                headers,
            });
            sources.push(bytes.into());
            topic = record.topic;
        }
        Self { topic, sources, pending: pending.into_iter() }
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
        assert_eq!((records.len(), records.bytes()), (3, 2 * "key".len() + "{}".len()));
        assert_eq!(records.collect::<Vec<_>>(), sent);
    }

    fn pending(partition: i32, offset: i64) -> Pending {
        Pending {
            source: 0,
            partition,
            offset,
            timestamp_ms: None,
            key: None,
            payload: Some(0..2),
            headers: Vec::new(),
        }
    }

    #[test]
    fn a_batch_goes_over_into_the_next_chunk_and_is_taken_whole_or_not_at_all() {
        let mut chunks = Chunks::default();
        let source = Bytes::from_static(b"ab");
        let batch = |offsets: Range<i64>| offsets.map(|offset| Ok::<_, ()>(pending(1, offset)));
        assert_eq!(chunks.push(&source, batch(0..700)), Ok(()));
        let broken = batch(700..2_900).chain(std::iter::once(Err(())));
        assert_eq!(chunks.push(&source, broken), Err(()));
        assert_eq!(chunks.push(&source, batch(700..1_500)), Ok(()));
        let chunks = chunks.finish();
        assert_eq!(chunks.iter().map(Chunk::len).collect::<Vec<_>>(), [1_000, 500]);
        let records: Vec<Record> = chunks.into_iter().flat_map(|chunk| chunk.finish("t")).collect();
        assert_eq!(records.iter().map(|record| record.offset).collect::<Vec<_>>(), {
            (0..1_500).collect::<Vec<i64>>()
        });
        assert!(records.iter().all(|record| record.payload.as_deref() == Some(b"ab")));
    }

    #[test]
    fn what_is_not_wanted_any_more_is_left_out() {
        let mut chunks = Chunks::default();
        let source = Bytes::from_static(b"ab");
        for partition in [1, 2] {
            let batch = (0..3).map(|offset| Ok::<_, ()>(pending(partition, offset)));
            chunks.push(&source, batch).expect("whole");
        }
        let mut chunk = chunks.finish().pop().expect("one");
        chunk.keep(|partition| partition == 2);
        assert_eq!(chunk.finish("t").map(|record| record.partition).collect::<Vec<_>>(), [2; 3]);
    }
}
