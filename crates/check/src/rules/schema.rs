//! Fields that exist, values that are accepted.

mod shapes;

use serde_json::Value;
use tidegate_autoscale::scaled_object::ScaledObject;
use tidegate_profile::text;

use self::shapes::Shape::{self, Any, List, Map};
use self::shapes::{BUDGET, KAFKA_METADATA, SCALED_OBJECT, WORKLOAD};
use super::trigger;
use crate::Severity;
use crate::finding::Findings;
use crate::source::{Document, Kind, Node};

const UNKNOWN: (&str, Severity) = ("TG001", Severity::Error);
const REFUSED: (&str, Severity) = ("TG002", Severity::Error);
const API_VERSION: &str = "keda.sh/v1alpha1";
/// Refused values of one object that are told, at most.
const MOST_VALUES: usize = 20;

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
        if !trigger::is_kafka(trigger) {
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
    let fix = match text::nearest(key, fields.clone()) {
        Some(field) => format!("did you mean {field}?"),
        None => format!("allowed here: {}", fields.collect::<Vec<_>>().join(", ")),
    };
    let message =
        format!("{key} is no field of it: it is ignored or refused, and its default counts");
    out.add(UNKNOWN, document, path, message, fix);
}

/// TG002: values that KEDA, the API server or the reader refuse.
pub(super) fn values(object: &Document, out: &mut Findings) {
    api_version(object, out);
    let triggers = object.node("spec.triggers").map(Node::items).unwrap_or_default();
    match triggers {
        [] => {
            out.add(REFUSED, object, "spec.triggers", "it has no trigger", "name a trigger");
        }
        [trigger] if trigger::is_kafka(trigger) => refused(object, out),
        _ => {}
    }
}

fn api_version(object: &Document, out: &mut Findings) {
    let Some(given) = object.text("apiVersion") else { return };
    if given.starts_with("keda.sh/") && given != API_VERSION {
        let message = format!("apiVersion = {given:?}: KEDA serves ScaledObject as {API_VERSION}");
        out.add(REFUSED, object, "apiVersion", message, format!("apiVersion: {API_VERSION}"));
    }
}

/// What the reader refuses. It names one value at a time: the next one shows when that is
/// left out, as long as the object can be read without it.
fn refused(object: &Document, out: &mut Findings) {
    let mut json = object.root.to_json();
    for is_first in std::iter::once(true).chain(std::iter::repeat_n(false, MOST_VALUES - 1)) {
        let Err(error) = ScaledObject::from_yaml(&json.to_string(), &object.file) else { return };
        let reason = &error.reason;
        // A misspelt field is TG001's.
        let is_other_rules = reason.contains("unknown field") || reason.contains("unknown key");
        // What is missing may be so because it was left out here.
        if is_other_rules || (!is_first && reason.contains("missing")) {
            return;
        }
        let (path, reason) = place(reason);
        let given = object.text(&path).filter(|_| reason.contains("expected a string"));
        let fix = match (given, path.rsplit('.').next()) {
            (Some(given), Some(field)) => format!("in quotes: {field}: {given:?}"),
            _ => "write one of the values that are allowed".to_owned(),
        };
        out.add(REFUSED, object, &path, reason, fix);
        if !leave_out(&mut json, &path) {
            return;
        }
    }
}

/// Takes a field away; false where there is none at the path.
fn leave_out(json: &mut Value, path: &str) -> bool {
    let Some((parent, field)) = path.rsplit_once('.') else { return false };
    let parent = json.pointer_mut(&format!("/{}", parent.replace('.', "/")));
    parent.and_then(Value::as_object_mut).is_some_and(|fields| fields.remove(field).is_some())
}

/// The path an error's text begins with, in this crate's form, and the text.
fn place(reason: &str) -> (String, &str) {
    let path = reason.split([' ', ':']).next().unwrap_or_default();
    (path.replace('[', ".").replace(']', ""), reason)
}
