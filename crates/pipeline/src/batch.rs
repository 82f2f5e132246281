//! What the engine hands to a sink: records of several partitions, each
//! partition's in offset order, and the positions that become true with them.
//!
//! Rows and dead letters stay in one list, so that a batch that could not be
//! written can go back to the buffers in its original order.

use tidegate_kafka::{Record, TopicPartition};
use tokio::time::Instant;

use crate::decode::Rejection;

/// A record with what the decoder made of it.
#[derive(Debug, Clone)]
pub struct Entry<R> {
    /// The record as Kafka delivered it.
    pub record: Record,
    /// The decoded row, or why there is none.
    pub outcome: Result<R, Rejection>,
    /// When the record was buffered: starts the batch timer.
    pub(crate) arrived: Instant,
    /// Record timestamp, but never later than the arrival: a timestamp in the
    /// future must not keep its partition waiting behind all others.
    pub(crate) age_key_ms: i64,
}

impl<R> Entry<R> {
    /// A record that arrives now: for tests of a sink or a handler, see [`Batch::of`].
    pub fn of(record: Record, outcome: Result<R, Rejection>) -> Self {
        Self::new(record, outcome, Instant::now(), crate::clock::now_ms())
    }

    pub(crate) fn new(
        record: Record,
        outcome: Result<R, Rejection>,
        arrived: Instant,
        now_ms: i64,
    ) -> Self {
        let age_key_ms = record.timestamp_ms.map_or(now_ms, |timestamp| timestamp.min(now_ms));
        Self { record, outcome, arrived, age_key_ms }
    }

    /// Bytes that count towards `batch_max_bytes`: key and payload.
    pub(crate) fn bytes(&self) -> usize {
        let length = |bytes: &Option<bytes::Bytes>| bytes.as_ref().map_or(0, bytes::Bytes::len);
        length(&self.record.key) + length(&self.record.payload)
    }
}

/// The position of one partition before and after a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PositionUpdate {
    /// Whose position.
    pub partition: TopicPartition,
    /// What the sink must still hold for the write to count; `None`: nothing yet.
    pub expected: Option<i64>,
    /// Offset of the partition's last record in the batch, plus one.
    pub next_offset: i64,
}

/// A closed batch. Never empty.
#[derive(Debug, Clone)]
pub struct Batch<R> {
    pub(crate) entries: Vec<Entry<R>>,
    pub(crate) positions: Vec<PositionUpdate>,
}

impl<R> Batch<R> {
    /// A batch for tests of a sink or a handler. A pipeline's own has each partition's
    /// records in offset order, and one position a partition.
    ///
    /// ```
    /// use tidegate_pipeline::kafka::{Record, TopicPartition};
    /// use tidegate_pipeline::{Batch, Decoder, Entry, JsonDecoder, PositionUpdate};
    ///
    /// // What is tested: the part of a handler that needs no service.
    /// fn total(batch: &Batch<u64>) -> u64 {
    ///     batch.rows().map(|(_record, cents)| cents).sum()
    /// }
    ///
    /// let decoder = JsonDecoder::<u64>::new();
    /// let entries = (40..).zip(["250", "{", "50"]).map(|(offset, payload)| {
    ///     let record = Record {
    ///         topic: "payments".into(),
    ///         partition: 3,
    ///         offset,
    ///         timestamp_ms: None,
    ///         key: None,
    ///         payload: Some(payload.into()),
    ///         headers: Vec::new(),
    ///     };
    ///     let outcome = decoder.decode(&record);
    ///     Entry::of(record, outcome)
    /// });
    /// let partition = TopicPartition { topic: "payments".into(), partition: 3 };
    /// let positions = [PositionUpdate { partition, expected: Some(40), next_offset: 43 }];
    /// let batch = Batch::of(entries, positions);
    /// assert_eq!(total(&batch), 300);
    /// assert_eq!(batch.dead_letters().count(), 1);
    /// ```
    pub fn of(
        entries: impl IntoIterator<Item = Entry<R>>,
        positions: impl IntoIterator<Item = PositionUpdate>,
    ) -> Self {
        Self { entries: entries.into_iter().collect(), positions: positions.into_iter().collect() }
    }

    /// All records, partitions interleaved, oldest head first.
    pub fn entries(&self) -> &[Entry<R>] {
        &self.entries
    }

    /// Records that were decoded, with their rows.
    pub fn rows(&self) -> impl Iterator<Item = (&Record, &R)> {
        self.entries.iter().filter_map(|e| e.outcome.as_ref().ok().map(|row| (&e.record, row)))
    }

    /// Records that could not be decoded, with the reason.
    pub fn dead_letters(&self) -> impl Iterator<Item = (&Record, &Rejection)> {
        self.entries.iter().filter_map(|e| e.outcome.as_ref().err().map(|why| (&e.record, why)))
    }

    /// One position a partition, to be compared and set with the rows.
    pub fn positions(&self) -> &[PositionUpdate] {
        &self.positions
    }

    /// Number of records.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are no records; a batch given to a sink always has some.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}
