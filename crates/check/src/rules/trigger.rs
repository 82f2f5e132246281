//! What an object is scaled by: Kafka's lag, or an external scaler; of anything else the rules
//! about lag know nothing, and say so.

use crate::Severity;
use crate::finding::Findings;
use crate::source::{Document, Node};

const RULE: &str = "TG007";
const KAFKA: [&str; 2] = ["kafka", "apache-kafka"];
const EXTERNAL: [&str; 2] = ["external", "external-push"];
/// Edits from a type to one that is meant.
const MISSPELT: usize = 2;

/// Whether a trigger is KEDA's own for Kafka.
pub(super) fn is_kafka(trigger: &Node) -> bool {
    trigger.node("type").and_then(Node::text).is_some_and(|kind| KAFKA.contains(&kind))
}

/// Whether a trigger asks another program: its policies are checked, its metadata is its own.
fn is_external(trigger: &Node) -> bool {
    trigger.node("type").and_then(Node::text).is_some_and(|kind| EXTERNAL.contains(&kind))
}

/// TG007: a trigger that is not checked.
pub(super) fn check(object: &Document, out: &mut Findings) {
    let triggers = object.node("spec.triggers").map(Node::items).unwrap_or_default();
    let is_checked = triggers.iter().any(|trigger| is_kafka(trigger) || is_external(trigger));
    for (index, trigger) in triggers.iter().enumerate().filter(|(_, trigger)| !is_kafka(trigger)) {
        let path = format!("spec.triggers.{index}.type");
        let kind = trigger.node("type").and_then(Node::text).unwrap_or_default();
        let distance = |known: &&str| strsim::damerau_levenshtein(known, &kind.to_lowercase());
        let likely = KAFKA.into_iter().min_by_key(distance).filter(|k| distance(k) <= MISSPELT);
        if let Some(known) = likely {
            let message = format!(
                "{kind} is no trigger of KEDA, which refuses the object: nothing is scaled, and what the trigger says is not checked"
            );
            let fix = format!("did you mean {known}?");
            out.add((RULE, Severity::Error), object, &path, message, fix);
        } else if kind.is_empty() {
            let message = "a trigger without a type: KEDA refuses the object";
            out.add((RULE, Severity::Error), object, &path, message, "type: kafka");
        } else if !is_checked {
            let message = format!(
                "the trigger is of type {kind}: the rules about lag, threshold and waiting know kafka and external scalers only, and none of them looked at it"
            );
            let fix = "type: kafka where Kafka's lag is what counts; nothing where it is not";
            out.add((RULE, Severity::Note), object, &path, message, fix);
        }
    }
}
