//! What happens, as structs: `emit` writes the log line and moves the metrics
//! together, so that neither tells a story of its own.

use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use tidegate_kafka::{Record, TopicPartition};

use crate::PipelineOptions;
use crate::batch::Batch;
use crate::decode::Rejection;
use crate::sink::Written;
use crate::status::Status;

/// The process begins. The two lines are the published demo's.
pub(crate) struct Started<'a> {
    pub(crate) topic: &'a str,
    pub(crate) options: &'a PipelineOptions,
}

impl Started<'_> {
    pub(crate) fn emit(self) {
        let timeout_s = self.options.batch_timeout().as_secs_f64();
        tracing::info!("Starting Kafka batch processor for topic: {}", self.topic);
        match self.options.batch_size {
            0 => tracing::info!(
                "Batch size: adaptive, {} to {}, Batch timeout: {timeout_s}s",
                self.options.batch_size_min,
                self.options.batch_size_max
            ),
            size => tracing::info!("Batch size: {size}, Batch timeout: {timeout_s}s"),
        }
    }
}

/// A batch goes to the sink. The line is the published demo's.
pub(crate) struct BatchStarted {
    pub(crate) records: usize,
}

impl BatchStarted {
    pub(crate) fn emit(self) {
        tracing::info!("Processing batch of {} messages", self.records);
    }
}

/// The sink has committed a batch.
pub(crate) struct BatchWritten<'a, R> {
    pub(crate) batch: &'a Batch<R>,
    pub(crate) written: &'a Written,
    pub(crate) took: Duration,
}

impl<R> BatchWritten<'_, R> {
    pub(crate) fn emit(self, status: &Status) {
        let metrics = &status.metrics;
        let refused =
            self.written.rejected.iter().map(|(index, why)| {
                (self.batch.entries().get(*index).map(|entry| &entry.record), why)
            });
        let mut errors = 0;
        for (record, why) in self.batch.dead_letters().map(|(r, why)| (Some(r), why)).chain(refused)
        {
            errors += 1;
            metrics.dead_letters.get_or_create(&[("reason", why.code)]).inc();
            dead_letter_line(record, why, errors);
        }
        if errors > DEAD_LETTER_LINES {
            tracing::warn!(dead_letters = errors, "more dead letters in this batch");
        }
        let records = self.batch.len() as u64;
        let rows = records.saturating_sub(errors);
        metrics.processed.get_or_create(&[("status", "success")]).inc_by(rows);
        metrics.processed.get_or_create(&[("status", "error")]).inc_by(errors);
        metrics.batch_seconds.observe(self.took.as_secs_f64());
        metrics.batch_records.observe(records as f64);
        for timestamp_ms in self.batch.entries().iter().filter_map(|e| e.record.timestamp_ms) {
            // What the sink says is the sink's own.
            let age_ms = self.written.committed_at_ms.saturating_sub(timestamp_ms).max(0);
            metrics.age_seconds.observe(age_ms as f64 / 1000.0);
        }
        status.rows.fetch_add(rows, Relaxed);
        status.dead_letters.fetch_add(errors, Relaxed);
        status.batches.fetch_add(1, Relaxed);
        status.batch_micros.fetch_add(self.took.as_micros() as u64, Relaxed);
        status.count_committed(self.batch.len());
        tracing::debug!(records, took_ms = self.took.as_millis() as u64, "batch written");
    }
}

/// A flood of bad records should not become a flood of lines.
const DEAD_LETTER_LINES: u64 = 3;

fn dead_letter_line(record: Option<&Record>, why: &Rejection, nth: u64) {
    let (Some(record), 1..=DEAD_LETTER_LINES) = (record, nth) else { return };
    let (partition, offset) = (record.partition, record.offset);
    let (code, reason) = (why.code, why.reason.as_str());
    tracing::warn!(topic = %record.topic, partition, offset, code, reason, "record dead-lettered");
}

/// A call of the sink failed.
pub(crate) struct SinkFailed<'a> {
    pub(crate) kind: &'static str,
    pub(crate) doing: &'static str,
    pub(crate) why: &'a str,
    /// `None`: there will be no other attempt.
    pub(crate) retry_in: Option<Duration>,
}

impl SinkFailed<'_> {
    pub(crate) fn emit(self, status: &Status) {
        status.metrics.sink_failures.get_or_create(&[("kind", self.kind)]).inc();
        let first = status.set_sink_failure(Some(self.why));
        let (doing, error) = (self.doing, self.why);
        match self.retry_in.map(|wait| wait.as_millis() as u64) {
            Some(retry_in_ms) if first => {
                tracing::warn!(doing, error, retry_in_ms, "sink unavailable, holding back");
            }
            Some(retry_in_ms) => {
                tracing::debug!(doing, error, retry_in_ms, "sink still unavailable");
            }
            None => tracing::error!(doing, error, "sink failed for good"),
        }
    }
}

/// A call of the sink succeeded.
pub(crate) struct SinkWorks;

impl SinkWorks {
    pub(crate) fn emit(self, status: &Status) {
        if status.set_sink_failure(None) {
            tracing::info!("sink available");
        }
    }
}

/// Others moved the positions of partitions we believed to own.
pub(crate) struct Fenced<'a> {
    pub(crate) partitions: &'a [TopicPartition],
}

impl Fenced<'_> {
    pub(crate) fn emit(self, status: &Status) {
        let count = self.partitions.len() as u64;
        status.metrics.sink_failures.get_or_create(&[("kind", "fenced")]).inc();
        status.metrics.fenced.inc_by(count);
        status.fenced.fetch_add(count, Relaxed);
        tracing::warn!(
            partitions = %names(self.partitions),
            "fenced: another owner has written these partitions; nothing was stored twice, \
             going on from its position"
        );
    }
}

/// After a failure the sink holds other positions than it did, of partitions to which
/// nothing came: it has forgotten commits.
pub(crate) struct PositionsMoved {
    pub(crate) partitions: usize,
}

impl PositionsMoved {
    pub(crate) fn emit(self, status: &Status) {
        let count = self.partitions as u64;
        status.metrics.fenced.inc_by(count);
        status.fenced.fetch_add(count, Relaxed);
        tracing::warn!(
            partitions = self.partitions,
            "the sink came back with other positions: going on from them"
        );
    }
}

/// A fenced partition goes on.
pub(crate) struct Repositioned<'a> {
    pub(crate) partition: &'a TopicPartition,
    pub(crate) next_offset: i64,
}

impl Repositioned<'_> {
    pub(crate) fn emit(self) {
        tracing::info!(partition = %self.partition, next_offset = self.next_offset, "position read again, seeking");
    }
}

/// How a set of owned partitions changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Change {
    Assigned,
    Revoked,
    Lost,
}

impl Change {
    fn name(self) -> &'static str {
        match self {
            Self::Assigned => "assigned",
            Self::Revoked => "revoked",
            Self::Lost => "lost",
        }
    }
}

/// Partitions came or went.
pub(crate) struct PartitionsChanged<'a> {
    pub(crate) change: Change,
    pub(crate) partitions: &'a [TopicPartition],
    /// Partitions owned afterwards.
    pub(crate) owned: usize,
}

impl PartitionsChanged<'_> {
    pub(crate) fn emit(self, status: &Status) {
        status.metrics.assigned.set(self.owned as i64);
        if self.partitions.is_empty() {
            return;
        }
        let (change, count, owned) = (self.change.name(), self.partitions.len(), self.owned);
        let label = [("kind", change)];
        status.metrics.partition_changes.get_or_create(&label).inc_by(count as u64);
        let partitions = names(self.partitions);
        match self.change {
            Change::Lost => tracing::warn!(change, count, owned, %partitions, "partitions changed"),
            _ => tracing::info!(change, count, owned, %partitions, "partitions changed"),
        }
    }
}

/// Why delivered records were not written here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DropReason {
    /// Their partition was revoked, lost or fenced, or the pipeline drains.
    NotOwned,
    /// They had been delivered before.
    Repeated,
}

/// Records were dropped; somebody reads them again from their partition's position.
pub(crate) struct Dropped {
    pub(crate) reason: DropReason,
    pub(crate) records: usize,
}

impl Dropped {
    pub(crate) fn emit(self, status: &Status) {
        let reason = match self.reason {
            DropReason::NotOwned => "not_owned",
            DropReason::Repeated => "repeated",
        };
        let dropped = status.metrics.dropped.get_or_create(&[("reason", reason)]);
        dropped.inc_by(self.records as u64);
        tracing::debug!(reason, records = self.records, "records dropped");
    }
}

/// A write could not be waited for.
pub(crate) struct WriteAbandoned {
    pub(crate) why: &'static str,
    pub(crate) after: Duration,
}

impl WriteAbandoned {
    pub(crate) fn emit(self, status: &Status) {
        status.metrics.abandoned.inc();
        let after_ms = self.after.as_millis() as u64;
        tracing::warn!(why = self.why, after_ms, "write abandoned, its records will be read again");
    }
}

/// The sink has been working on a batch for long. What waits for it is told by no error.
pub(crate) struct WriteRuns {
    pub(crate) records: usize,
    pub(crate) after: Duration,
}

impl WriteRuns {
    pub(crate) fn emit(self) {
        let (records, after_s) = (self.records, self.after.as_secs());
        tracing::warn!(
            records,
            after_s,
            "the sink has not answered a write yet; its partitions wait"
        );
    }
}

/// Intake stops.
pub(crate) struct DrainStarted {
    pub(crate) in_flight: usize,
    pub(crate) timeout: Duration,
}

impl DrainStarted {
    pub(crate) fn emit(self) {
        let timeout_ms = self.timeout.as_millis() as u64;
        tracing::info!(in_flight_records = self.in_flight, timeout_ms, "draining");
    }
}

fn names(partitions: &[TopicPartition]) -> String {
    let mut names = String::new();
    for partition in partitions {
        if !names.is_empty() {
            names.push(' ');
        }
        names.push_str(&partition.to_string());
    }
    names
}
