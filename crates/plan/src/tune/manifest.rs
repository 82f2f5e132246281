//! Settings as a law, and as a ScaledObject with its reasons.
//!
//! Contract: what is written reads back as the law that was simulated, the SLO law's numbers
//! to three decimals.
//!
//! # Layout
//! - here: the object that is tuned, and what settings make of it
//! - `writer`: YAML with comments

mod writer;

use serde_json::{Map, Value, json};
use tidegate_autoscale::scaled_object::{ScaledObject, ScaledObjectError};
use tidegate_sim::Scenario;

use super::policies::{DOWN, Policy, UP, json as policy_json};
use super::space::{LawKind, Space};
use crate::trial::{LawSettings, SloSettings, slo_options};

pub use self::writer::Comments;

/// The ScaledObject that is tuned: its names and connection stay.
#[derive(Debug, Clone)]
pub struct Base {
    /// As read.
    pub object: ScaledObject,
    /// The same as JSON.
    pub manifest: Value,
}

/// A ScaledObject that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BaseError {
    /// As [`ScaledObject::from_yaml`] says.
    #[error(transparent)]
    Object(#[from] ScaledObjectError),
    /// No YAML.
    #[error("{0}")]
    Yaml(String),
}

impl Base {
    /// From the text of a manifest.
    ///
    /// # Errors
    /// [`BaseError`], one line.
    pub fn from_yaml(name: &str, text: &str) -> Result<Self, BaseError> {
        let object = ScaledObject::from_yaml(text, name)?;
        let documents: Vec<Value> = serde_saphyr::from_multiple(text)
            .map_err(|error| BaseError::Yaml(format!("{name}: {error}")))?;
        let manifest = documents
            .into_iter()
            .find(|document| document["kind"] == "ScaledObject")
            .unwrap_or_default();
        Ok(Self { object, manifest })
    }

    fn trigger(&self) -> &Value {
        &self.manifest["spec"]["triggers"][0]
    }
}

/// The law of a configuration.
///
/// # Errors
/// What is refused, in one line.
pub fn settings(base: &Base, space: &Space, genes: &[u8]) -> Result<LawSettings, String> {
    match space.law {
        LawKind::Stock => {
            let text = stock_manifest(base, space, genes).to_string();
            let object = ScaledObject::from_yaml(&text, "tuned").map_err(|e| e.to_string())?;
            Ok(LawSettings::Stock(Box::new(object)))
        }
        LawKind::Slo => {
            Ok(LawSettings::Slo(Box::new(base.object.clone()), slo_settings(space, genes)))
        }
    }
}

fn slo_settings(space: &Space, genes: &[u8]) -> SloSettings {
    let value = |name| space.value(genes, name);
    SloSettings {
        target_age_s: value("targetAgeSeconds"),
        headroom: value("headroom"),
        overprovisioning: value("overprovisioning"),
        hold_s: value("holdSeconds"),
        drain_s: Some(value("drainSeconds")).filter(|seconds| *seconds > 0.0),
        min_replicas: bounds(space, genes).0,
        max_replicas: bounds(space, genes).1,
    }
}

/// Least and most pods.
fn bounds(space: &Space, genes: &[u8]) -> (i32, i32) {
    let max = space.value(genes, "maxReplicaCount") as i32;
    ((space.value(genes, "minReplicaCount") as i32).min(max), max)
}

fn policies(table: &[&'static [Policy]], index: f64) -> &'static [Policy] {
    table.get(index as usize).copied().unwrap_or_default()
}

fn stock_manifest(base: &Base, space: &Space, genes: &[u8]) -> Value {
    let value = |name| space.value(genes, name);
    let mut manifest = base.manifest.clone();
    let (min, max) = bounds(space, genes);
    let rules = |direction: &str, table| {
        let of = |name: &str| value_of(space, genes, direction, name);
        json!({
            "stabilizationWindowSeconds": of("stabilizationWindowSeconds") as i64,
            "selectPolicy": "Max",
            "tolerance": of("tolerance"),
            "policies": policy_json(policies(table, of("policies")), max),
        })
    };
    let behavior =
        json!({ "scaleUp": rules("scaleUp", UP), "scaleDown": rules("scaleDown", DOWN) });
    let spec = &mut manifest["spec"];
    spec["minReplicaCount"] = json!(min);
    spec["maxReplicaCount"] = json!(max);
    spec["pollingInterval"] = json!(value("pollingInterval") as i64);
    spec["advanced"]["horizontalPodAutoscalerConfig"]["behavior"] = behavior;
    let trigger = &mut spec["triggers"][0];
    trigger["metricType"] = json!("AverageValue");
    if let Some(fields) = trigger.as_object_mut() {
        fields.remove("useCachedMetrics");
    }
    let metadata = &mut trigger["metadata"];
    metadata["lagThreshold"] = json!((value("lagThreshold") as i64).to_string());
    if min == 0 {
        metadata["offsetResetPolicy"] = json!("earliest");
    }
    if let Some(metadata) = metadata.as_object_mut() {
        for key in [
            "allowIdleConsumers",
            "excludePersistentLag",
            "limitToPartitionsWithLag",
            "ensureEvenDistributionOfPartitions",
        ] {
            metadata.remove(key);
        }
        if value("ensureEvenDistributionOfPartitions") > 0.0 {
            metadata.insert("ensureEvenDistributionOfPartitions".into(), json!("true"));
        }
    }
    manifest
}

fn value_of(space: &Space, genes: &[u8], direction: &str, name: &str) -> f64 {
    space.value(genes, &format!("{direction}.{name}"))
}

/// The manifest of a configuration, with comments. For the SLO law the trigger is
/// tidegate's external scaler, which is told what the simulated law was told: the first
/// guesses are those of `scenario`.
pub fn yaml(
    base: &Base,
    space: &Space,
    genes: &[u8],
    comments: &Comments,
    scenario: &Scenario,
) -> String {
    let manifest = match space.law {
        LawKind::Stock => stock_manifest(base, space, genes),
        LawKind::Slo => slo_manifest(base, space, genes, scenario),
    };
    writer::text(&manifest, comments)
}

/// The external scaler's Service in the object's namespace.
const SCALER_ADDRESS: &str = "tidegate-scaler:6000";

fn slo_manifest(base: &Base, space: &Space, genes: &[u8], scenario: &Scenario) -> Value {
    let options = slo_options(scenario, &base.object, &slo_settings(space, genes));
    let mut manifest = base.manifest.clone();
    let (min, max) = (options.min_replicas, options.max_replicas);
    let known = &base.trigger()["metadata"];
    let mut metadata = Map::new();
    for key in ["bootstrapServers", "topic", "consumerGroup"] {
        if let Some(text) = known.get(key) {
            metadata.insert(key.into(), text.clone());
        }
    }
    metadata.insert("scalerAddress".into(), json!(SCALER_ADDRESS));
    for (name, value) in [
        ("targetAgeSeconds", Some(options.target_age_s)),
        ("headroom", Some(options.headroom)),
        ("overprovisioning", Some(options.overprovisioning)),
        ("holdSeconds", Some(options.hold_s)),
        ("drainSeconds", options.drain_s),
        ("cooldownSeconds", Some(options.cooldown_s)),
        ("podRatePerSecond", Some(options.pod_rate_per_s)),
        ("podStartSeconds", Some(options.pod_start_s)),
        ("rebalanceSeconds", Some(options.rebalance_s)),
        ("inFlightSeconds", Some(options.in_flight_s)),
        ("fallbackReplicas", options.fallback_replicas.map(f64::from)),
        ("minReplicas", Some(f64::from(min))),
        ("maxReplicas", Some(f64::from(max))),
    ] {
        if let Some(value) = value {
            let text = format!("{value:.3}");
            let text = text.trim_end_matches('0').trim_end_matches('.');
            metadata.insert(name.into(), json!(text));
        }
    }
    // The decision is taken already: the HPA is to follow it at once.
    let follow = |kind: &str, value: i32| {
        json!({
            "stabilizationWindowSeconds": 0,
            "selectPolicy": "Max",
            "tolerance": 0,
            "policies": [{ "type": kind, "value": value, "periodSeconds": 15 }],
        })
    };
    let spec = &mut manifest["spec"];
    spec["minReplicaCount"] = json!(min);
    spec["maxReplicaCount"] = json!(max);
    spec["advanced"]["horizontalPodAutoscalerConfig"]["behavior"] =
        json!({ "scaleUp": follow("Pods", max), "scaleDown": follow("Percent", 100) });
    // The law has a cooldown of its own.
    spec["cooldownPeriod"] = json!(0);
    spec["triggers"] = json!([{
        "type": "external-push",
        "metricType": "AverageValue",
        "metadata": metadata,
    }]);
    manifest
}

#[cfg(test)]
mod tests;
