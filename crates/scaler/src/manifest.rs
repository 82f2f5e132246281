//! A ScaledObject from a file: with an external trigger, or with KEDA's own Kafka
//! trigger (then the settings are what its slo law would be told). Pure.

use std::collections::HashMap;
use std::path::Path;

use serde_json::Value;
use tidegate_autoscale::law::SloOptions;
use tidegate_autoscale::scaled_object::ScaledObject;

use crate::Error;
use crate::metadata::{LawSettings, Settings};

/// A ScaledObject that was read from a file.
#[derive(Debug, Clone, PartialEq)]
pub struct Manifest {
    /// Namespace; `default` where none is given.
    pub namespace: String,
    /// Name.
    pub name: String,
    /// What triggers it.
    pub trigger: Trigger,
}

/// Its trigger.
#[derive(Debug, Clone, PartialEq)]
pub enum Trigger {
    /// `external` or `external-push`, with its metadata.
    External(HashMap<String, String>),
    /// KEDA's Kafka trigger.
    Kafka(Box<ScaledObject>),
}

impl Manifest {
    /// One that is in no file: a group on a topic, everything else as by default.
    pub fn of_group(namespace: &str, group: &str, topic: &str, target_age_s: f64) -> Self {
        let metadata = [
            ("consumerGroup", group.to_owned()),
            ("topic", topic.to_owned()),
            ("targetAgeSeconds", target_age_s.to_string()),
        ];
        Self {
            namespace: namespace.to_owned(),
            name: group.to_owned(),
            trigger: Trigger::External(metadata.map(|(key, value)| (key.to_owned(), value)).into()),
        }
    }

    /// Reads the first ScaledObject of a file.
    ///
    /// # Errors
    /// One line: file, field, value, what is allowed.
    pub fn from_file(path: &Path) -> Result<Self, Error> {
        let text = std::fs::read_to_string(path)
            .map_err(|error| Error::file(path, &format!("cannot be read: {error}")))?;
        Self::from_yaml(&text, &path.display().to_string())
            .map_err(|reason| Error::file(path, &reason))
    }

    fn from_yaml(text: &str, source: &str) -> Result<Self, String> {
        let documents: Vec<Value> = serde_saphyr::from_multiple(text)
            .map_err(|error| error.to_string().lines().next().unwrap_or_default().to_owned())?;
        let document = documents
            .into_iter()
            .find(|document| document["kind"] == "ScaledObject")
            .ok_or("no document of kind ScaledObject in it")?;
        let name = |field: &str| document["metadata"][field].as_str().map(str::to_owned);
        let triggers = document["spec"]["triggers"].as_array().map(Vec::as_slice);
        let external = triggers
            .unwrap_or_default()
            .iter()
            .find(|trigger| matches!(trigger["type"].as_str(), Some("external" | "external-push")));
        let trigger = match external {
            Some(trigger) => Trigger::External(strings(&trigger["metadata"])?),
            None => {
                let object = ScaledObject::from_yaml(text, source).map_err(|error| error.reason)?;
                Trigger::Kafka(Box::new(object))
            }
        };
        Ok(Self {
            namespace: name("namespace").unwrap_or_else(|| "default".into()),
            name: name("name").ok_or("metadata.name is missing")?,
            trigger,
        })
    }

    /// What the law is told. `target_age_s` is the promise where the trigger has none.
    ///
    /// # Errors
    /// One line: field, value, what is allowed.
    pub fn settings(&self, target_age_s: f64) -> Result<Settings, String> {
        match &self.trigger {
            Trigger::External(metadata) => {
                Settings::read(&self.name, metadata).map_err(|error| error.to_string())
            }
            Trigger::Kafka(object) => {
                let options = SloOptions { target_age_s, ..SloOptions::for_object(object) };
                options.check().map_err(|error| error.to_string())?;
                let topic = object.topic().ok_or("the trigger names no topic: one is needed")?;
                Ok(Settings {
                    bootstrap_servers: None,
                    pod_metrics_port: None,
                    group: object.group().to_owned(),
                    topic: topic.to_owned(),
                    fallback_replicas: options.fallback_replicas,
                    stale_after_s: options.stale_after_s,
                    law: LawSettings::Slo(Box::new(options)),
                    hpa_tolerance: 0.0,
                })
            }
        }
    }
}

fn strings(metadata: &Value) -> Result<HashMap<String, String>, String> {
    let pairs = metadata.as_object().ok_or("the trigger has no metadata")?;
    pairs
        .iter()
        .map(|(key, value)| match value {
            Value::String(text) => Ok((key.clone(), text.clone())),
            other => Err(format!("metadata.{key} = {other}: allowed is text: write it in quotes")),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXTERNAL: &str = include_str!("../../../config/scaled-object-external.yaml");
    const DEMO: &str = include_str!("../../../config/scaled-object-demo.yaml");

    #[test]
    fn the_recommended_object_is_what_the_scaler_reads() {
        let manifest = Manifest::from_yaml(EXTERNAL, "external.yaml").expect("manifest");
        let settings = manifest.settings(1.0).expect("settings");
        let LawSettings::Slo(options) = settings.law else { panic!("slo") };
        assert_eq!(settings.topic, "trade-tx");
        assert_eq!(options.max_replicas, 100);
        // The bounds are the HPA's own.
        let document: Vec<Value> = serde_saphyr::from_multiple(EXTERNAL).expect("yaml");
        let spec = &document[0]["spec"];
        assert_eq!(spec["maxReplicaCount"], options.max_replicas);
        assert_eq!(spec["minReplicaCount"], options.min_replicas);
        let behavior = &spec["advanced"]["horizontalPodAutoscalerConfig"]["behavior"];
        for direction in ["scaleUp", "scaleDown"] {
            assert_eq!(behavior[direction]["stabilizationWindowSeconds"], 0);
            assert_eq!(behavior[direction]["tolerance"], 0);
        }
    }

    #[test]
    fn a_kafka_trigger_gives_group_topic_and_bounds() {
        let manifest = Manifest::from_yaml(DEMO, "demo.yaml").expect("manifest");
        let settings = manifest.settings(12.0).expect("settings");
        assert_eq!(
            (settings.group.as_str(), settings.topic.as_str()),
            ("tx-trade-workers", "trade-tx")
        );
        let LawSettings::Slo(options) = settings.law else { panic!("slo") };
        assert_eq!((options.target_age_s, options.max_replicas), (12.0, 100));
    }

    #[test]
    fn a_group_needs_no_file() {
        let manifest = Manifest::of_group("n", "g", "t", 7.5);
        let settings = manifest.settings(1.0).expect("settings");
        let LawSettings::Slo(options) = settings.law else { panic!("slo") };
        assert_eq!((settings.group.as_str(), settings.topic.as_str()), ("g", "t"));
        assert_eq!(options.target_age_s, 7.5);
        let refused = Manifest::of_group("n", "g", "t", -1.0).settings(1.0);
        assert!(refused.expect_err("refused").contains("targetAgeSeconds"));
    }

    #[test]
    fn metadata_is_text() {
        let text = EXTERNAL.replace("maxReplicas: \"100\"", "maxReplicas: 100");
        let error = Manifest::from_yaml(&text, "x").expect_err("refused");
        assert!(
            error.contains("metadata.maxReplicas = 100") && error.contains("quotes"),
            "{error}"
        );
    }
}
