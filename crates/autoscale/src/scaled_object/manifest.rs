//! The manifest's shape, field by field.

use std::collections::BTreeMap;

use serde::Deserialize;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Manifest {
    #[serde(rename = "apiVersion")]
    pub(super) api_version: String,
    #[serde(rename = "kind")]
    pub(super) _kind: String,
    pub(super) metadata: Metadata,
    pub(super) spec: Spec,
    #[serde(default, rename = "status")]
    pub(super) _status: serde::de::IgnoredAny,
}

/// Kubernetes' own; only what is used here is looked at.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Metadata {
    pub(super) name: String,
    #[serde(default)]
    pub(super) annotations: BTreeMap<String, String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Spec {
    pub(super) scale_target_ref: TargetRef,
    pub(super) polling_interval: Option<i64>,
    pub(super) cooldown_period: Option<i64>,
    pub(super) initial_cooldown_period: Option<i64>,
    pub(super) min_replica_count: Option<i32>,
    pub(super) max_replica_count: Option<i32>,
    pub(super) idle_replica_count: Option<i32>,
    pub(super) fallback: Option<FallbackSpec>,
    pub(super) advanced: Option<Advanced>,
    pub(super) triggers: Vec<TriggerSpec>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct TargetRef {
    pub(super) name: String,
    pub(super) kind: Option<String>,
    #[serde(default, rename = "apiVersion")]
    pub(super) _api_version: serde::de::IgnoredAny,
    #[serde(default, rename = "envSourceContainerName")]
    pub(super) _env_source: serde::de::IgnoredAny,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct FallbackSpec {
    pub(super) failure_threshold: i32,
    pub(super) replicas: i32,
    pub(super) behavior: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Advanced {
    #[serde(default, rename = "restoreToOriginalReplicaCount")]
    pub(super) _restore: serde::de::IgnoredAny,
    pub(super) horizontal_pod_autoscaler_config: Option<HpaConfig>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct HpaConfig {
    #[serde(default, rename = "name")]
    pub(super) _name: serde::de::IgnoredAny,
    pub(super) behavior: Option<BehaviorSpec>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct BehaviorSpec {
    pub(super) scale_up: Option<RulesSpec>,
    pub(super) scale_down: Option<RulesSpec>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct RulesSpec {
    pub(super) stabilization_window_seconds: Option<i32>,
    pub(super) select_policy: Option<String>,
    pub(super) policies: Option<Vec<PolicySpec>>,
    pub(super) tolerance: Option<Quantity>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct PolicySpec {
    #[serde(rename = "type")]
    pub(super) kind: String,
    pub(super) value: i32,
    pub(super) period_seconds: i32,
}

/// A Kubernetes quantity: a number, or text such as `0.1` and `100m`.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum Quantity {
    Number(f64),
    Text(String),
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct TriggerSpec {
    #[serde(rename = "type")]
    pub(super) kind: String,
    #[serde(default, rename = "name")]
    pub(super) _name: serde::de::IgnoredAny,
    pub(super) metric_type: Option<String>,
    #[serde(default)]
    pub(super) use_cached_metrics: bool,
    #[serde(default, rename = "authenticationRef")]
    pub(super) _authentication: serde::de::IgnoredAny,
    pub(super) metadata: BTreeMap<String, String>,
}
