//! Metrics computed at the scrape: the rate, the oldest record, and what the
//! Kafka side counts itself.

use std::fmt;
use std::sync::Arc;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;

use crate::metrics::info;
use crate::status::Status;

/// Reads [`Status`] once a scrape.
#[derive(Debug)]
pub(crate) struct Scrape {
    pub(crate) status: Arc<Status>,
}

impl Collector for Scrape {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let rate = self.status.records_per_second();
        one(&mut encoder, "kafka_messages_per_second", &ConstGauge::new(rate))?;
        let age_s = self.status.oldest_age_ms().unwrap_or(0) as f64 / 1000.0;
        one(&mut encoder, "tidegate_oldest_record_age_seconds", &ConstGauge::new(age_s))?;
        let sink = self.status.sink();
        let as_gauge = |value: bool| f64::from(u8::from(value));
        for (name, value) in [
            ("tidegate_batch_limit_records", sink.batch_limit as f64),
            ("tidegate_writes_limit", sink.writes_limit as f64),
            ("tidegate_sink_limited", as_gauge(sink.limited)),
            ("tidegate_sink_busy_ratio", sink.busy),
            ("tidegate_sink_slowdown_ratio", sink.slowdown.max(1.0)),
            ("tidegate_sink_fixed_seconds", sink.fixed_s),
            ("tidegate_sink_row_seconds", sink.row_s),
        ] {
            one(&mut encoder, name, &ConstGauge::new(value))?;
        }
        let group = self.status.group();
        let group = group.as_ref();
        let paused = i64::from(group.is_some_and(|group| group.paused));
        one(&mut encoder, "tidegate_fetch_paused", &ConstGauge::new(paused))?;
        let rebalances = ConstCounter::new(group.map_or(0, |group| group.rebalances_total));
        one(&mut encoder, "tidegate_rebalances_total", &rebalances)?;
        let commits = ConstCounter::new(group.map_or(0, |group| group.commits_total));
        one(&mut encoder, "tidegate_offset_commits_total", &commits)?;

        let token = group.and_then(|group| group.token.as_ref());
        let refreshes = ConstCounter::new(token.map_or(0, |token| token.refreshes_total));
        one(&mut encoder, "tidegate_kafka_token_refreshes_total", &refreshes)?;
        let failed = ConstCounter::new(token.map_or(0, |token| token.failures_total));
        one(&mut encoder, "tidegate_kafka_token_failures_total", &failed)?;
        let expiry_ms = token.and_then(|token| token.expires_at_ms).unwrap_or(0);
        let expiry = ConstGauge::new(expiry_ms as f64 / 1000.0);
        one(&mut encoder, "tidegate_kafka_token_expiry_timestamp_seconds", &expiry)?;

        let failures = info("tidegate_offset_commit_failures_total");
        let mut family = encoder.encode_descriptor(
            failures.name.trim_end_matches("_total"),
            failures.help,
            None,
            MetricType::Counter,
        )?;
        for (reason, count) in group.iter().flat_map(|group| &group.commit_failures) {
            let label = [("reason", reason.as_str())];
            ConstCounter::new(*count).encode(family.encode_family(&label)?)?;
        }
        Ok(())
    }
}

fn one(
    encoder: &mut DescriptorEncoder<'_>,
    name: &'static str,
    value: &impl EncodeMetric,
) -> Result<(), fmt::Error> {
    let metric = info(name);
    let shown = metric.name.trim_end_matches("_total");
    value.encode(encoder.encode_descriptor(shown, metric.help, None, value.metric_type())?)
}
