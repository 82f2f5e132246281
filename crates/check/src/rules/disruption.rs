//! PodDisruptionBudget and Service: what they select, and what they allow.

use crate::Severity;
use crate::facts::CONTAINERS;
use crate::finding::Findings;
use crate::source::{Document, Node};

const EVERYTHING: (&str, Severity) = ("TG070", Severity::Warning);
const NOTHING: (&str, Severity) = ("TG071", Severity::Error);
const SELECTS: (&str, Severity) = ("TG072", Severity::Warning);
const SERVICE: (&str, Severity) = ("TG073", Severity::Warning);

/// Half of the pods at once is more than any rebalance should have to take.
const MOST_PERCENT: f64 = 50.0;

/// Whether a selector's labels are all on a workload's pods.
fn selects(selector: Option<&Node>, workload: &Document) -> bool {
    let Some(selector) = selector else { return false };
    let label = |key: &str| {
        let labels = workload.node("spec.template.metadata.labels")?;
        labels.entry(key)?.value.text()
    };
    let wanted = selector.entries();
    !wanted.is_empty() && wanted.iter().all(|entry| label(&entry.key) == entry.value.text())
}

pub(super) fn budget(budget: &Document, workloads: &[&Document], out: &mut Findings) {
    let labels = budget.node("spec.selector.matchLabels");
    if !workloads.is_empty()
        && labels.is_some()
        && !workloads.iter().any(|workload| selects(labels, workload))
    {
        out.add(
            SELECTS,
            budget,
            "spec.selector.matchLabels",
            "it selects no pods of the workloads in these files: it protects nothing",
            "the labels of the pod template",
        );
    }
    let (path, allowed) =
        match (budget.text("spec.maxUnavailable"), budget.text("spec.minAvailable")) {
            (Some(text), _) => ("spec.maxUnavailable", share(text, false)),
            (None, Some(text)) => ("spec.minAvailable", share(text, true)),
            (None, None) => return,
        };
    match allowed {
        Some(Allowed::Nothing) => out.add(
            NOTHING,
            budget,
            path,
            "it never allows an eviction: a node can be neither drained nor replaced, and upgrades hang",
            "maxUnavailable: 25%",
        ),
        Some(Allowed::Percent(percent)) if percent >= MOST_PERCENT => out.add(
            EVERYTHING,
            budget,
            path,
            format!(
                "it lets {percent} % of the pods go at once: of 10 pods {} may be evicted together, which is no protection for the age of a record",
                (percent / 10.0).ceil()
            ),
            "maxUnavailable: 25% (at least one pod always may go, rounded up)",
        ),
        _ => {}
    }
}

enum Allowed {
    Nothing,
    Percent(f64),
}

fn share(text: &str, available: bool) -> Option<Allowed> {
    let Some(percent) = text.strip_suffix('%') else {
        let pods: i64 = text.parse().ok()?;
        return (pods == 0 && !available)
            .then_some(Allowed::Nothing)
            .or_else(|| (pods == 0 && available).then_some(Allowed::Percent(100.0)));
    };
    let percent: f64 = percent.trim().parse().ok()?;
    let allowed = if available { 100.0 - percent } else { percent };
    Some(if allowed <= 0.0 { Allowed::Nothing } else { Allowed::Percent(allowed) })
}

pub(super) fn service(service: &Document, workloads: &[&Document], out: &mut Findings) {
    let selector = service.node("spec.selector");
    if workloads.is_empty() || selector.is_none() {
        return;
    }
    let Some(workload) = workloads.iter().find(|workload| selects(selector, workload)) else {
        out.add(
            SERVICE,
            service,
            "spec.selector",
            "it selects no pods of the workloads in these files: whoever scrapes through it sees nothing",
            "the labels of the pod template",
        );
        return;
    };
    let ports = service.node("spec.ports").map(Node::items).unwrap_or_default();
    for (index, port) in ports.iter().enumerate() {
        let wanted = port.node("targetPort").or_else(|| port.node("port")).and_then(Node::text);
        let Some(wanted) = wanted else { continue };
        if !exposes(workload, wanted) {
            out.add(
                SERVICE,
                service,
                &format!("spec.ports.{index}"),
                format!("no container of {} has the port {wanted}", workload.name()),
                "a port of the container, by number or name",
            );
        }
    }
}

/// Whether a workload has a port of this number or name; one that lists none may have any.
fn exposes(workload: &Document, wanted: &str) -> bool {
    let containers = workload.node(CONTAINERS).map(Node::items).unwrap_or_default();
    let mut ports = containers
        .iter()
        .flat_map(|container| container.node("ports").map(Node::items).unwrap_or_default())
        .peekable();
    ports.peek().is_none()
        || ports.any(|port| {
            let is = |key: &str| port.node(key).and_then(Node::text) == Some(wanted);
            is("containerPort") || is("name")
        })
}
