//! Fields that exist, values that are accepted, objects that belong together.

use tidegate_autoscale::scaled_object::ScaledObject;

use super::Scaling;
use crate::facts::{Facts, environment};
use crate::finding::Findings;
use crate::source::{Document, Kind, Node};
use crate::{Known, Severity};

const UNKNOWN: (&str, Severity) = ("TG001", Severity::Error);
const REFUSED: (&str, Severity) = ("TG002", Severity::Error);
const TARGET: (&str, Severity) = ("TG003", Severity::Warning);
const DIFFERS: (&str, Severity) = ("TG005", Severity::Error);

/// What a node may hold.
#[derive(Debug, Clone, Copy)]
enum Shape {
    Any,
    Map(&'static [(&'static str, Shape)]),
    List(&'static Shape),
}
use Shape::{Any, List, Map};

const RULES: Shape = Map(&[
    ("stabilizationWindowSeconds", Any),
    ("selectPolicy", Any),
    ("tolerance", Any),
    ("policies", List(&Map(&[("type", Any), ("value", Any), ("periodSeconds", Any)]))),
]);

const SCALED_OBJECT: Shape = Map(&[
    ("apiVersion", Any),
    ("kind", Any),
    ("metadata", Any),
    ("status", Any),
    (
        "spec",
        Map(&[
            (
                "scaleTargetRef",
                Map(&[
                    ("apiVersion", Any),
                    ("kind", Any),
                    ("name", Any),
                    ("envSourceContainerName", Any),
                ]),
            ),
            ("pollingInterval", Any),
            ("cooldownPeriod", Any),
            ("initialCooldownPeriod", Any),
            ("idleReplicaCount", Any),
            ("minReplicaCount", Any),
            ("maxReplicaCount", Any),
            ("fallback", Map(&[("failureThreshold", Any), ("replicas", Any), ("behavior", Any)])),
            (
                "advanced",
                Map(&[
                    ("restoreToOriginalReplicaCount", Any),
                    ("scalingModifiers", Any),
                    (
                        "horizontalPodAutoscalerConfig",
                        Map(&[
                            ("name", Any),
                            ("behavior", Map(&[("scaleUp", RULES), ("scaleDown", RULES)])),
                        ]),
                    ),
                ]),
            ),
            (
                "triggers",
                List(&Map(&[
                    ("type", Any),
                    ("name", Any),
                    ("metadata", Any),
                    ("authenticationRef", Map(&[("name", Any), ("kind", Any)])),
                    ("metricType", Any),
                    ("useCachedMetrics", Any),
                ])),
            ),
        ]),
    ),
]);

/// Metadata of KEDA's `kafka` and `apache-kafka` triggers.
const KAFKA_METADATA: &[&str] = &[
    "activationLagThreshold",
    "allowIdleConsumers",
    "awsRegion",
    "bootstrapServers",
    "bootstrapServersFromEnv",
    "ca",
    "cert",
    "clientID",
    "consumerGroup",
    "consumerGroupFromEnv",
    "disableTLS",
    "ensureEvenDistributionOfPartitions",
    "excludePersistentLag",
    "fullMetadata",
    "key",
    "keyPassword",
    "lagThreshold",
    "limitToPartitionsWithLag",
    "offsetResetPolicy",
    "partitionLimitation",
    "realm",
    "sasl",
    "saslTokenProvider",
    "scaleToZeroOnInvalidOffset",
    "tls",
    "topic",
    "topicFromEnv",
    "unsafeSsl",
    "version",
    "versionFromEnv",
];

const PROBE: Shape = Any;
const CONTAINER: Shape = Map(&[
    ("name", Any),
    ("image", Any),
    ("imagePullPolicy", Any),
    ("command", Any),
    ("args", Any),
    ("workingDir", Any),
    ("ports", Any),
    ("env", Any),
    ("envFrom", Any),
    ("resources", Map(&[("requests", Any), ("limits", Any), ("claims", Any)])),
    ("resizePolicy", Any),
    ("restartPolicy", Any),
    ("restartPolicyRules", Any),
    ("volumeMounts", Any),
    ("volumeDevices", Any),
    ("livenessProbe", PROBE),
    ("readinessProbe", PROBE),
    ("startupProbe", PROBE),
    ("lifecycle", Any),
    ("securityContext", Any),
    ("stdin", Any),
    ("stdinOnce", Any),
    ("tty", Any),
    ("terminationMessagePath", Any),
    ("terminationMessagePolicy", Any),
]);

const POD_SPEC: Shape = Map(&[
    ("containers", List(&CONTAINER)),
    ("initContainers", List(&CONTAINER)),
    ("ephemeralContainers", Any),
    ("volumes", Any),
    ("restartPolicy", Any),
    ("terminationGracePeriodSeconds", Any),
    ("activeDeadlineSeconds", Any),
    ("dnsPolicy", Any),
    ("dnsConfig", Any),
    ("nodeSelector", Any),
    ("serviceAccountName", Any),
    ("serviceAccount", Any),
    ("automountServiceAccountToken", Any),
    ("nodeName", Any),
    ("hostNetwork", Any),
    ("hostPID", Any),
    ("hostIPC", Any),
    ("hostUsers", Any),
    ("hostname", Any),
    ("hostnameOverride", Any),
    ("subdomain", Any),
    ("setHostnameAsFQDN", Any),
    ("shareProcessNamespace", Any),
    ("securityContext", Any),
    ("imagePullSecrets", Any),
    ("affinity", Any),
    ("schedulerName", Any),
    ("schedulingGates", Any),
    ("tolerations", Any),
    ("hostAliases", Any),
    ("priorityClassName", Any),
    ("priority", Any),
    ("preemptionPolicy", Any),
    ("readinessGates", Any),
    ("runtimeClassName", Any),
    ("enableServiceLinks", Any),
    ("overhead", Any),
    ("os", Any),
    ("topologySpreadConstraints", Any),
    ("resourceClaims", Any),
    ("resources", Any),
]);

const WORKLOAD: Shape = Map(&[
    ("apiVersion", Any),
    ("kind", Any),
    ("metadata", Any),
    ("status", Any),
    (
        "spec",
        Map(&[
            ("replicas", Any),
            ("selector", Any),
            ("strategy", Any),
            ("updateStrategy", Any),
            ("minReadySeconds", Any),
            ("revisionHistoryLimit", Any),
            ("progressDeadlineSeconds", Any),
            ("paused", Any),
            ("serviceName", Any),
            ("podManagementPolicy", Any),
            ("volumeClaimTemplates", Any),
            ("persistentVolumeClaimRetentionPolicy", Any),
            ("ordinals", Any),
            ("template", Map(&[("metadata", Any), ("spec", POD_SPEC)])),
        ]),
    ),
]);

const BUDGET: Shape = Map(&[
    ("apiVersion", Any),
    ("kind", Any),
    ("metadata", Any),
    ("status", Any),
    (
        "spec",
        Map(&[
            ("minAvailable", Any),
            ("maxUnavailable", Any),
            ("selector", Any),
            ("unhealthyPodEvictionPolicy", Any),
        ]),
    ),
]);

/// TG001: fields that no controller knows.
pub(super) fn fields(document: &Document, out: &mut Findings) {
    let shape = match document.kind {
        Kind::ScaledObject => SCALED_OBJECT,
        Kind::Workload => WORKLOAD,
        Kind::DisruptionBudget => BUDGET,
        _ => return,
    };
    compare(document, &document.root, "", shape, out);
    if document.kind == Kind::ScaledObject {
        kafka_metadata(document, out);
    }
}

fn compare(document: &Document, node: &Node, path: &str, shape: Shape, out: &mut Findings) {
    match shape {
        Any => {}
        List(item) => {
            for (index, node) in node.items().iter().enumerate() {
                compare(document, node, &format!("{path}.{index}"), *item, out);
            }
        }
        Map(fields) => {
            for entry in node.entries() {
                let path = join(path, &entry.key);
                match fields.iter().find(|(name, _)| *name == entry.key) {
                    Some((_, shape)) => compare(document, &entry.value, &path, *shape, out),
                    None => unknown(document, &path, &entry.key, fields.iter().map(|f| f.0), out),
                }
            }
        }
    }
}

fn join(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}

fn kafka_metadata(document: &Document, out: &mut Findings) {
    let triggers = document.node("spec.triggers").map(Node::items).unwrap_or_default();
    for (index, trigger) in triggers.iter().enumerate() {
        let kind = trigger.node("type").and_then(Node::text);
        if !matches!(kind, Some("kafka" | "apache-kafka")) {
            continue;
        }
        for entry in trigger.node("metadata").map(Node::entries).unwrap_or_default() {
            if !KAFKA_METADATA.contains(&entry.key.as_str()) {
                let path = format!("spec.triggers.{index}.metadata.{}", entry.key);
                unknown(document, &path, &entry.key, KAFKA_METADATA.iter().copied(), out);
            }
        }
    }
}

fn unknown(
    document: &Document,
    path: &str,
    key: &str,
    fields: impl Iterator<Item = &'static str> + Clone,
    out: &mut Findings,
) {
    let likely = fields
        .clone()
        .map(|field| {
            (strsim::damerau_levenshtein(&field.to_lowercase(), &key.to_lowercase()), field)
        })
        .min()
        .filter(|(distance, field)| *distance <= 2.max(field.len() / 4));
    let fix = match likely {
        Some((_, field)) => format!("did you mean {field}?"),
        None => format!("allowed here: {}", fields.collect::<Vec<_>>().join(", ")),
    };
    let message =
        format!("{key} is no field of it: it is ignored or refused, and its default counts");
    out.add(UNKNOWN, document, path, message, fix);
}

/// TG002: values that KEDA, the API server or the reader refuse.
pub(super) fn values(object: &Document, out: &mut Findings) {
    let scaling =
        Scaling { object, workload: None, facts: Facts::new(Known::default(), None, None) };
    let triggers = object.node("spec.triggers").map_or(0, |node| node.items().len());
    if triggers == 0 {
        out.add(REFUSED, object, "spec.triggers", "it has no trigger", "name a trigger");
        return;
    }
    if scaling.kafka().is_none() || triggers != 1 {
        return;
    }
    let text = object.root.to_json().to_string();
    if let Err(error) = ScaledObject::from_yaml(&text, &object.file) {
        // A misspelt field is TG001's.
        if error.reason.contains("unknown field") || error.reason.contains("unknown key") {
            return;
        }
        let (path, reason) = place(&error.reason);
        out.add(REFUSED, object, &path, reason, "write one of the values that are allowed");
    }
}

/// The path an error's text begins with, in this crate's form, and the text.
fn place(reason: &str) -> (String, &str) {
    let path = reason.split([' ', ':']).next().unwrap_or_default();
    (path.replace('[', ".").replace(']', ""), reason)
}

/// Whether an object's target is this workload.
pub(super) fn scales(object: &Document, workload: &Document) -> bool {
    object.text("spec.scaleTargetRef.name") == workload.text("metadata.name")
        && namespace(object) == namespace(workload)
}

fn namespace(document: &Document) -> &str {
    document.text("metadata.namespace").unwrap_or("default")
}

/// TG003 and TG005: the workload an object scales.
pub(super) fn target<'a>(
    object: &Document,
    workloads: &[&'a Document],
    out: &mut Findings,
) -> Option<&'a Document> {
    let found = workloads.iter().copied().find(|workload| scales(object, workload));
    let Some(workload) = found else {
        if !workloads.is_empty() {
            let name = object.text("spec.scaleTargetRef.name").unwrap_or("(nothing)");
            let have: Vec<&str> = workloads.iter().map(|workload| workload.name()).collect();
            out.add(
                TARGET,
                object,
                "spec.scaleTargetRef.name",
                format!(
                    "it scales {name}, which is not among the files; they hold {}",
                    have.join(", ")
                ),
                "name the Deployment, in the same namespace",
            );
        }
        return None;
    };
    for (key, variable) in [("consumerGroup", "CONSUMER_GROUP"), ("topic", "KAFKA_TOPIC")] {
        let scaling =
            Scaling { object, workload: None, facts: Facts::new(Known::default(), None, None) };
        let (Some(counted), Some((path, read))) =
            (scaling.metadata(key), environment(workload, variable))
        else {
            continue;
        };
        if counted != read && !read.contains("${") && !counted.contains("${") {
            out.add(
                DIFFERS,
                workload,
                &path,
                format!(
                    "the pods use {variable} = {read}, the trigger counts the lag of {key} = {counted}: it scales by someone else's lag"
                ),
                format!("the same name in both: {counted}"),
            );
        }
    }
    Some(workload)
}
