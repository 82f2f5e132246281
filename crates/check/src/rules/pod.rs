//! The workload's pods, and what a scenario says of them.

use super::numbers::short;
use crate::Severity;
use crate::facts::{CONTAINERS, Facts, POD};
use crate::finding::Findings;
use crate::source::{Document, Node};

const REPLICAS: (&str, Severity) = ("TG004", Severity::Warning);
const GRACE: (&str, Severity) = ("TG060", Severity::Warning);
const READINESS: (&str, Severity) = ("TG061", Severity::Warning);
const PROBES: (&str, Severity) = ("TG062", Severity::Warning);
const RESOURCES: (&str, Severity) = ("TG063", Severity::Warning);
const SECURITY: (&str, Severity) = ("TG064", Severity::Warning);
const IMAGE: (&str, Severity) = ("TG065", Severity::Warning);
const NAMESPACE: (&str, Severity) = ("TG066", Severity::Note);
const CRASH: (&str, Severity) = ("TG067", Severity::Warning);
const BLIND: (&str, Severity) = ("TG068", Severity::Warning);

/// What Kubernetes gives a pod that does not say.
const DEFAULT_GRACE_S: i64 = 30;

pub(super) fn check(workload: &Document, scaled: bool, facts: &Facts<'_>, out: &mut Findings) {
    if workload.node(CONTAINERS).is_none() {
        return;
    }
    if scaled {
        replicas(workload, out);
    }
    grace(workload, facts, out);
    namespace(workload, out);
    let containers = workload.node(CONTAINERS).map(Node::items).unwrap_or_default();
    for (index, container) in containers.iter().enumerate() {
        let path = format!("{CONTAINERS}.{index}");
        readiness(workload, scaled, &path, out);
        probes(workload, container, &path, out);
        resources(workload, &path, out);
        security(workload, container, &path, out);
        image(workload, &path, out);
    }
}

fn replicas(workload: &Document, out: &mut Findings) {
    let Some(replicas) = workload.int("spec.replicas") else { return };
    let effect = if replicas == 0 { "ends every pod" } else { "changes the count" };
    out.add(
        REPLICAS,
        workload,
        "spec.replicas",
        format!(
            "replicas {replicas} is written down beside an autoscaler: every apply sets it, which {effect} until the next poll"
        ),
        "remove replicas from the manifest",
    );
}

/// Time a pod needs to end cleanly: the batch in flight, the one after it, a commit.
fn drain_s(facts: &Facts<'_>) -> Option<f64> {
    const LEAVE_S: f64 = 5.0;
    facts.batch_s().map(|batch_s| 2.0 * batch_s + LEAVE_S)
}

fn grace(workload: &Document, facts: &Facts<'_>, out: &mut Findings) {
    let path = format!("{POD}.terminationGracePeriodSeconds");
    let drain = drain_s(facts);
    let needed = drain.map_or_else(
        || "a batch in flight, a commit and leaving the group".to_owned(),
        |drain| {
            format!(
                "{} s (two batches of {} s, commit, leaving)",
                short(drain),
                short((drain - 5.0) / 2.0)
            )
        },
    );
    match workload.int(&path) {
        None => out.add(
            GRACE,
            workload,
            &path,
            format!(
                "no grace period is set, so {DEFAULT_GRACE_S} s count, by accident; a drain needs {needed}, and nobody compares the two when the batch grows"
            ),
            format!(
                "terminationGracePeriodSeconds: {}",
                drain.map_or(DEFAULT_GRACE_S, |drain| drain.ceil().max(30.0) as i64)
            ),
        ),
        Some(grace) if drain.is_some_and(|drain| (grace as f64) < drain) => out.add(
            (GRACE.0, Severity::Error),
            workload,
            &path,
            format!("{grace} s are less than a drain needs: {needed}; the pod is killed in its batch"),
            format!("terminationGracePeriodSeconds: {} or more", drain.unwrap_or(0.0).ceil() as i64),
        ),
        Some(_) => {}
    }
}

fn readiness(workload: &Document, scaled: bool, container: &str, out: &mut Findings) {
    let path = format!("{container}.readinessProbe.initialDelaySeconds");
    let Some(delay) = workload.int(&path).filter(|delay| scaled && *delay >= 10) else { return };
    out.add(
        READINESS,
        workload,
        &path,
        format!(
            "an external lag metric ignores readiness: a delay of {delay} s changes no decision and keeps no record away from the pod; it only makes a rollout {delay} s longer per pod and has new pods deleted first"
        ),
        "remove initialDelaySeconds; a startupProbe, if the program starts slowly",
    );
}

fn probes(workload: &Document, container: &Node, path: &str, out: &mut Findings) {
    let missing: Vec<&str> = ["livenessProbe", "readinessProbe"]
        .into_iter()
        .filter(|probe| container.node(probe).is_none())
        .collect();
    if missing.is_empty() {
        return;
    }
    out.add(
        PROBES,
        workload,
        path,
        format!(
            "no {}: {}",
            missing.join(" and no "),
            if missing.contains(&"livenessProbe") {
                "a pod that hangs keeps its partitions, and nobody restarts it"
            } else {
                "a rollout goes on although the new pods cannot work"
            }
        ),
        "livenessProbe: { httpGet: { path: /healthz, port: 8000 } } and readinessProbe: { httpGet: { path: /readyz, port: 8000 } }",
    );
}

fn resources(workload: &Document, container: &str, out: &mut Findings) {
    let at = format!("{container}.resources");
    let has = |what: &str| workload.node(&format!("{at}.{what}")).is_some();
    let mut missing = Vec::new();
    for what in ["requests.cpu", "requests.memory", "limits.memory"] {
        if !has(what) {
            missing.push(what);
        }
    }
    if missing.is_empty() {
        return;
    }
    out.add(
        RESOURCES,
        workload,
        &at,
        format!(
            "no {}: the scheduler packs pods as if they needed nothing, new nodes come too late, and one pod's memory can end its neighbours",
            missing.join(", ")
        ),
        "resources with requests for cpu and memory, and a memory limit",
    );
}

fn security(workload: &Document, container: &Node, path: &str, out: &mut Findings) {
    let pod = format!("{POD}.securityContext");
    let set = |name: &str, wanted: &str| {
        let own = container.node(&format!("securityContext.{name}")).and_then(Node::text);
        own.or_else(|| workload.text(&format!("{pod}.{name}"))) == Some(wanted)
    };
    let mut missing = Vec::new();
    if !set("runAsNonRoot", "true") {
        missing.push("runAsNonRoot: true");
    }
    if !set("allowPrivilegeEscalation", "false") {
        missing.push("allowPrivilegeEscalation: false");
    }
    if !set("readOnlyRootFilesystem", "true") {
        missing.push("readOnlyRootFilesystem: true");
    }
    let drops = container.node("securityContext.capabilities.drop").map(Node::items);
    if !drops.unwrap_or_default().iter().any(|drop| drop.text() == Some("ALL")) {
        missing.push("capabilities: { drop: [ALL] }");
    }
    if !set("seccompProfile.type", "RuntimeDefault") && !set("seccompProfile.type", "Localhost") {
        missing.push("seccompProfile: { type: RuntimeDefault }");
    }
    if missing.is_empty() {
        return;
    }
    out.add(
        SECURITY,
        workload,
        &format!("{path}.securityContext"),
        format!(
            "a consumer needs no privilege, and these are not given up: {}",
            missing.join(", ")
        ),
        format!("securityContext: {{ {} }}", missing.join(", ")),
    );
}

fn image(workload: &Document, container: &str, out: &mut Findings) {
    let path = format!("{container}.image");
    let Some(image) = workload.text(&path) else { return };
    if image.contains("${") || image.contains("@sha256:") {
        return;
    }
    let name = image.rsplit('/').next().unwrap_or(image);
    let tag = name.split_once(':').map(|(_, tag)| tag);
    if matches!(tag, Some(tag) if tag != "latest") {
        return;
    }
    out.add(
        IMAGE,
        workload,
        &path,
        format!("{image} moves: pods that start at a peak may run another program than those beside them"),
        "a version or a digest",
    );
}

fn namespace(workload: &Document, out: &mut Findings) {
    if !matches!(workload.text("metadata.namespace"), Some("default")) {
        return;
    }
    out.add(
        NAMESPACE,
        workload,
        "metadata.namespace",
        "in the namespace default a quota, a network policy or a role for this workload meets everything else too",
        "a namespace of its own",
    );
}

/// What a scenario says of the consumer itself.
pub(super) fn check_scenario(document: &Document, out: &mut Findings) {
    use tidegate_sim::scenario::{OnStop, Protocol};
    let Some(scenario) = document.as_scenario() else { return };
    let times = scenario.group.times();
    if scenario.pod.on_stop == OnStop::Ignore {
        out.add(
            CRASH,
            document,
            "pod.on_stop",
            format!(
                "the pod ignores the order to stop: each one taken away works on for {} to {} s, is killed, and its partitions then stand still for the session timeout of {} s",
                short(scenario.pod.grace_s.min),
                short(scenario.pod.grace_s.max),
                short(times.session_timeout_s)
            ),
            "a consumer that drains on SIGTERM (as process 1 it needs a handler)",
        );
    }
    let why = match scenario.group.protocol {
        Protocol::CooperativeBlind => {
            "a member that does not poll while it writes holds up every rebalance for its batch, and commits inside one are refused"
        }
        Protocol::Eager => "every change of the pods stops all partitions",
        _ => return,
    };
    out.add(
        BLIND,
        document,
        "group.protocol",
        format!("{why}: each step of the autoscaler costs throughput"),
        "a consumer that polls while it writes, and KIP-848 (group.protocol=consumer) or cooperative-sticky",
    );
}
