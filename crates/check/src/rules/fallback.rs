//! What counts when the lag cannot be read.

use super::Scaling;
use crate::Severity;
use crate::finding::Findings;

const NONE: (&str, Severity) = ("TG050", Severity::Note);
const TO_ZERO: (&str, Severity) = ("TG051", Severity::Error);
const BOUNDS: (&str, Severity) = ("TG052", Severity::Warning);

pub(super) fn check(scaling: &Scaling<'_>, out: &mut Findings) {
    let object = scaling.object;
    if object.node("spec.fallback").is_none() {
        // A world whose lag reader is in the same process has no use for one.
        if scaling.workload.is_some() {
            out.add(
                NONE,
                object,
                "spec",
                "no fallback: while the lag cannot be read the replicas stay what they are, few pods at a peak included",
                "fallback: { failureThreshold: 3, replicas: what a usual peak needs, behavior: currentReplicasIfHigher }",
            );
        }
        return;
    }
    let Some(replicas) = object.int("spec.fallback.replicas") else { return };
    let behavior = object.text("spec.fallback.behavior").unwrap_or("static");
    if replicas == 0 {
        out.add(
            TO_ZERO,
            object,
            "spec.fallback.replicas",
            "replicas 0: a lag that cannot be read takes all pods away after the cooldown, just when nobody knows what waits",
            "replicas: what a usual peak needs",
        );
    } else if replicas > scaling.max() || replicas < scaling.min() {
        out.add(
            BOUNDS,
            object,
            "spec.fallback.replicas",
            format!(
                "{replicas} is outside {} to {}: the HPA cuts it",
                scaling.min(),
                scaling.max()
            ),
            format!("replicas: {} to {}", scaling.min().max(1), scaling.max()),
        );
    } else if behavior == "static" && 2 * replicas < scaling.max() {
        out.add(
            BOUNDS,
            object,
            "spec.fallback.replicas",
            format!(
                "a static fallback of {replicas} takes pods away at a peak: from up to {} to {replicas} when the lag cannot be read",
                scaling.max()
            ),
            "behavior: currentReplicasIfHigher",
        );
    }
    if object.int("spec.fallback.failureThreshold") == Some(0) {
        out.add(
            BOUNDS,
            object,
            "spec.fallback.failureThreshold",
            "failureThreshold 0: the first failed request trips it; polls and HPA syncs both count, about three in 30 s",
            "failureThreshold: 3 or more",
        );
    }
}
