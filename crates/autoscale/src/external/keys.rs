//! The keys there are. Data; [`Settings::read`](super::Settings::read) gives them their meaning.

/// A key, its range and what it means; the reference of `docs/scaler.md`.
pub const KEYS: &[(&str, &str, &str)] = &[
    ("consumerGroup", "text", "the group whose pods are scaled"),
    ("topic", "text", "the topic it reads"),
    ("bootstrapServers", "one of the scaler's clusters", "default: its first"),
    ("law", "slo, stock", "default: slo"),
    ("minReplicas", "0 to 100000", "slo: as minReplicaCount; default 0"),
    ("maxReplicas", "1 to 100000", "slo: as maxReplicaCount; default 100"),
    (
        "targetAgeSeconds",
        "0.1 to 86400",
        "slo: 99 % of the records are stored before this age; default 30",
    ),
    ("maxCost", "podCost to 1e15", "slo: most that all pods may cost; default: no such bound"),
    ("podCost", "1e-9 to 1e9", "slo: what a pod costs, in the same unit; default 1"),
    ("joinsPerSecond", "0.1 to 10000", "slo: pods that may join the group a second; default 20"),
    (
        "drainSeconds",
        "0.1 to 86400",
        "slo: a backlog is gone this long after its pods are ready; default: what the promise leaves",
    ),
    ("podRatePerSecond", "0.001 to 1e9", "slo: first guess of what a busy pod does; default 100"),
    (
        "podStartSeconds",
        "0 to 3600",
        "slo: first guess, from the decision to a pod that reads; default 30",
    ),
    (
        "rebalanceSeconds",
        "0 to 3600",
        "slo: how long a rebalance holds up what it moves; default 2",
    ),
    (
        "inFlightSeconds",
        "0 to 600",
        "slo: how long a record takes in a pod that keeps up; default 1",
    ),
    ("headroom", "0.5 to 0.95", "slo: share of a pod that steady load may use; default 0.85"),
    (
        "overprovisioning",
        "1 to 20",
        "slo: so many times the present load the pods that run can take, without one more; default 1",
    ),
    (
        "holdSeconds",
        "0 to 86400",
        "slo: fewer pods only when fewer would have done for this long; default 60",
    ),
    (
        "cooldownSeconds",
        "0 to 86400",
        "slo: to zero after this time with nothing to do; default 300",
    ),
    (
        "staleAfterSeconds",
        "0 to 86400",
        "while Kafka cannot be read the count is held this long; default 60",
    ),
    (
        "fallbackReplicas",
        "0 to 100000",
        "and then is at least this; default: an error, so that KEDA's fallback counts",
    ),
    (
        "hpaTolerance",
        "0 to 0.5",
        "slo: tolerance of the HPA: 0 as the recommended behavior sets it, 0.1 where it cannot be set; default 0",
    ),
    (
        "podMetricsPort",
        "1 to 65535",
        "slo: port of the pods' /metrics, asked whether the sink is the limit; default: not asked",
    ),
    ("lagThreshold", "1 to 1e15", "stock: records a pod; default 10"),
    ("activationLagThreshold", "0 to 1e15", "stock: active above this many records; default 0"),
];

/// Keys of the trigger that are KEDA's own.
pub(super) const KEDA_KEYS: &[&str] = &[
    "scalerAddress",
    "enableTLS",
    "unsafeSsl",
    "caCert",
    "tlsCertFile",
    "tlsClientCert",
    "tlsClientKey",
];
