//! Every metric of the pipeline: one table of names, the registered series, and
//! what is computed when somebody scrapes.
//!
//! Computed at the scrape and not by a timer: an idle pod should not wake up
//! only to tell that nothing happened.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Metric, Registry};

use crate::decode::reason;

/// A metric as `/metrics` shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MetricInfo {
    /// Full name, with the suffix `_total` of counters.
    pub name: &'static str,
    /// `counter`, `gauge` or `histogram`.
    pub kind: &'static str,
    /// Label name, if the metric has one.
    pub label: Option<&'static str>,
    /// What it says, with its unit.
    pub help: &'static str,
}

const fn metric(
    name: &'static str,
    kind: &'static str,
    label: Option<&'static str>,
    help: &'static str,
) -> MetricInfo {
    MetricInfo { name, kind, label, help }
}

/// Every metric. The first four are the published demo's.
#[rustfmt::skip]
pub const METRICS: &[MetricInfo] = &[
    metric("kafka_messages_processed_total", "counter", Some("status"), "Records whose transaction committed: success = row, error = dead letter"),
    metric("kafka_messages_per_second", "gauge", None, "Records committed a second, over the last ten seconds"),
    metric("kafka_batch_processing_seconds", "histogram", None, "Seconds from handing a batch to the sink to its success"),
    metric("kafka_message_age_seconds", "histogram", None, "Seconds from a record's timestamp to the commit of its transaction"),
    metric("tidegate_batch_records", "histogram", None, "Records in a written batch"),
    metric("tidegate_dead_letters_total", "counter", Some("reason"), "Dead letters written, by reason code"),
    metric("tidegate_records_dropped_total", "counter", Some("reason"), "Delivered records not written here: their next owner or a later read writes them"),
    metric("tidegate_sink_failures_total", "counter", Some("kind"), "Failed calls of the sink: retry, fenced, fatal"),
    metric("tidegate_sink_up", "gauge", None, "1 if the last call of the sink succeeded, else 0"),
    metric("tidegate_partitions_fenced_total", "counter", None, "Partitions whose position another owner had moved"),
    metric("tidegate_writes_abandoned_total", "counter", None, "Writes given up because a revoke or drain could not wait"),
    metric("tidegate_partition_changes_total", "counter", Some("kind"), "Partitions assigned, revoked and lost"),
    metric("tidegate_rebalances_total", "counter", None, "Rebalances of the group this member took part in"),
    metric("tidegate_offset_commits_total", "counter", None, "Commits of offsets to Kafka that succeeded"),
    metric("tidegate_offset_commit_failures_total", "counter", Some("reason"), "Commits of offsets to Kafka that were refused"),
    metric("tidegate_assigned_partitions", "gauge", None, "Partitions owned"),
    metric("tidegate_buffered_records", "gauge", None, "Records that wait for a batch"),
    metric("tidegate_buffered_bytes", "gauge", None, "Bytes of keys and payloads that wait for a batch"),
    metric("tidegate_in_flight_records", "gauge", None, "Records in the batches being written"),
    metric("tidegate_in_flight_batches", "gauge", None, "Batches handed to the sink and not yet written"),
    metric("tidegate_batch_limit_records", "gauge", None, "Records at which a batch closes now"),
    metric("tidegate_writes_limit", "gauge", None, "Writes that may run at once now"),
    metric("tidegate_sink_limited", "gauge", None, "1 while the sink is the limit and more consumers would not help, else 0"),
    metric("tidegate_sink_busy_ratio", "gauge", None, "Share of the last seconds in which full batches waited for the sink, 0 to 1"),
    metric("tidegate_sink_slowdown_ratio", "gauge", None, "Best capacity of the sink seen by this consumer against the one now, at least 1"),
    metric("tidegate_sink_fixed_seconds", "gauge", None, "Measured cost of a write whatever its size, seconds"),
    metric("tidegate_sink_row_seconds", "gauge", None, "Measured cost of a row in a write, seconds"),
    metric("tidegate_fetch_paused", "gauge", None, "1 while fetching is paused because the buffers are full, else 0"),
    metric("tidegate_kafka_token_refreshes_total", "counter", None, "Kafka tokens, or the AWS credentials that sign them, obtained"),
    metric("tidegate_kafka_token_failures_total", "counter", None, "Attempts to obtain them that failed"),
    metric("tidegate_kafka_token_expiry_timestamp_seconds", "gauge", None, "Unix time at which what was obtained expires, 0 if it does not"),
    metric("tidegate_oldest_record_age_seconds", "gauge", None, "Age of the oldest record received and not yet committed, 0 if there is none"),
];

pub(crate) fn info(name: &'static str) -> MetricInfo {
    METRICS.iter().copied().find(|metric| metric.name == name).unwrap_or(MetricInfo {
        name,
        kind: "unknown",
        label: None,
        help: "not in the table of metrics",
    })
}

pub(crate) type Label = [(&'static str, &'static str); 1];

/// The series that events write to.
#[derive(Debug, Clone)]
pub(crate) struct Metrics {
    pub(crate) processed: Family<Label, Counter>,
    pub(crate) batch_seconds: Histogram,
    pub(crate) age_seconds: Histogram,
    pub(crate) batch_records: Histogram,
    pub(crate) dead_letters: Family<Label, Counter>,
    pub(crate) dropped: Family<Label, Counter>,
    pub(crate) sink_failures: Family<Label, Counter>,
    pub(crate) sink_up: Gauge,
    pub(crate) fenced: Counter,
    pub(crate) abandoned: Counter,
    pub(crate) partition_changes: Family<Label, Counter>,
    pub(crate) assigned: Gauge,
    pub(crate) buffered_records: Gauge,
    pub(crate) buffered_bytes: Gauge,
    pub(crate) in_flight_records: Gauge,
    pub(crate) in_flight_batches: Gauge,
}

/// 1 ms to 65 s: a real write to the demo's second and far beyond.
const BATCH_SECONDS: [f64; 17] = [
    0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 1.5, 2.0, 5.0, 10.0, 20.0, 40.0,
    65.0,
];

/// 10 ms to an hour: from a healthy pipeline to a backlog nobody served.
const AGE_SECONDS: [f64; 18] = [
    0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1200.0,
    1800.0, 3600.0,
];

const BATCH_RECORDS: [f64; 10] =
    [1.0, 10.0, 50.0, 100.0, 250.0, 500.0, 1000.0, 2500.0, 5000.0, 10000.0];

impl Metrics {
    pub(crate) fn new() -> Self {
        Self {
            processed: Family::default(),
            batch_seconds: Histogram::new(BATCH_SECONDS),
            age_seconds: Histogram::new(AGE_SECONDS),
            batch_records: Histogram::new(BATCH_RECORDS),
            dead_letters: Family::default(),
            dropped: Family::default(),
            sink_failures: Family::default(),
            sink_up: Gauge::default(),
            fenced: Counter::default(),
            abandoned: Counter::default(),
            partition_changes: Family::default(),
            assigned: Gauge::default(),
            buffered_records: Gauge::default(),
            buffered_bytes: Gauge::default(),
            in_flight_records: Gauge::default(),
            in_flight_batches: Gauge::default(),
        }
    }

    pub(crate) fn register(&self, registry: &mut Registry) {
        // Known labels exist from the start, so that a rate is 0 and not absent.
        for (family, name, values) in [
            (&self.processed, "status", &["success", "error"][..]),
            (&self.dead_letters, "reason", reason::ALL),
            (&self.dropped, "reason", &["not_owned", "repeated"]),
            (&self.sink_failures, "kind", &["retry", "fenced", "fatal"]),
            (&self.partition_changes, "kind", &["assigned", "revoked", "lost"]),
        ] {
            for value in values {
                drop(family.get_or_create(&[(name, value)]));
            }
        }
        add(registry, "kafka_messages_processed_total", &self.processed);
        add(registry, "kafka_batch_processing_seconds", &self.batch_seconds);
        add(registry, "kafka_message_age_seconds", &self.age_seconds);
        add(registry, "tidegate_batch_records", &self.batch_records);
        add(registry, "tidegate_dead_letters_total", &self.dead_letters);
        add(registry, "tidegate_records_dropped_total", &self.dropped);
        add(registry, "tidegate_sink_failures_total", &self.sink_failures);
        add(registry, "tidegate_sink_up", &self.sink_up);
        add(registry, "tidegate_partitions_fenced_total", &self.fenced);
        add(registry, "tidegate_writes_abandoned_total", &self.abandoned);
        add(registry, "tidegate_partition_changes_total", &self.partition_changes);
        add(registry, "tidegate_assigned_partitions", &self.assigned);
        add(registry, "tidegate_buffered_records", &self.buffered_records);
        add(registry, "tidegate_buffered_bytes", &self.buffered_bytes);
        add(registry, "tidegate_in_flight_records", &self.in_flight_records);
        add(registry, "tidegate_in_flight_batches", &self.in_flight_batches);
    }
}

fn add(registry: &mut Registry, name: &'static str, series: &(impl Metric + Clone)) {
    let MetricInfo { name, help, .. } = info(name);
    registry.register(name.trim_end_matches("_total"), help, series.clone());
}

#[cfg(test)]
mod tests;
