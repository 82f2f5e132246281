//! What the dashboard and the alert rules ask Prometheus for.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde::Deserialize;

/// Labels that Prometheus and the chart's ServiceMonitor add to every series of ours.
pub const TARGET_LABELS: &[&str] =
    &["namespace", "pod", "service", "container", "endpoint", "job", "instance", "tenant", "group"];

/// A recording or an alerting rule.
#[derive(Debug, Clone, Deserialize)]
pub struct Rule {
    /// The series it makes.
    pub record: Option<String>,
    /// The alert it raises.
    pub alert: Option<String>,
    /// The expression.
    pub expr: String,
    /// Of alerts.
    pub annotations: Option<Annotations>,
}

/// What is shown with an alert.
#[derive(Debug, Clone, Deserialize)]
pub struct Annotations {
    /// Path of its page.
    pub runbook_url: String,
}

#[derive(Deserialize)]
struct Rules {
    groups: Vec<Group>,
}

#[derive(Deserialize)]
struct Group {
    rules: Vec<Rule>,
}

/// An expression and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expression {
    /// A rule or a panel.
    pub place: String,
    /// PromQL, with Grafana's variables.
    pub text: String,
}

/// A metric that somebody else exports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExporterMetric {
    /// Its name.
    pub name: String,
    /// Label names.
    pub labels: BTreeSet<String>,
    /// Who exports it.
    pub exporter: String,
    /// Where it is documented.
    pub source: String,
}

/// A file of the repository.
pub fn read(path: &str) -> Result<String, String> {
    let path: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path);
    std::fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))
}

/// The chart's rules.
pub fn rules() -> Result<Vec<Rule>, String> {
    let text = read("deploy/helm/tidegate/files/rules.yaml")?;
    let rules: Rules = serde_saphyr::from_str(&text).map_err(|error| error.to_string())?;
    Ok(rules.groups.into_iter().flat_map(|group| group.rules).collect())
}

/// Expressions of the dashboard, by the title of their panel.
pub fn panels() -> Result<Vec<Expression>, String> {
    let text = read("deploy/helm/tidegate/files/msk-keda-monitoring.json")?;
    let dashboard: serde_json::Value =
        serde_json::from_str(&text).map_err(|error| error.to_string())?;
    let list = |value: &serde_json::Value| value.as_array().cloned().unwrap_or_default();
    let mut found = Vec::new();
    for panel in list(&dashboard["panels"]) {
        let place = panel["title"].as_str().unwrap_or_default().to_owned();
        for target in list(&panel["targets"]) {
            let text = target["expr"].as_str().unwrap_or_default().to_owned();
            found.push(Expression { place: place.clone(), text });
        }
    }
    Ok(found)
}

/// Every expression there is: rules, panels, and what the dashboard's variables offer.
pub fn expressions() -> Result<Vec<Expression>, String> {
    let of_rule = |rule: Rule| Expression {
        place: rule.record.or(rule.alert).unwrap_or_default(),
        text: rule.expr,
    };
    let mut all: Vec<Expression> = rules()?.into_iter().map(of_rule).collect();
    all.extend(panels()?);
    let text = read("deploy/helm/tidegate/files/msk-keda-monitoring.json")?;
    for (_, rest) in
        text.match_indices("label_values(").map(|(at, found)| text.split_at(at + found.len()))
    {
        let inner = rest.split(')').next().unwrap_or_default();
        if let Some((metric, label)) = inner.split_once(", ") {
            let text = format!("{metric}{{{label}=~\".*\"}}");
            all.push(Expression { place: format!("variable {label}"), text });
        }
    }
    Ok(all)
}

/// The documented metrics of others, `deploy/alerts/exporters.txt`.
pub fn exporters() -> Result<Vec<ExporterMetric>, String> {
    let text = read("deploy/alerts/exporters.txt")?;
    let lines = text.lines().filter(|line| !line.starts_with('#') && !line.trim().is_empty());
    lines
        .map(|line| {
            let fields: Vec<&str> = line.split('|').map(str::trim).collect();
            let [name, labels, exporter, source] = fields[..] else {
                return Err(format!("not name | labels | exporter | source: {line}"));
            };
            Ok(ExporterMetric {
                name: name.to_owned(),
                labels: labels.split_whitespace().map(str::to_owned).collect(),
                exporter: exporter.to_owned(),
                source: source.to_owned(),
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

fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_' || c == ':'
}

/// Names of the series in an expression: what is left when selectors, ranges, groupings,
/// functions and numbers are taken away. Whether it parses is promtool's business.
pub fn names(expr: &str) -> BTreeSet<String> {
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

/// Labels that an expression's selectors ask for, by series name.
pub fn selected_labels(expr: &str) -> BTreeMap<String, BTreeSet<String>> {
    let text = filled(expr);
    let mut found: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (open, _) in text.match_indices('{') {
        let name = text[..open].rsplit(|c| !is_word(c)).next().unwrap_or_default();
        let inner = text[open + 1..].split('}').next().unwrap_or_default();
        let labels = inner.split(',').filter_map(|matcher| {
            let label = matcher.trim().split(|c| !is_word(c)).next()?;
            (!label.is_empty()).then(|| label.to_owned())
        });
        found.entry(name.to_owned()).or_default().extend(labels);
    }
    found
}

/// Series of a scrape: the labels that each name has.
pub fn scraped(text: &str) -> BTreeMap<String, BTreeSet<String>> {
    let mut found: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for line in text.lines().filter(|line| line.starts_with(is_word)) {
        let end = line.find(|c| !is_word(c)).unwrap_or(line.len());
        let (name, rest) = line.split_at(end);
        let labels = found.entry(name.to_owned()).or_default();
        let Some(inner) = rest.strip_prefix('{') else { continue };
        // A label's value may hold anything; what counts is a word in front of `="`.
        for part in inner.split("=\"") {
            let word = part.rsplit(|c| !is_word(c)).next().unwrap_or_default();
            if !word.is_empty() && !word.starts_with(|c: char| c.is_ascii_digit()) {
                labels.insert(word.to_owned());
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_in_expressions() {
        for (expr, expected) in [
            (
                "1 - sum by (a, b) (rate(x_bucket{le=\"30.0\"}[5m])) / sum(y_count)",
                "x_bucket y_count",
            ),
            ("max(z) > on () group_left () (4 * r:s)", "r:s z"),
            ("a == 1 and on (pod) absent(b{c=~\".*\"})", "a b"),
        ] {
            assert_eq!(names(expr).into_iter().collect::<Vec<_>>().join(" "), expected, "{expr}");
        }
    }

    #[test]
    fn labels_are_found_in_selectors_and_in_a_scrape() {
        let labels = selected_labels("rate(x{a=\"1\", b=~\"$group\"}[5m]) / y");
        assert_eq!(labels.len(), 1);
        assert_eq!(labels["x"].iter().collect::<Vec<_>>(), ["a", "b"]);
        let scrape = "# TYPE x counter\nx_total{a=\"1\",b=\"2\"} 3.0\ny 1.0\n# EOF\n";
        let series = scraped(scrape);
        assert_eq!(series.keys().collect::<Vec<_>>(), ["x_total", "y"]);
        assert_eq!(series["x_total"].iter().collect::<Vec<_>>(), ["a", "b"]);
    }
}
