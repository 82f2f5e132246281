//! `--scaled-object`: one that is built in, by name, or a file.
//!
//! Contract: one whose trigger asks `tidegate scaler` is read as the scaler reads it; what it
//! says to KEDA and the HPA is read as of any other.

use std::path::Path;

use serde_json::{Value, json};
use tidegate_autoscale::law::SloOptions;
use tidegate_autoscale::scaled_object::ScaledObject;
use tidegate_scaler::manifest::Manifest;
use tidegate_scaler::metadata::{LawSettings, Settings};

use crate::exit::bad_input;

const LOCAL_SCALED_OBJECT: &str = include_str!("../../../../config/scaled-object-local.yaml");
const DEMO_SCALED_OBJECT: &str = include_str!("../../../../config/scaled-object-demo.yaml");

/// A ScaledObject, and what its own trigger tells the slo law.
#[derive(Debug)]
pub(super) struct Asked {
    /// Names, bounds, polling, behavior; the trigger is KEDA's own.
    pub(super) object: ScaledObject,
    /// `None` where the trigger is KEDA's own.
    pub(super) slo: Option<Box<SloOptions>>,
}

/// A ScaledObject by name or file; its trigger is KEDA's own.
pub(super) fn read(named: &str) -> anyhow::Result<ScaledObject> {
    let (name, text) = text(named)?;
    object(&name, &text)
}

/// A ScaledObject by name or file, with either trigger.
pub(super) fn read_either(named: &str) -> anyhow::Result<Asked> {
    let (name, text) = text(named)?;
    let Some(mut manifest) = external(&name, &text) else {
        return Ok(Asked { object: object(&name, &text)?, slo: None });
    };
    let settings = Manifest::from_file(Path::new(&name))
        .map_err(|error| bad_input(error.to_string()))?
        .settings(SloOptions::default().target_age_s)
        .map_err(|why| bad_input(format!("{name}: {why}")))?;
    let Settings { group, topic, law: LawSettings::Slo(slo), .. } = settings else {
        return Err(bad_input(format!("{name}: metadata.law = \"stock\": allowed here is slo")));
    };
    manifest["spec"]["triggers"] = json!([{
        "type": "kafka", "metadata": { "topic": topic, "consumerGroup": group },
    }]);
    Ok(Asked { object: object(&name, &manifest.to_string())?, slo: Some(slo) })
}

fn object(name: &str, text: &str) -> anyhow::Result<ScaledObject> {
    ScaledObject::from_yaml(text, name).map_err(|error| refused(name, text, &error.to_string()))
}

/// Why a ScaledObject cannot be used; of one for `tidegate scaler`, who can use it.
pub(super) fn refused(name: &str, text: &str, why: &str) -> anyhow::Error {
    bad_input(match external(name, text) {
        Some(_) => format!(
            "{name}: its trigger asks `tidegate scaler`, and one of type kafka is needed here; \
             `simulate --law slo`, `plan` and `scaler` take it"
        ),
        None => why.to_owned(),
    })
}

/// The ScaledObject of a text, as JSON, when its trigger is an external one.
fn external(name: &str, text: &str) -> Option<Value> {
    let documents = tidegate_check::source::read(name, text).ok()?;
    let object = documents.iter().find(|document| document.text("kind") == Some("ScaledObject"))?;
    let kind = object.text("spec.triggers.0.type")?;
    matches!(kind, "external" | "external-push").then(|| object.root.to_json())
}

/// The name and text of a ScaledObject by name or file.
pub(super) fn text(named: &str) -> anyhow::Result<(String, String)> {
    Ok(match named {
        "local" => ("scaled-object-local.yaml".to_owned(), LOCAL_SCALED_OBJECT.to_owned()),
        "demo" => ("scaled-object-demo.yaml".to_owned(), DEMO_SCALED_OBJECT.to_owned()),
        file => {
            let text = std::fs::read_to_string(file)
                .map_err(|error| bad_input(format!("--scaled-object {file}: {error}")))?;
            (file.to_owned(), text)
        }
    })
}
