//! The fields there are: KEDA's ScaledObject, Kubernetes' workloads and budgets. Data.

use self::Shape::{Any, List, Map};

/// What a node may hold.
#[derive(Debug, Clone, Copy)]
pub(super) enum Shape {
    Any,
    Map(&'static [(&'static str, Shape)]),
    List(&'static Shape),
}

const RULES: Shape = Map(&[
    ("stabilizationWindowSeconds", Any),
    ("selectPolicy", Any),
    ("tolerance", Any),
    ("policies", List(&Map(&[("type", Any), ("value", Any), ("periodSeconds", Any)]))),
]);

pub(super) const SCALED_OBJECT: Shape = Map(&[
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
pub(super) const KAFKA_METADATA: &[&str] = &[
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

pub(super) const WORKLOAD: Shape = Map(&[
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

pub(super) const BUDGET: Shape = Map(&[
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
