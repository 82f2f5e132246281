//! Options of the pipeline, with ranges.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use tidegate_kafka::GroupOptions;

use crate::Error;

/// How records become batches, and how long things may take.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PipelineOptions {
    /// A batch closes at this many records, 1 to 100,000; 0 is adaptive: the size
    /// follows what the sink's writes cost, to the knee of its throughput. So does
    /// the number of writes at once, up to the sink's
    /// [`concurrency`](crate::Sink::concurrency), which a fixed size always uses.
    pub batch_size: usize,
    /// Smallest adaptive size, 1 to `batch_size_max` records; it is the first.
    pub batch_size_min: usize,
    /// Largest adaptive size, up to 100,000 records.
    pub batch_size_max: usize,
    /// An adaptive batch's write shall not take longer than this, 1 to 60,000 ms.
    /// Where the sink's fixed cost a batch leaves no room for that, half of its
    /// possible throughput is kept instead.
    pub batch_latency_target_ms: u64,
    /// ... or at this many bytes of keys and payloads, 1 KiB to 256 MiB. A single
    /// larger record is a batch of its own.
    pub batch_max_bytes: usize,
    /// ... or when its first record has waited this long, 0 to 60,000 ms. The
    /// timer starts with that record; an idle pipeline has no timer.
    pub batch_timeout_ms: u64,
    /// A larger payload is dead-lettered without being parsed, 1 to 1,048,576,000 bytes.
    pub max_payload_bytes: usize,
    /// On shutdown: finish the write, commit and leave the group within this
    /// time, 100 to 600,000 ms.
    pub drain_timeout_ms: u64,
    /// First wait after the sink failed and may recover, 1 to 60,000 ms. Doubles
    /// with each failure up to `retry_max_ms`, jittered by half.
    pub retry_initial_ms: u64,
    /// Longest wait between attempts, `retry_initial_ms` to 600,000 ms.
    pub retry_max_ms: u64,
    /// Who the sink notes as owner of a position; informative only. Empty: the
    /// Kafka client id and the process id.
    pub owner: String,
}

impl Default for PipelineOptions {
    fn default() -> Self {
        Self {
            batch_size: 0,
            batch_size_min: 100,
            batch_size_max: 10_000,
            batch_latency_target_ms: 2_000,
            batch_max_bytes: 4 << 20,
            batch_timeout_ms: 100,
            max_payload_bytes: 1 << 20,
            drain_timeout_ms: 25_000,
            retry_initial_ms: 50,
            retry_max_ms: 2_000,
            owner: String::new(),
        }
    }
}

impl PipelineOptions {
    /// Checks every range, and the rules between these options and the group's.
    ///
    /// # Errors
    /// [`Error::Option`] for the first value out of range.
    pub fn validate(&self, group: &GroupOptions) -> Result<(), Error> {
        range("batch_size", self.batch_size, 0, 100_000)?;
        range("batch_size_max", self.batch_size_max, 1, 100_000)?;
        range("batch_size_min", self.batch_size_min, 1, self.batch_size_max)?;
        range("batch_latency_target_ms", self.batch_latency_target_ms, 1, 60_000)?;
        range("batch_max_bytes", self.batch_max_bytes, 1 << 10, 256 << 20)?;
        range("batch_timeout_ms", self.batch_timeout_ms, 0, 60_000)?;
        range("max_payload_bytes", self.max_payload_bytes, 1, 1_048_576_000)?;
        range("drain_timeout_ms", self.drain_timeout_ms, 100, 600_000)?;
        range("retry_initial_ms", self.retry_initial_ms, 1, 60_000)?;
        range("retry_max_ms", self.retry_max_ms, self.retry_initial_ms, 600_000)?;
        let largest = self.largest_batch();
        if largest as u64 > group.buffer_high_records {
            return Err(Error::Option {
                field: if self.batch_size == 0 { "batch_size_max" } else { "batch_size" },
                value: largest.to_string(),
                allowed: format!(
                    "at most buffer_high_records ({}): a larger batch could never fill",
                    group.buffer_high_records
                ),
            });
        }
        Ok(())
    }

    /// Most records of a batch.
    #[must_use]
    pub fn largest_batch(&self) -> usize {
        if self.batch_size == 0 { self.batch_size_max } else { self.batch_size }
    }

    pub(crate) fn batch_timeout(&self) -> Duration {
        Duration::from_millis(self.batch_timeout_ms)
    }

    pub(crate) fn drain_timeout(&self) -> Duration {
        Duration::from_millis(self.drain_timeout_ms)
    }
}

fn range<T: PartialOrd + Copy + std::fmt::Display>(
    field: &'static str,
    value: T,
    low: T,
    high: T,
) -> Result<(), Error> {
    if value >= low && value <= high {
        return Ok(());
    }
    Err(Error::Option { field, value: value.to_string(), allowed: format!("{low} to {high}") })
}
