//! From YAML to a checked ScaledObject.

use std::collections::BTreeMap;
use std::str::FromStr;

use serde_json::Value;

use super::manifest::{BehaviorSpec, FallbackSpec, Manifest, Quantity, RulesSpec, TriggerSpec};
use super::{Annotations, ScaledObject, Trigger};
use crate::hpa::{Behavior, Policy, PolicyKind, Rules, Select};
use crate::keda::{Fallback, FallbackBehavior};
use crate::lag::{LagOptions, OffsetReset, parse_partition_limitation};

/// What KEDA's trigger knows. Connection settings are another program's business.
const TRIGGER_KEYS: &[&str] = &[
    "awsRegion",
    "bootstrapServers",
    "ca",
    "cert",
    "clientID",
    "consumerGroup",
    "disableTLS",
    "fullMetadata",
    "key",
    "keyPassword",
    "realm",
    "sasl",
    "saslTokenProvider",
    "tls",
    "topic",
    "unsafeSsl",
    "version",
    "bootstrapServersFromEnv",
    "consumerGroupFromEnv",
    "topicFromEnv",
    "versionFromEnv",
    "partitionLimitation",
    "lagThreshold",
    "activationLagThreshold",
    "offsetResetPolicy",
    "allowIdleConsumers",
    "excludePersistentLag",
    "scaleToZeroOnInvalidOffset",
    "limitToPartitionsWithLag",
    "ensureEvenDistributionOfPartitions",
];

/// KEDA's defaults, seconds.
pub(super) const POLLING_INTERVAL_S: i64 = 30;
pub(super) const COOLDOWN_S: i64 = 300;

pub(super) fn scaled_object(text: &str) -> Result<ScaledObject, String> {
    let documents: Vec<Value> =
        serde_saphyr::from_multiple(text).map_err(|error| first_line(&error.to_string()))?;
    let document = documents
        .into_iter()
        .find(|document| document["kind"] == "ScaledObject")
        .ok_or("no document of kind ScaledObject in it")?;
    let manifest: Manifest = serde_path_to_error::deserialize(document)
        .map_err(|error| format!("{}: {}", error.path(), first_line(&error.inner().to_string())))?;
    checked(manifest)
}

fn first_line(text: &str) -> String {
    text.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default().to_owned()
}

fn checked(manifest: Manifest) -> Result<ScaledObject, String> {
    if !manifest.api_version.starts_with("keda.sh/") {
        return Err(format!(
            "apiVersion = {:?}: allowed is keda.sh/v1alpha1",
            manifest.api_version
        ));
    }
    let spec = manifest.spec;
    let max = within(
        "spec.maxReplicaCount",
        i64::from(spec.max_replica_count.unwrap_or(100)),
        1,
        i64::from(i32::MAX),
    )?;
    let min =
        within("spec.minReplicaCount", i64::from(spec.min_replica_count.unwrap_or(0)), 0, max)?;
    let idle = spec
        .idle_replica_count
        .map(|idle| match min {
            // KEDA refuses it: what is idle has to be fewer.
            0 => Err(format!(
                "spec.idleReplicaCount = {idle}: allowed is less than minReplicaCount, which is 0; leave it out"
            )),
            _ => within("spec.idleReplicaCount", i64::from(idle), 0, min - 1),
        })
        .transpose()?;
    let seconds = |field: &str, value: Option<i64>, default: i64, low: i64| {
        within(field, value.unwrap_or(default), low, i64::from(i32::MAX))
            .map(|seconds| seconds * 1000)
    };
    let [trigger] = &spec.triggers[..] else {
        return Err(format!(
            "spec.triggers has {} entries: exactly one kafka trigger is supported",
            spec.triggers.len()
        ));
    };
    let behavior = spec
        .advanced
        .and_then(|advanced| advanced.horizontal_pod_autoscaler_config)
        .and_then(|config| config.behavior)
        .as_ref()
        .map(behavior)
        .transpose()?;
    let (name, target) = (&manifest.metadata.name, &spec.scale_target_ref.name);
    for (field, name) in [("metadata.name", name), ("spec.scaleTargetRef.name", target)] {
        if name.trim().is_empty() {
            return Err(format!("{field} = {name:?}: a name is needed"));
        }
    }
    let annotations = annotations(&manifest.metadata.annotations)?;
    Ok(ScaledObject {
        name: manifest.metadata.name,
        target_kind: spec.scale_target_ref.kind.unwrap_or_else(|| "Deployment".into()),
        target_name: spec.scale_target_ref.name,
        polling_interval_ms: seconds(
            "spec.pollingInterval",
            spec.polling_interval,
            POLLING_INTERVAL_S,
            1,
        )?,
        cooldown_ms: seconds("spec.cooldownPeriod", spec.cooldown_period, COOLDOWN_S, 0)?,
        initial_cooldown_ms: seconds(
            "spec.initialCooldownPeriod",
            spec.initial_cooldown_period,
            0,
            0,
        )?,
        min_replica_count: min as i32,
        max_replica_count: max as i32,
        idle_replica_count: idle.map(|idle| idle as i32),
        fallback: spec.fallback.as_ref().map(fallback).transpose()?,
        behavior: with_pauses(behavior, annotations),
        trigger: self::trigger(trigger)?,
        annotations,
    })
}

fn within(field: &str, value: i64, low: i64, high: i64) -> Result<i64, String> {
    if (low..=high).contains(&value) {
        return Ok(value);
    }
    Err(format!("{field} = {value}: allowed is {low} to {high}"))
}

fn annotations(given: &BTreeMap<String, String>) -> Result<Annotations, String> {
    let named = |name: &str| given.get(&format!("autoscaling.keda.sh/{name}")).map(String::as_str);
    // As KEDA, for which what is no boolean is meant as true.
    let set = |name: &str| {
        named(name).is_some_and(|text| !["0", "f", "F", "false", "False", "FALSE"].contains(&text))
    };
    let replicas = |text: &str| {
        let wrong =
            || format!("autoscaling.keda.sh/paused-replicas = {text:?}: not a number of pods");
        text.parse().ok().filter(|replicas| *replicas >= 0).ok_or_else(wrong)
    };
    let paused_replicas = named("paused-replicas").map(replicas).transpose()?;
    Ok(Annotations {
        paused: set("paused") || paused_replicas.is_some(),
        paused_replicas,
        pause_scale_in: set("paused-scale-in"),
        pause_scale_out: set("paused-scale-out"),
        force_activation: set("force-activation"),
    })
}

/// The behavior as KEDA writes it into the HPA: a direction that is paused is disabled.
fn with_pauses(behavior: Option<Behavior>, annotations: Annotations) -> Option<Behavior> {
    let Annotations { pause_scale_in, pause_scale_out, .. } = annotations;
    if !pause_scale_in && !pause_scale_out {
        return behavior;
    }
    let mut behavior = behavior.unwrap_or_default();
    if pause_scale_out {
        behavior.scale_up.select = Select::Disabled;
    }
    if pause_scale_in {
        behavior.scale_down.select = Select::Disabled;
    }
    Some(behavior)
}

fn fallback(spec: &FallbackSpec) -> Result<Fallback, String> {
    let high = i64::from(i32::MAX);
    within("spec.fallback.failureThreshold", i64::from(spec.failure_threshold), 0, high)?;
    within("spec.fallback.replicas", i64::from(spec.replicas), 0, high)?;
    let behavior = match spec.behavior.as_deref() {
        None | Some("static") => FallbackBehavior::Static,
        Some("currentReplicas") => FallbackBehavior::CurrentReplicas,
        Some("currentReplicasIfHigher") => FallbackBehavior::CurrentReplicasIfHigher,
        Some("currentReplicasIfLower") => FallbackBehavior::CurrentReplicasIfLower,
        Some(other) => {
            return Err(format!(
                "spec.fallback.behavior = {other:?}: allowed is static, currentReplicas, \
                 currentReplicasIfHigher, currentReplicasIfLower"
            ));
        }
    };
    Ok(Fallback { failure_threshold: spec.failure_threshold, replicas: spec.replicas, behavior })
}

const BEHAVIOR: &str = "spec.advanced.horizontalPodAutoscalerConfig.behavior";

fn behavior(spec: &BehaviorSpec) -> Result<Behavior, String> {
    let rules = |given: Option<&RulesSpec>, field: &str, default: Rules| match given {
        None => Ok(default),
        Some(given) => rules(given, &format!("{BEHAVIOR}.{field}"), default),
    };
    Ok(Behavior {
        scale_up: rules(spec.scale_up.as_ref(), "scaleUp", Rules::default_up())?,
        scale_down: rules(spec.scale_down.as_ref(), "scaleDown", Rules::default_down())?,
    })
}

fn rules(given: &RulesSpec, field: &str, default: Rules) -> Result<Rules, String> {
    let window = given.stabilization_window_seconds;
    if let Some(seconds) = window {
        within(&format!("{field}.stabilizationWindowSeconds"), i64::from(seconds), 0, 3600)?;
    }
    let select = match given.select_policy.as_deref() {
        None => default.select,
        Some("Max") => Select::Max,
        Some("Min") => Select::Min,
        Some("Disabled") => Select::Disabled,
        Some(other) => {
            return Err(format!("{field}.selectPolicy = {other:?}: allowed is Max, Min, Disabled"));
        }
    };
    let policies = match &given.policies {
        None => default.policies,
        Some(list) if list.is_empty() => {
            return Err(format!("{field}.policies is empty: at least one"));
        }
        Some(list) => list
            .iter()
            .enumerate()
            .map(|(index, policy)| {
                let field = format!("{field}.policies[{index}]");
                let kind = match policy.kind.as_str() {
                    "Pods" => PolicyKind::Pods,
                    "Percent" => PolicyKind::Percent,
                    other => {
                        return Err(format!("{field}.type = {other:?}: allowed is Pods, Percent"));
                    }
                };
                within(&format!("{field}.value"), i64::from(policy.value), 1, i64::from(i32::MAX))?;
                within(
                    &format!("{field}.periodSeconds"),
                    i64::from(policy.period_seconds),
                    1,
                    1800,
                )?;
                Ok(Policy { kind, value: policy.value, period_s: policy.period_seconds })
            })
            .collect::<Result<_, String>>()?,
    };
    let tolerance =
        given.tolerance.as_ref().map(|quantity| tolerance(quantity, field)).transpose()?;
    Ok(Rules {
        stabilization_window_s: window.or(default.stabilization_window_s),
        select,
        policies,
        tolerance,
    })
}

fn tolerance(quantity: &Quantity, field: &str) -> Result<f64, String> {
    let (value, shown) = match quantity {
        Quantity::Number(value) => (Some(*value), value.to_string()),
        Quantity::Text(text) => {
            let parsed = match text.strip_suffix('m') {
                Some(milli) => f64::from_str(milli).map(|milli| milli / 1000.0),
                None => f64::from_str(text),
            };
            (parsed.ok(), text.clone())
        }
    };
    value.filter(|value| value.is_finite() && *value >= 0.0).ok_or_else(|| {
        format!("{field}.tolerance = {shown}: allowed is 0 or more, for example 0.1 or 100m")
    })
}

fn trigger(spec: &TriggerSpec) -> Result<Trigger, String> {
    const FIELD: &str = "spec.triggers[0]";
    if !["kafka", "apache-kafka"].contains(&spec.kind.as_str()) {
        return Err(format!("{FIELD}.type = {:?}: allowed is kafka, apache-kafka", spec.kind));
    }
    let is_value_target = match spec.metric_type.as_deref() {
        None | Some("AverageValue") => false,
        Some("Value") => true,
        Some(other) => {
            return Err(format!("{FIELD}.metricType = {other:?}: allowed is AverageValue, Value"));
        }
    };
    let metadata = &spec.metadata;
    if let Some(unknown) = metadata.keys().find(|key| !TRIGGER_KEYS.contains(&key.as_str())) {
        return Err(format!(
            "{FIELD}.metadata.{unknown}: unknown key, allowed are {}",
            TRIGGER_KEYS.join(", ")
        ));
    }
    let text = |key: &str| metadata.get(key).map(String::as_str).filter(|value| !value.is_empty());
    let group = text("consumerGroup").unwrap_or_default().to_owned();
    if group.is_empty() && text("consumerGroupFromEnv").is_none() {
        return Err(format!(
            "{FIELD}.metadata.consumerGroup is missing: the group whose lag counts"
        ));
    }
    let lag = lag_options(metadata)?;
    let topic = text("topic").map(str::to_owned);
    if topic.is_none() && (lag.limit_to_partitions_with_lag || lag.ensure_even_distribution) {
        return Err(format!(
            "{FIELD}.metadata.topic is missing: limitToPartitionsWithLag and ensureEvenDistributionOfPartitions need it"
        ));
    }
    Ok(Trigger { topic, group, use_cached_metrics: spec.use_cached_metrics, is_value_target, lag })
}

fn lag_options(metadata: &BTreeMap<String, String>) -> Result<LagOptions, String> {
    let field = |key: &str| format!("spec.triggers[0].metadata.{key}");
    let number = |key: &str, default: i64, low: i64| match metadata.get(key) {
        None => Ok(default),
        Some(text) => text.parse::<i64>().ok().filter(|value| *value >= low).ok_or_else(|| {
            format!("{} = {text:?}: allowed is a whole number from {low}", field(key))
        }),
    };
    let flag = |key: &str| match metadata.get(key).map(String::as_str) {
        None | Some("" | "false") => Ok(false),
        Some("true") => Ok(true),
        Some(other) => Err(format!("{} = {other:?}: allowed is true, false", field(key))),
    };
    let offset_reset = match metadata.get("offsetResetPolicy").map(String::as_str) {
        None | Some("latest") => OffsetReset::Latest,
        Some("earliest") => OffsetReset::Earliest,
        Some(other) => {
            return Err(format!(
                "{} = {other:?}: allowed is latest, earliest",
                field("offsetResetPolicy")
            ));
        }
    };
    let options = LagOptions {
        lag_threshold: number("lagThreshold", 10, 1)?,
        activation_lag_threshold: number("activationLagThreshold", 0, 0)?,
        offset_reset,
        allow_idle_consumers: flag("allowIdleConsumers")?,
        exclude_persistent_lag: flag("excludePersistentLag")?,
        scale_to_zero_on_invalid_offset: flag("scaleToZeroOnInvalidOffset")?,
        limit_to_partitions_with_lag: flag("limitToPartitionsWithLag")?,
        ensure_even_distribution: flag("ensureEvenDistributionOfPartitions")?,
        partition_limitation: parse_partition_limitation(
            metadata.get("partitionLimitation").map_or("", String::as_str),
        )
        .map_err(|reason| format!("{}: {reason}", field("partitionLimitation")))?,
    };
    if options.limit_to_partitions_with_lag
        && (options.allow_idle_consumers || options.ensure_even_distribution)
    {
        return Err(format!(
            "{}: not together with allowIdleConsumers or ensureEvenDistributionOfPartitions",
            field("limitToPartitionsWithLag")
        ));
    }
    Ok(options)
}
