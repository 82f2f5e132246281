//! A trigger that asks `tidegate scaler`: its metadata as the scaler would read it, and
//! an HPA that follows what it is told.

use std::collections::HashMap;

use tidegate_autoscale::external::{BadMetadata, LawSettings, Settings};

use super::{BEHAVIOR, Scaling};
use crate::Severity;
use crate::finding::Findings;
use crate::source::Node;

const UNKNOWN: (&str, Severity) = ("TG001", Severity::Error);
const REFUSED: (&str, Severity) = ("TG002", Severity::Error);
const BOUNDS: (&str, Severity) = ("TG006", Severity::Warning);
const DAMPED: (&str, Severity) = ("TG036", Severity::Warning);
const OWN_KEYS: [&str; 3] = ["targetAgeSeconds", "podRatePerSecond", "podStartSeconds"];
/// The controller's own.
const TOLERANCE: f64 = 0.1;
const DOWN_WINDOW_S: i64 = 300;

pub(super) fn check(scaling: &Scaling<'_>, out: &mut Findings) {
    let triggers = scaling.object.node("spec.triggers").map(Node::items).unwrap_or_default();
    for (index, trigger) in triggers.iter().enumerate() {
        let Some(metadata) = asks_tidegate(trigger) else { continue };
        let path = format!("spec.triggers.{index}.metadata");
        match Settings::read(scaling.object.name(), &metadata) {
            Err(error) => refused(scaling, &path, &error, out),
            Ok(settings) => {
                if let LawSettings::Slo(options) = &settings.law {
                    let own = (options.min_replicas, options.max_replicas);
                    bounds(scaling, &path, own, out);
                    damped(scaling, settings.hpa_tolerance, out);
                }
            }
        }
    }
}

/// The metadata of a trigger that means `tidegate scaler`: by its address, or by keys
/// that only it has.
fn asks_tidegate(trigger: &Node) -> Option<HashMap<String, String>> {
    let kind = trigger.node("type").and_then(Node::text)?;
    let metadata = trigger.node("metadata")?;
    let address = metadata.node("scalerAddress").and_then(Node::text).unwrap_or_default();
    let is_ours =
        address.contains("tidegate") || OWN_KEYS.iter().any(|key| metadata.node(key).is_some());
    if !matches!(kind, "external" | "external-push") || !is_ours {
        return None;
    }
    let text = |value: &Node| value.text().unwrap_or_default().to_owned();
    let entries = metadata.entries().iter();
    Some(entries.map(|entry| (entry.key.clone(), text(&entry.value))).collect())
}

fn refused(scaling: &Scaling<'_>, path: &str, error: &BadMetadata, out: &mut Findings) {
    let key = error.key.split(' ').next().unwrap_or_default();
    let rule = if error.key == key { REFUSED } else { UNKNOWN };
    let path = format!("{path}.{key}");
    out.add(rule, scaling.object, &path, error.to_string(), format!("allowed: {}", error.allowed));
}

/// TG006: what the law may want, and what KEDA and the HPA allow.
fn bounds(scaling: &Scaling<'_>, path: &str, (min, max): (i32, i32), out: &mut Findings) {
    let pairs = [
        ("minReplicas", i64::from(min), "minReplicaCount", scaling.min()),
        ("maxReplicas", i64::from(max), "maxReplicaCount", scaling.max()),
    ];
    for (own, is, theirs, should) in pairs {
        if is == should {
            continue;
        }
        out.add(
            BOUNDS,
            scaling.object,
            &format!("{path}.{own}"),
            format!("the law works with {own} = {is}, KEDA and the HPA with {theirs} = {should}: the law waits for pods that are never ordered, or never orders those that may be"),
            format!("{own}: \"{should}\""),
        );
    }
}

/// TG036: the decision is damped already.
fn damped(scaling: &Scaling<'_>, told_tolerance: f64, out: &mut Findings) {
    let object = scaling.object;
    for (direction, default_window_s) in [("scaleUp", 0), ("scaleDown", DOWN_WINDOW_S)] {
        let path = |field: &str| format!("{BEHAVIOR}.{direction}.{field}");
        let window = path("stabilizationWindowSeconds");
        let window_s = object.int(&window).unwrap_or(default_window_s);
        if window_s > 0 {
            out.add(
                DAMPED,
                object,
                &window,
                format!("the HPA holds for {window_s} s what the law decided after its own hold: {direction} comes that much later"),
                "stabilizationWindowSeconds: 0",
            );
        }
        let tolerance = object.number(&path("tolerance")).unwrap_or(TOLERANCE);
        if tolerance > told_tolerance {
            out.add(
                DAMPED,
                object,
                &path("tolerance"),
                format!("the HPA passes over a change of up to {:.0} %, and the law is not told: of 20 pods that it wants to be {}, none changes", tolerance * 100.0, if direction == "scaleUp" { 21 } else { 19 }),
                format!("tolerance: 0, or on a cluster without it hpaTolerance: \"{tolerance}\" in the metadata"),
            );
        }
    }
}
