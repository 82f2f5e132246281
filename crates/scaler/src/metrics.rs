//! `/metrics`: written from the objects as they are when somebody scrapes.

use std::sync::atomic::Ordering;

use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::{ConstCounter, Counter};
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry as Prometheus;
use tidegate_autoscale::law::{Decision, SloTerms};

use crate::object::Object;
use crate::observe::Reads;
use crate::registry::Registry;

/// A metric as `/metrics` shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MetricInfo {
    /// Full name, with the suffix `_total` of counters.
    pub name: &'static str,
    /// `counter` or `gauge`.
    pub kind: &'static str,
    /// Label names.
    pub labels: &'static [&'static str],
    /// What it says, with its unit.
    pub help: &'static str,
}

const fn metric(
    name: &'static str,
    kind: &'static str,
    labels: &'static [&'static str],
    help: &'static str,
) -> MetricInfo {
    MetricInfo { name, kind, labels, help }
}

/// Labels of what is told by ScaledObject: as many values as there are objects.
const OBJECT: &[&str] = &["namespace", "name", "group", "topic"];

/// Every metric.
#[rustfmt::skip]
pub const METRICS: &[MetricInfo] = &[
    metric("tidegate_scaler_desired_replicas", "gauge", OBJECT, "Pods that the law wants"),
    metric("tidegate_scaler_hpa_desired_replicas", "gauge", OBJECT, "Pods that the HPA wants, where it may be asked"),
    metric("tidegate_scaler_hpa_has_metric", "gauge", OBJECT, "1 if the HPA asks for the metric of this scaler, 0 if it never will, where the Kubernetes API may be asked"),
    metric("tidegate_scaler_stock_desired_replicas", "gauge", OBJECT, "Pods that stock KEDA and its HPA would want on the same facts (shadow)"),
    metric("tidegate_scaler_active", "gauge", OBJECT, "1 while there should be any pod, else 0"),
    metric("tidegate_scaler_group_members", "gauge", OBJECT, "Members of the consumer group"),
    metric("tidegate_scaler_lag_records", "gauge", OBJECT, "Records not yet committed, without transaction markers"),
    metric("tidegate_scaler_oldest_age_seconds", "gauge", OBJECT, "Age of the oldest of them in seconds, estimated from the offsets; law slo only"),
    metric("tidegate_scaler_arrival_rate", "gauge", OBJECT, "Records that arrive a second"),
    metric("tidegate_scaler_pod_rate", "gauge", OBJECT, "Records a second that a busy pod does"),
    metric("tidegate_scaler_sink_limited", "gauge", OBJECT, "1 if half of the pods that were asked say that the sink is the limit, else 0; absent where they are not asked"),
    metric("tidegate_scaler_facts_age_seconds", "gauge", OBJECT, "Seconds since Kafka was read successfully for this object"),
    metric("tidegate_scaler_facts_up", "gauge", OBJECT, "1 if the last read of Kafka answered for this object, else 0"),
    metric("tidegate_scaler_decision_info", "gauge", &["namespace", "name", "group", "topic", "by", "decided", "binding"], "Always 1: the last decision, who made it (slo, keda), what it was (up, down, hold), and what bound it"),
    metric("tidegate_scaler_objects", "gauge", &[], "ScaledObjects that are served"),
    metric("tidegate_scaler_kafka_connections", "gauge", &[], "Connections to brokers that are open"),
    metric("tidegate_scaler_kafka_requests_total", "counter", &[], "Requests to brokers, those of connecting left out"),
    metric("tidegate_scaler_reads_total", "counter", &["outcome"], "Reads of a cluster, by outcome: complete, partial"),
    metric("tidegate_scaler_read_seconds_total", "counter", &[], "Time of all reads"),
    metric("tidegate_scaler_requests_total", "counter", &["method", "code"], "gRPC calls by method and code"),
    metric("tidegate_scaler_pods_asked_total", "counter", &["outcome"], "Pods asked for their sink, by outcome: answered, failed"),
    metric("tidegate_scaler_fenced_members_total", "counter", &["outcome"], "Members of gone pods taken out of their group, by outcome: fenced, failed"),
    metric("tidegate_scaler_mended_hpas_total", "counter", &["outcome"], "HPAs without a metric that KEDA was asked to look at again, by outcome: asked, failed"),
];

type Labels = Vec<(&'static str, String)>;

/// Counters that events write to.
#[derive(Debug, Clone, Default)]
pub struct Counters {
    requests: Family<Labels, Counter>,
    fenced: Family<Labels, Counter>,
    asked: Family<Labels, Counter>,
    mended: Family<Labels, Counter>,
}

impl Counters {
    pub(crate) fn request(&self, method: &str, code: tonic::Code) {
        let labels = vec![("method", method.to_owned()), ("code", format!("{code:?}"))];
        self.requests.get_or_create(&labels).inc();
    }

    pub(crate) fn pod_asked(&self, answered: bool) {
        let outcome = if answered { "answered" } else { "failed" };
        self.asked.get_or_create(&vec![("outcome", outcome.to_owned())]).inc();
    }

    pub(crate) fn mended(&self, is_asked: bool) {
        let outcome = if is_asked { "asked" } else { "failed" };
        self.mended.get_or_create(&vec![("outcome", outcome.to_owned())]).inc();
    }

    pub(crate) fn fenced(&self, is_fenced: bool) {
        let outcome = if is_fenced { "fenced" } else { "failed" };
        self.fenced.get_or_create(&vec![("outcome", outcome.to_owned())]).inc();
    }
}

fn help(name: &str) -> &'static str {
    METRICS.iter().find(|known| known.name == name).map_or("", |known| known.help)
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
    let decided = Family::<Labels, Gauge>::default();
    for object in &objects {
        if let Some(decision) = object.newest() {
            let mut labels = labels(object);
            labels.extend(decision_labels(&decision));
            decided.get_or_create(&labels).set(1);
        }
    }
    add(&mut prometheus, "tidegate_scaler_decision_info", decided);
    let reads_by_outcome = Family::<Labels, Counter>::default();
    for (outcome, value) in [("complete", &reads.complete), ("partial", &reads.partial)] {
        let labels = vec![("outcome", outcome.to_owned())];
        reads_by_outcome.get_or_create(&labels).inc_by(value.load(Ordering::Relaxed));
    }
    add(&mut prometheus, "tidegate_scaler_reads_total", reads_by_outcome);
    let seconds = reads.micros.load(Ordering::Relaxed) as f64 / 1e6;
    add(&mut prometheus, "tidegate_scaler_read_seconds_total", ConstCounter::new(seconds));
    let requests: u64 = reads.requests.iter().map(|of| of.load(Ordering::Relaxed)).sum();
    add(&mut prometheus, "tidegate_scaler_kafka_requests_total", ConstCounter::new(requests));
    add(&mut prometheus, "tidegate_scaler_requests_total", counters.requests.clone());
    add(&mut prometheus, "tidegate_scaler_pods_asked_total", counters.asked.clone());
    add(&mut prometheus, "tidegate_scaler_fenced_members_total", counters.fenced.clone());
    add(&mut prometheus, "tidegate_scaler_mended_hpas_total", counters.mended.clone());
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
    Series { name: "tidegate_scaler_hpa_has_metric", value: |o, _| o.status().hpa.map(|hpa| f64::from(u8::from(hpa.has_metric))) },
    Series { name: "tidegate_scaler_stock_desired_replicas", value: |o, _| o.status().stock_wanted.map(f64::from) },
    Series { name: "tidegate_scaler_active", value: |o, _| read(o).then(|| f64::from(u8::from(o.status().active))) },
    Series { name: "tidegate_scaler_group_members", value: |o, _| o.status().members.map(f64::from) },
    Series { name: "tidegate_scaler_lag_records", value: |o, _| read(o).then(|| o.status().lag as f64) },
    Series { name: "tidegate_scaler_oldest_age_seconds", value: |o, _| terms(o).map(|terms| terms.oldest_age_s) },
    Series { name: "tidegate_scaler_arrival_rate", value: |o, _| terms(o).map(|terms| terms.arrival_per_s) },
    Series { name: "tidegate_scaler_pod_rate", value: |o, _| terms(o).map(|terms| terms.pod_rate_per_s) },
    Series { name: "tidegate_scaler_sink_limited", value: |o, now_ms| o.sink(now_ms).map(|sink| f64::from(u8::from(sink.limited))) },
    Series { name: "tidegate_scaler_facts_age_seconds", value: |o, now_ms| Some((now_ms - o.status().facts_ms).max(0) as f64 / 1000.0) },
    Series { name: "tidegate_scaler_facts_up", value: |o, _| read(o).then(|| f64::from(u8::from(o.status().error.is_none()))) },
];

fn read(object: &Object) -> bool {
    object.status().at_ms > 0
}

fn terms(object: &Object) -> Option<SloTerms> {
    object.newest().and_then(|decision| decision.terms)
}

fn labels(object: &Object) -> Labels {
    let (key, wants) = (object.key(), object.wants());
    vec![
        ("namespace", key.namespace.clone()),
        ("name", key.name.clone()),
        ("group", wants.group.clone()),
        ("topic", wants.topic.clone()),
    ]
}

/// Words only: a number or a sentence would be a new series with each decision.
fn decision_labels(decision: &Decision) -> Labels {
    let decided = match decision.to.cmp(&decision.from) {
        std::cmp::Ordering::Less => "down",
        std::cmp::Ordering::Equal => "hold",
        std::cmp::Ordering::Greater => "up",
    };
    let binding = match &decision.terms {
        Some(terms) => word(&terms.term),
        None if decision.metric.is_none() => "stale".into(),
        None => "lag".into(),
    };
    vec![("by", word(&decision.decided_by)), ("decided", decided.to_owned()), ("binding", binding)]
}

/// An enumeration's value as JSON writes it.
fn word(value: &impl serde::Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(word)) => word,
        _ => "unknown".into(),
    }
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
    use tidegate_autoscale::law::{SinkFacts, StockLaw, StockOptions};
    use tidegate_autoscale::scaled_object::ScaledObject;
    use tidegate_kafka::{ClusterError, PartitionOffsets};

    use super::*;
    use crate::kubernetes::HpaFacts;
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
        let hpa = Some(HpaFacts { desired: 1, current: 1, has_metric: true });
        let partition =
            PartitionOffsets { partition: 0, committed: Some(1), start: Some(0), end: Some(5) };
        object.set_sink(1000, Some(SinkFacts::default()));
        object.observe(1000, Ok(vec![partition]), Some(Vec::new()), hpa, true);
        registry
    }

    #[test]
    fn every_metric_of_the_table_is_exported() {
        let counters = Counters::default();
        counters.request("IsActive", tonic::Code::Ok);
        counters.fenced(true);
        counters.mended(true);
        counters.pod_asked(true);
        let text = text(&known(), &Reads::new(1), &counters, 0).expect("text");
        for MetricInfo { name, kind, labels, help } in METRICS {
            let family = name.trim_end_matches("_total");
            assert!(text.contains(&format!("# TYPE {family} {kind}\n")), "{name}\n{text}");
            assert!(text.contains(&format!("# HELP {family} {help}.\n")), "{name}\n{text}");
            let series = text.lines().find(|line| {
                line.strip_prefix(name).is_some_and(|rest| rest.starts_with(['{', ' ']))
            });
            let series = series.unwrap_or_else(|| panic!("{name} has no series\n{text}"));
            let found: Vec<&str> = series
                .split_once('{')
                .and_then(|(_, rest)| rest.split_once('}'))
                .map(|(list, _)| list.split(',').filter_map(|one| one.split('=').next()).collect())
                .unwrap_or_default();
            assert_eq!(found, *labels, "{name}");
        }
        assert!(
            text.contains("tidegate_scaler_requests_total{method=\"IsActive\",code=\"Ok\"} 1"),
            "{text}"
        );
    }
    #[test]
    fn facts_grow_old_while_kafka_is_gone_and_a_decision_is_told_in_words() {
        let registry = known();
        let shown = |now_ms| {
            let text = text(&registry, &Reads::new(1), &Counters::default(), now_ms);
            text.expect("text")
        };
        let of = "{namespace=\"n\",name=\"so\",group=\"g\",topic=\"t\"}";
        let age = |seconds| format!("tidegate_scaler_facts_age_seconds{of} {seconds}\n");
        assert!(shown(4000).contains(&age("3.0")), "{}", shown(4000));
        let object = registry.all().remove(0);
        let gone = ClusterError::Unreachable { broker: "b:1".into(), reason: "refused".into() };
        object.observe(9000, Err(gone), None, None, true);
        assert!(shown(10_000).contains(&age("9.0")), "a failed read is no fact: {}", shown(10_000));
        assert!(
            shown(10_000).contains("decided=\"hold\",binding=\"stale\"} 1"),
            "{}",
            shown(10_000)
        );
    }
}
