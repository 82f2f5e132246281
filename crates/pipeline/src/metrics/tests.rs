use std::collections::BTreeSet;
use std::sync::Arc;

use prometheus_client::registry::Registry;

use super::METRICS;
use crate::scrape::Scrape;
use crate::status::Status;

fn exposition() -> String {
    let status = Arc::new(Status::new());
    let mut registry = Registry::default();
    status.metrics.register(&mut registry);
    registry.register_collector(Box::new(Scrape { status }));
    let mut text = String::new();
    prometheus_client::encoding::text::encode(&mut text, &registry).expect("encodes");
    text
}

#[test]
fn the_table_is_what_a_scrape_shows() {
    let text = exposition();
    let shown: BTreeSet<(String, String)> = text
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE "))
        .filter_map(|line| line.split_once(' '))
        .map(|(name, kind)| {
            let suffix = if kind == "counter" { "_total" } else { "" };
            (format!("{name}{suffix}"), kind.to_owned())
        })
        .collect();
    let table: BTreeSet<(String, String)> =
        METRICS.iter().map(|metric| (metric.name.to_owned(), metric.kind.to_owned())).collect();
    assert_eq!(shown, table);
}

#[test]
fn the_demos_metrics_exist_before_the_first_record() {
    let text = exposition();
    for line in [
        "kafka_messages_processed_total{status=\"success\"} 0",
        "kafka_messages_processed_total{status=\"error\"} 0",
        "kafka_messages_per_second 0.0",
        "kafka_batch_processing_seconds_count 0",
        "kafka_message_age_seconds_count 0",
    ] {
        assert!(text.lines().any(|shown| shown == line), "{line} is not in\n{text}");
    }
}
