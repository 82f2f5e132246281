//! A ScaledObject from a file: with an external trigger, or with KEDA's own Kafka
//! trigger (then the settings are what its slo law would be told). Pure.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

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

    /// Reads the ScaledObjects of several files.
    ///
    /// # Errors
    /// As [`Self::from_file`]; and a ScaledObject that is in two of them.
    pub fn from_files(paths: &[PathBuf]) -> Result<Vec<Self>, Error> {
        let mut manifests: Vec<Self> = Vec::new();
        for path in paths {
            let manifest = Self::from_file(path)?;
            let Self { namespace, name, .. } = &manifest;
            let same = |known: &Self| (&known.namespace, &known.name) == (namespace, name);
            if let Some(first) = manifests.iter().position(same) {
                let first = paths[first].display();
                let reason = format!(
                    "{namespace}/{name} is in {first} too: one ScaledObject of a name is allowed"
                );
                return Err(Error::file(path, &reason));
            }
            manifests.push(manifest);
        }
        Ok(manifests)
    }

    /// Reads the ScaledObject of a file.
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
        let mut objects =
            documents.into_iter().filter(|document| document["kind"] == "ScaledObject");
        let document = objects.next().ok_or("no document of kind ScaledObject in it")?;
        let name = |field: &str| document["metadata"][field].as_str().map(str::to_owned);
        if let Some(second) = objects.next() {
            let names = [&document, &second].map(|object| object["metadata"]["name"].as_str());
            let [first, second] = names.map(|name| name.unwrap_or("one without a name"));
            return Err(format!("it has the ScaledObjects {first} and {second}: one is allowed"));
        }
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
    fn of_two_scaled_objects_of_one_name_neither_is_taken_silently() {
        let folder = tempfile::tempdir().expect("folder");
        let file = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().expect("folder")).expect("folder");
            std::fs::write(&path, text).expect("written");
            path
        };
        let first = file("a/orders.yaml", EXTERNAL);
        let edited = file("b/orders.yaml", &EXTERNAL.replace("tx-trade-workers", "orders"));
        let elsewhere = EXTERNAL.replace("metadata:\n  name", "metadata:\n  namespace: b\n  name");
        let elsewhere = file("c/orders.yaml", &elsewhere);
        let read = |paths: &[&PathBuf]| {
            let paths: Vec<PathBuf> = paths.iter().map(|path| (*path).clone()).collect();
            Manifest::from_files(&paths).map_err(|error| error.to_string())
        };
        let demo = DEMO.replace("name: trade-tx-consumer-scaler", "name: demo");
        let other = file("d.yaml", &demo);
        assert_eq!(read(&[&first, &elsewhere, &other]).expect("three of them").len(), 3);
        for second in [&edited, &first] {
            let error = read(&[&other, &first, second]).expect_err("refused");
            for named in [&first, second] {
                assert!(error.contains(&named.display().to_string()), "{error}");
            }
            assert!(error.ends_with("one ScaledObject of a name is allowed"), "{error}");
        }
        let error = Manifest::from_yaml(&format!("{EXTERNAL}\n---\n{demo}"), "x");
        let error = error.expect_err("refused");
        let names = "the ScaledObjects trade-tx-consumer-scaler and demo";
        assert_eq!(error, format!("it has {names}: one is allowed"));
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
