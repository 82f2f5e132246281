//! `/metrics`: written from the objects as they are when somebody scrapes.

use std::sync::atomic::Ordering;

use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::{ConstCounter, Counter};
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry as Prometheus;
use tidegate_autoscale::law::SloTerms;

use crate::object::Object;
use crate::observe::Reads;
use crate::registry::Registry;

/// A metric as `/metrics` shows it: name, kind, help with its unit.
#[rustfmt::skip]
pub const METRICS: &[(&str, &str, &str)] = &[
    ("tidegate_scaler_desired_replicas", "gauge", "Pods that the law wants"),
    ("tidegate_scaler_hpa_desired_replicas", "gauge", "Pods that the HPA wants, where it may be asked"),
    ("tidegate_scaler_stock_desired_replicas", "gauge", "Pods that stock KEDA and its HPA would want on the same facts (shadow)"),
    ("tidegate_scaler_active", "gauge", "1 while there should be any pod, else 0"),
    ("tidegate_scaler_group_members", "gauge", "Members of the consumer group"),
    ("tidegate_scaler_lag_records", "gauge", "Records not yet committed, without transaction markers"),
    ("tidegate_scaler_oldest_record_age_seconds", "gauge", "Age of the oldest of them"),
    ("tidegate_scaler_arrival_rate", "gauge", "Records that arrive a second"),
    ("tidegate_scaler_pod_rate", "gauge", "Records a second that a busy pod does"),
    ("tidegate_scaler_facts_age_seconds", "gauge", "Seconds since the facts were read"),
    ("tidegate_scaler_facts_up", "gauge", "1 if the last read of Kafka answered for this object, else 0"),
    ("tidegate_scaler_objects", "gauge", "ScaledObjects that are served"),
    ("tidegate_scaler_kafka_connections", "gauge", "Connections to brokers that are open"),
    ("tidegate_scaler_reads_total", "counter", "Reads of a cluster, by outcome: complete, partial"),
    ("tidegate_scaler_read_seconds_total", "counter", "Time of all reads"),
    ("tidegate_scaler_requests_total", "counter", "gRPC calls by method and code"),
    ("tidegate_scaler_fenced_members_total", "counter", "Members of gone pods taken out of their group, by outcome: fenced, failed"),
];

type Labels = Vec<(&'static str, String)>;

/// Counters that events write to.
#[derive(Debug, Clone, Default)]
pub struct Counters {
    requests: Family<Labels, Counter>,
    fenced: Family<Labels, Counter>,
}

impl Counters {
    pub(crate) fn request(&self, method: &str, code: tonic::Code) {
        let labels = vec![("method", method.to_owned()), ("code", format!("{code:?}"))];
        self.requests.get_or_create(&labels).inc();
    }

    pub(crate) fn fenced(&self, is_fenced: bool) {
        let outcome = if is_fenced { "fenced" } else { "failed" };
        self.fenced.get_or_create(&vec![("outcome", outcome.to_owned())]).inc();
    }
}

fn help(name: &str) -> &'static str {
    METRICS.iter().find(|(known, ..)| *known == name).map_or("", |(_, _, help)| help)
}

/// The text of a scrape.
///
/// # Errors
/// When it cannot be written, which a `String` always can.
pub fn text(
    registry: &Registry,
    reads: &Reads,
    counters: &Counters,
    now_ms: i64,
) -> Result<String, std::fmt::Error> {
    let mut prometheus = Prometheus::default();
    let objects = registry.all();
    let count = Gauge::<i64>::default();
    count.set(i64::try_from(objects.len()).unwrap_or(i64::MAX));
    add(&mut prometheus, "tidegate_scaler_objects", count);
    let connections = Gauge::<i64>::default();
    let open: u64 = reads.connections.iter().map(|of| of.load(Ordering::Relaxed)).sum();
    connections.set(i64::try_from(open).unwrap_or(i64::MAX));
    add(&mut prometheus, "tidegate_scaler_kafka_connections", connections);
    for series in SERIES {
        let family = Family::<Labels, Gauge<f64, std::sync::atomic::AtomicU64>>::default();
        for object in &objects {
            if let Some(value) = (series.value)(object, now_ms) {
                family.get_or_create(&labels(object)).set(value);
            }
        }
        add(&mut prometheus, series.name, family);
    }
    let reads_by_outcome = Family::<Labels, Counter>::default();
    for (outcome, value) in [("complete", &reads.complete), ("partial", &reads.partial)] {
        let labels = vec![("outcome", outcome.to_owned())];
        reads_by_outcome.get_or_create(&labels).inc_by(value.load(Ordering::Relaxed));
    }
    add(&mut prometheus, "tidegate_scaler_reads_total", reads_by_outcome);
    let seconds = reads.micros.load(Ordering::Relaxed) as f64 / 1e6;
    add(&mut prometheus, "tidegate_scaler_read_seconds_total", ConstCounter::new(seconds));
    add(&mut prometheus, "tidegate_scaler_requests_total", counters.requests.clone());
    add(&mut prometheus, "tidegate_scaler_fenced_members_total", counters.fenced.clone());
    let mut text = String::new();
    encode(&mut text, &prometheus)?;
    Ok(text)
}

struct Series {
    name: &'static str,
    value: fn(&Object, i64) -> Option<f64>,
}

#[rustfmt::skip]
const SERIES: &[Series] = &[
    Series { name: "tidegate_scaler_desired_replicas", value: |o, _| read(o).then(|| f64::from(o.status().wanted)) },
    Series { name: "tidegate_scaler_hpa_desired_replicas", value: |o, _| o.status().hpa.map(|hpa| f64::from(hpa.desired)) },
    Series { name: "tidegate_scaler_stock_desired_replicas", value: |o, _| o.status().stock_wanted.map(f64::from) },
    Series { name: "tidegate_scaler_active", value: |o, _| read(o).then(|| f64::from(u8::from(o.status().active))) },
    Series { name: "tidegate_scaler_group_members", value: |o, _| o.status().members.map(f64::from) },
    Series { name: "tidegate_scaler_lag_records", value: |o, _| read(o).then(|| o.status().lag as f64) },
    Series { name: "tidegate_scaler_oldest_record_age_seconds", value: |o, _| terms(o).map(|terms| terms.oldest_age_s) },
    Series { name: "tidegate_scaler_arrival_rate", value: |o, _| terms(o).map(|terms| terms.arrival_per_s) },
    Series { name: "tidegate_scaler_pod_rate", value: |o, _| terms(o).map(|terms| terms.pod_rate_per_s) },
    Series { name: "tidegate_scaler_facts_age_seconds", value: |o, now_ms| read(o).then(|| (now_ms - o.status().at_ms).max(0) as f64 / 1000.0) },
    Series { name: "tidegate_scaler_facts_up", value: |o, _| read(o).then(|| f64::from(u8::from(o.status().error.is_none()))) },
];

fn read(object: &Object) -> bool {
    object.status().at_ms > 0
}

fn terms(object: &Object) -> Option<SloTerms> {
    object.newest().and_then(|decision| decision.terms)
}

fn labels(object: &Object) -> Labels {
    let key = object.key();
    vec![("namespace", key.namespace.clone()), ("name", key.name.clone())]
}

fn add(
    prometheus: &mut Prometheus,
    name: &'static str,
    series: impl prometheus_client::registry::Metric,
) {
    prometheus.register(name.trim_end_matches("_total"), help(name), series);
}

#[cfg(test)]
mod tests {
    use tidegate_autoscale::law::{StockLaw, StockOptions};
    use tidegate_autoscale::scaled_object::ScaledObject;
    use tidegate_kafka::PartitionOffsets;

    use super::*;
    use crate::kubernetes::HpaCounts;
    use crate::metadata::Settings;
    use crate::object::ObjectKey;

    /// A registry with one object for which everything is known.
    fn known() -> Registry {
        let metadata = [("consumerGroup", "g"), ("topic", "t")];
        let metadata = metadata.map(|(key, value)| (key.to_owned(), value.to_owned()));
        let settings = Settings::read("so", &metadata.clone().into()).expect("settings");
        let key = ObjectKey { namespace: "n".into(), name: "so".into(), metadata: metadata.into() };
        let registry = Registry::new(1, 1);
        let object = Object::new(key, settings, 0, None).expect("object");
        let object = registry.add(0, object).expect("room");
        let demo = include_str!("../../../config/scaled-object-demo.yaml");
        let demo = ScaledObject::from_yaml(demo, "demo").expect("manifest");
        object.compare_with(StockLaw::new(demo, StockOptions::default(), 0));
        let hpa = Some(HpaCounts { desired: 1, current: 1 });
        let partition =
            PartitionOffsets { partition: 0, committed: Some(1), start: Some(0), end: Some(5) };
        object.observe(1000, Ok(vec![partition]), Some(Vec::new()), hpa, true);
        registry
    }

    #[test]
    fn every_metric_of_the_table_is_exported() {
        let counters = Counters::default();
        counters.request("IsActive", tonic::Code::Ok);
        counters.fenced(true);
        let text = text(&known(), &Reads::new(1), &counters, 0).expect("text");
        for (name, kind, help) in METRICS {
            let family = name.trim_end_matches("_total");
            assert!(text.contains(&format!("# TYPE {family} {kind}\n")), "{name}\n{text}");
            assert!(text.contains(&format!("# HELP {family} {help}.\n")), "{name}\n{text}");
        }
        assert!(
            text.contains("tidegate_scaler_requests_total{method=\"IsActive\",code=\"Ok\"} 1"),
            "{text}"
        );
    }
}
