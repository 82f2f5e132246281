//! Dashboard, alert rules and runbooks against the metrics that the programs have and
//! the documented ones of others (`deploy/alerts/exporters.txt`).

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde::Deserialize;

#[derive(Deserialize)]
struct Rules {
    groups: Vec<Group>,
}

#[derive(Deserialize)]
struct Group {
    rules: Vec<Rule>,
}

#[derive(Deserialize)]
struct Rule {
    record: Option<String>,
    alert: Option<String>,
    expr: String,
    annotations: Option<Annotations>,
}

#[derive(Deserialize)]
struct Annotations {
    runbook_url: String,
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn read(path: &str) -> String {
    let path = root().join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn rules() -> Vec<Rule> {
    let rules: Rules =
        serde_saphyr::from_str(&read("deploy/helm/tidegate/files/rules.yaml")).expect("rules");
    rules.groups.into_iter().flat_map(|group| group.rules).collect()
}

/// Expressions of the dashboard, with the panel they stand in.
fn panels() -> Vec<(String, String)> {
    let text = read("deploy/helm/tidegate/files/msk-keda-monitoring.json");
    let dashboard: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    let panels = dashboard["panels"].as_array().expect("panels");
    panels
        .iter()
        .flat_map(|panel| {
            let title = panel["title"].as_str().unwrap_or_default().to_owned();
            let targets = panel["targets"].as_array().cloned().unwrap_or_default();
            targets.into_iter().map(move |target| {
                (title.clone(), target["expr"].as_str().unwrap_or_default().to_owned())
            })
        })
        .collect()
}

/// Grafana's own variables, as it would fill them in.
fn filled(expr: &str) -> String {
    [
        ("$__rate_interval", "1m"),
        ("$tenant_topic", "trade-tx"),
        ("$namespace", ".*"),
        ("$group", ".*"),
        ("$tenant", ".*"),
        ("$pod_price", "0.01"),
    ]
    .iter()
    .fold(expr.to_owned(), |text, (name, value)| text.replace(name, value))
}

/// Names of the series in an expression: what is left when selectors, ranges, groupings,
/// functions and numbers are taken away. Whether it parses is promtool's business.
fn names(expr: &str) -> BTreeSet<String> {
    let mut rest = filled(expr);
    for (open, close) in [('{', '}'), ('[', ']')] {
        while let (Some(from), Some(to)) = (rest.find(open), rest.find(close)) {
            rest.replace_range(from..=to, " ");
        }
    }
    for grouping in ["by", "on", "without", "ignoring", "group_left", "group_right"] {
        let call = format!(" {grouping} (");
        while let Some(from) = rest.find(&call) {
            let to = rest[from..].find(')').map_or(rest.len(), |length| from + length + 1);
            rest.replace_range(from..to, " ");
        }
    }
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
    let mut found = BTreeSet::new();
    let mut text = rest.as_str();
    while let Some(start) = text.find(is_word) {
        text = &text[start..];
        let end = text.find(|c| !is_word(c)).unwrap_or(text.len());
        let (word, behind) = text.split_at(end);
        let is_call = behind.trim_start().starts_with('(');
        let is_operator = matches!(word, "and" | "or" | "unless" | "bool");
        if !is_call && !is_operator && !word.starts_with(|c: char| c.is_ascii_digit()) {
            found.insert(word.to_owned());
        }
        text = behind;
    }
    found
}

#[test]
fn names_are_found_in_expressions() {
    for (expr, expected) in [
        ("1 - sum by (a, b) (rate(x_bucket{le=\"30.0\"}[5m])) / sum(y_count)", "x_bucket y_count"),
        ("max(z) > on () group_left () (4 * r:s)", "r:s z"),
        ("a == 1 and on (pod) absent(b{c=~\".*\"})", "a b"),
    ] {
        assert_eq!(names(expr).into_iter().collect::<Vec<_>>().join(" "), expected, "{expr}");
    }
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
    let recorded = rules().into_iter().filter_map(|rule| rule.record);
    let exporters = read("deploy/alerts/exporters.txt");
    let theirs = exporters
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.split_whitespace().next())
        .map(str::to_owned);
    ours.chain(recorded).chain(theirs).collect()
}

#[test]
fn every_expression_names_only_metrics_that_exist() {
    let known = known();
    let rules = rules();
    let expressions = rules
        .iter()
        .map(|rule| {
            let name = rule.record.as_ref().or(rule.alert.as_ref());
            (name.cloned().unwrap_or_default(), rule.expr.clone())
        })
        .chain(panels());
    let mut count = 0;
    for (at, expr) in expressions {
        count += 1;
        for name in names(&expr) {
            assert!(known.contains(&name), "{at}: nobody has a metric {name}");
        }
    }
    assert!(count > 30, "only {count} expressions found");
}

#[test]
fn the_demos_seven_panels_are_there() {
    let titles: BTreeSet<String> = panels().into_iter().map(|(title, _)| title).collect();
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
    for rule in rules() {
        let Some(alert) = rule.alert else { continue };
        let runbook = rule.annotations.expect("annotations").runbook_url;
        assert_eq!(runbook, format!("docs/runbooks/{alert}.md"));
        let page = read(&runbook);
        assert!(page.starts_with(&format!("# {alert}\n")), "{runbook}");
        assert!(tests.contains(&format!("alertname: {alert}\n")), "{alert} has no unit test");
        assert!(read("docs/runbooks/README.md").contains(&format!("({alert}.md)")), "{alert}");
    }
}
