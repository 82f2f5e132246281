//! Settings as a law, and as a ScaledObject with its reasons.

use std::fmt::Write as _;

use serde_json::{Map, Value, json};
use tidegate_autoscale::scaled_object::{ScaledObject, ScaledObjectError};
use tidegate_sim::Scenario;

use super::policies::{DOWN, Policy, UP, json as policy_json};
use super::space::{LawKind, Space};
use crate::trial::{LawSettings, SloSettings, slo_options};

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

/// Comments of a manifest: at the top, and by setting.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Comments {
    /// Lines above everything.
    pub head: Vec<String>,
    /// Name of a setting and why it is what it is.
    pub settings: Vec<(&'static str, String)>,
}

impl Comments {
    fn of(&self, setting: &str) -> Option<&str> {
        self.settings.iter().find(|(name, _)| *name == setting).map(|(_, why)| why.as_str())
    }
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
    let mut text = String::new();
    for line in &comments.head {
        let _ = writeln!(text, "# {line}");
    }
    let manifest = match space.law {
        LawKind::Stock => stock_manifest(base, space, genes),
        LawKind::Slo => slo_manifest(base, space, genes, scenario),
    };
    let mut writer = Writer { text, comments, direction: None };
    writer.map(&manifest, 0);
    writer.text
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

/// Order of keys, where there is one that people expect.
const ORDER: &[&str] = &[
    "apiVersion",
    "kind",
    "metadata",
    "spec",
    "name",
    "namespace",
    "scaleTargetRef",
    "pollingInterval",
    "cooldownPeriod",
    "initialCooldownPeriod",
    "idleReplicaCount",
    "minReplicaCount",
    "maxReplicaCount",
    "fallback",
    "advanced",
    "triggers",
    "type",
    "value",
    "periodSeconds",
    "metricType",
    "scaleUp",
    "scaleDown",
    "stabilizationWindowSeconds",
    "selectPolicy",
    "tolerance",
    "policies",
];

struct Writer<'a> {
    text: String,
    comments: &'a Comments,
    direction: Option<&'static str>,
}

impl Writer<'_> {
    fn map(&mut self, value: &Value, indent: usize) {
        let Some(map) = value.as_object() else { return };
        let mut keys: Vec<&String> = map.keys().collect();
        let rank = |key: &str| ORDER.iter().position(|name| *name == key).unwrap_or(ORDER.len());
        keys.sort_by_key(|key| rank(key));
        for key in keys {
            let outer = self.direction;
            match key.as_str() {
                "scaleUp" => self.direction = Some("scaleUp"),
                "scaleDown" => self.direction = Some("scaleDown"),
                _ => {}
            }
            self.entry(key, &map[key], indent);
            self.direction = outer;
        }
    }

    fn entry(&mut self, key: &str, value: &Value, indent: usize) {
        let pad = " ".repeat(indent);
        let setting = match self.direction {
            Some(direction) => format!("{direction}.{key}"),
            None => key.to_owned(),
        };
        if let Some(why) = self.comments.of(&setting) {
            let _ = writeln!(self.text, "{pad}# {why}");
        }
        match value {
            Value::Object(map) if !map.is_empty() => {
                let _ = writeln!(self.text, "{pad}{key}:");
                self.map(value, indent + 2);
            }
            Value::Array(items) if !items.is_empty() => {
                let _ = writeln!(self.text, "{pad}{key}:");
                items.iter().for_each(|item| self.item(item, indent));
            }
            other => {
                let _ = writeln!(self.text, "{pad}{key}: {other}");
            }
        }
    }

    fn item(&mut self, item: &Value, indent: usize) {
        if !item.is_object() {
            let _ = writeln!(self.text, "{}- {item}", " ".repeat(indent));
            return;
        }
        let start = self.text.len();
        self.map(item, indent + 2);
        // The first key's line begins with the dash; a comment above it keeps its place.
        let lines = self.text.get(start..).unwrap_or_default();
        let mut offset = start;
        for line in lines.split_inclusive('\n') {
            if !line.trim_start().starts_with('#') {
                break;
            }
            offset += line.len();
        }
        if self.text.get(offset..).is_some_and(|rest| !rest.is_empty()) {
            self.text.replace_range(offset + indent..offset + indent + 1, "-");
        }
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;
    use tidegate_autoscale::external::{LawSettings as Told, Settings};
    use tidegate_autoscale::law::SloOptions;

    use super::*;
    use crate::trial::NamedScenario;

    const DEMO: &str = include_str!("../../../../config/scaled-object-demo.yaml");
    const PUBLISHED: &str = include_str!("../../../../config/scenarios/published.toml");

    fn published() -> Scenario {
        Scenario::from_text("published.toml", PUBLISHED).expect("scenario")
    }

    fn space(law: LawKind) -> (Base, Space) {
        let scenarios = [NamedScenario { name: "published".into(), scenario: published() }];
        let base = Base::from_yaml("demo", DEMO).expect("manifest");
        let space = Space::new(law, &scenarios, &base.object);
        (base, space)
    }

    /// What is written is what was simulated.
    #[test]
    fn the_written_manifest_reads_back_as_the_same_law() {
        let (base, space) = space(LawKind::Stock);
        let mut random = ChaCha8Rng::seed_from_u64(3);
        let comments = Comments {
            head: vec!["Tuned.".into()],
            settings: vec![("lagThreshold", "why: because".into()), ("type", "first".into())],
        };
        for _ in 0..50 {
            let genes = space.random(&mut random);
            let text = yaml(&base, &space, &genes, &comments, &published());
            let read = ScaledObject::from_yaml(&text, "written").expect(&text);
            let LawSettings::Stock(simulated) = settings(&base, &space, &genes).expect("law")
            else {
                panic!("a stock law")
            };
            assert_eq!(read, *simulated, "{text}");
            assert!(text.contains("# why: because"), "{text}");
            assert_eq!(read.name(), base.object.name());
        }
    }

    /// What the scaler reads out of it is what was simulated.
    #[test]
    fn an_slo_manifest_tells_the_external_scaler_what_the_simulated_law_was_told() {
        let (base, space) = space(LawKind::Slo);
        let mut random = ChaCha8Rng::seed_from_u64(1);
        for _ in 0..50 {
            let genes = space.random(&mut random);
            let text = yaml(&base, &space, &genes, &Comments::default(), &published());
            let read: Value = serde_saphyr::from_str(&text).expect(&text);
            assert_eq!(read["spec"]["triggers"][0]["type"], "external-push");
            assert_eq!(read["spec"]["cooldownPeriod"], 0, "the law has its own");
            let metadata = read["spec"]["triggers"][0]["metadata"].clone();
            let metadata = serde_json::from_value(metadata).expect("text only");
            let told = Settings::read(base.object.name(), &metadata).expect(&text);
            assert_eq!(
                (told.topic.as_str(), told.group.as_str()),
                ("trade-tx", "tx-trade-workers")
            );
            let Told::Slo(told) = told.law else { panic!("slo: {text}") };
            let simulated = slo_options(&published(), &base.object, &slo_settings(&space, &genes));
            let rounded = |value: f64| (value * 1000.0).round() / 1000.0;
            let simulated = SloOptions {
                name: told.name.clone(),
                reference: told.reference.clone(),
                target_age_s: rounded(simulated.target_age_s),
                headroom: rounded(simulated.headroom),
                hold_s: rounded(simulated.hold_s),
                drain_s: simulated.drain_s.map(rounded),
                pod_rate_per_s: rounded(simulated.pod_rate_per_s),
                pod_start_s: rounded(simulated.pod_start_s),
                rebalance_s: rounded(simulated.rebalance_s),
                in_flight_s: rounded(simulated.in_flight_s),
                stale_after_s: told.stale_after_s,
                ..simulated
            };
            assert_eq!(*told, simulated, "{text}");
        }
    }
}
