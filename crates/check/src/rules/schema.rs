//! Fields that exist, values that are accepted.

mod shapes;

use tidegate_autoscale::scaled_object::ScaledObject;

use self::shapes::Shape::{self, Any, List, Map};
use self::shapes::{BUDGET, KAFKA_METADATA, SCALED_OBJECT, WORKLOAD};
use super::Scaling;
use crate::facts::Facts;
use crate::finding::Findings;
use crate::source::{Document, Kind, Node};
use crate::{Known, Severity};

const UNKNOWN: (&str, Severity) = ("TG001", Severity::Error);
const REFUSED: (&str, Severity) = ("TG002", Severity::Error);

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
        let kind = trigger.node("type").and_then(Node::text);
        if !matches!(kind, Some("kafka" | "apache-kafka")) {
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
    let likely = fields
        .clone()
        .map(|field| {
            (strsim::damerau_levenshtein(&field.to_lowercase(), &key.to_lowercase()), field)
        })
        .min()
        .filter(|(distance, field)| *distance <= 2.max(field.len() / 4));
    let fix = match likely {
        Some((_, field)) => format!("did you mean {field}?"),
        None => format!("allowed here: {}", fields.collect::<Vec<_>>().join(", ")),
    };
    let message =
        format!("{key} is no field of it: it is ignored or refused, and its default counts");
    out.add(UNKNOWN, document, path, message, fix);
}

/// TG002: values that KEDA, the API server or the reader refuse.
pub(super) fn values(object: &Document, out: &mut Findings) {
    let scaling =
        Scaling { object, workload: None, facts: Facts::new(Known::default(), None, None) };
    let triggers = object.node("spec.triggers").map_or(0, |node| node.items().len());
    if triggers == 0 {
        out.add(REFUSED, object, "spec.triggers", "it has no trigger", "name a trigger");
        return;
    }
    if scaling.kafka().is_none() || triggers != 1 {
        return;
    }
    let text = object.root.to_json().to_string();
    if let Err(error) = ScaledObject::from_yaml(&text, &object.file) {
        // A misspelt field is TG001's.
        if error.reason.contains("unknown field") || error.reason.contains("unknown key") {
            return;
        }
        let (path, reason) = place(&error.reason);
        out.add(REFUSED, object, &path, reason, "write one of the values that are allowed");
    }
}

/// The path an error's text begins with, in this crate's form, and the text.
fn place(reason: &str) -> (String, &str) {
    let path = reason.split([' ', ':']).next().unwrap_or_default();
    (path.replace('[', ".").replace(']', ""), reason)
}
