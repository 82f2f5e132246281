//! Dashboard, alert rules and runbooks against the metrics that the programs have and
//! the documented ones of others (`deploy/alerts/exporters.txt`).

use std::collections::BTreeSet;

use tidegate_deploy::observability as deploy;

fn read(path: &str) -> String {
    deploy::read(path).expect("a file of the repository")
}

/// Every series name there can be.
fn known() -> BTreeSet<String> {
    let pipeline = tidegate_pipeline::METRICS.iter().map(|metric| (metric.name, metric.kind));
    let scaler = tidegate_scaler::METRICS.iter().map(|metric| (metric.name, metric.kind));
    let ours = pipeline.chain(scaler).flat_map(|(name, kind)| {
        let suffixes: &[&str] =
            if kind == "histogram" { &["_bucket", "_sum", "_count"] } else { &[""] };
        suffixes.iter().map(move |suffix| format!("{name}{suffix}"))
    });
    let recorded = deploy::rules().expect("rules").into_iter().filter_map(|rule| rule.record);
    let theirs = deploy::exporters().expect("exporters").into_iter().map(|metric| metric.name);
    ours.chain(recorded).chain(theirs).collect()
}

#[test]
fn every_expression_names_only_metrics_that_exist() {
    let known = known();
    let expressions = deploy::expressions().expect("expressions");
    for expression in &expressions {
        for name in deploy::names(&expression.text) {
            assert!(known.contains(&name), "{}: nobody has a metric {name}", expression.place);
        }
    }
    assert!(expressions.len() > 30, "only {} expressions found", expressions.len());
}

/// What others export has the labels we ask for, and is used at all.
#[test]
fn metrics_of_others_are_documented_with_their_labels() {
    let expressions = deploy::expressions().expect("expressions");
    for metric in deploy::exporters().expect("exporters") {
        assert!(!metric.exporter.is_empty() && metric.source.contains('/'), "{}", metric.name);
        let mut is_used = false;
        for expression in &expressions {
            is_used |= deploy::names(&expression.text).contains(&metric.name);
            let selected = deploy::selected_labels(&expression.text);
            for label in selected.get(&metric.name).into_iter().flatten() {
                let (name, place) = (&metric.name, &expression.place);
                assert!(metric.labels.contains(label), "{place}: {name} has no label {label}");
            }
        }
        assert!(is_used, "nobody uses {}", metric.name);
    }
}

#[test]
fn the_demos_seven_panels_are_there() {
    let panels = deploy::panels().expect("panels");
    let titles: BTreeSet<String> = panels.into_iter().map(|panel| panel.place).collect();
    for title in [
        "Kafka Inbound Messages",
        "Consumer Processing Rate",
        "HPA Offset Lag",
        "Consumer Pod Count",
        "Message Time in Kafka",
        "Ready Nodes Count",
        "Kafka Partition Offset Lag",
    ] {
        assert!(titles.contains(title), "no panel {title}");
    }
}

#[test]
fn every_alert_has_a_runbook_and_a_unit_test() {
    let tests = read("deploy/alerts/rules_test.yaml");
    for rule in deploy::rules().expect("rules") {
        let Some(alert) = rule.alert else { continue };
        let runbook = rule.annotations.expect("annotations").runbook_url;
        assert_eq!(runbook, format!("docs/runbooks/{alert}.md"));
        let page = read(&runbook);
        assert!(page.starts_with(&format!("# {alert}\n")), "{runbook}");
        assert!(tests.contains(&format!("alertname: {alert}\n")), "{alert} has no unit test");
        assert!(read("docs/runbooks/README.md").contains(&format!("({alert}.md)")), "{alert}");
    }
}
