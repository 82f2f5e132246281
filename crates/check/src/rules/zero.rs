//! To zero and back.

use super::Scaling;
use super::numbers::short;
use crate::Severity;
use crate::finding::Findings;

const LATEST: (&str, Severity) = ("TG040", Severity::Error);
const COOLDOWN: (&str, Severity) = ("TG041", Severity::Warning);
const WAKE: (&str, Severity) = ("TG042", Severity::Warning);
const INTERVAL: (&str, Severity) = ("TG043", Severity::Note);
const ACTIVATION: (&str, Severity) = ("TG044", Severity::Warning);
const IDLE: (&str, Severity) = ("TG045", Severity::Error);
const INVALID: (&str, Severity) = ("TG046", Severity::Error);
/// From the order to a consuming pod, where nothing is known of it, seconds.
const USUAL_START_S: f64 = 15.0;
/// A poll that nothing is gained by shortening, seconds.
const SHORT_POLL_S: f64 = 5.0;

pub(super) fn check(scaling: &Scaling<'_>, out: &mut Findings) {
    if let Some(idle) = scaling.object.int("spec.idleReplicaCount")
        && idle != 0
    {
        out.add(
            IDLE,
            scaling.object,
            "spec.idleReplicaCount",
            format!(
                "idleReplicaCount {idle}: KEDA sets {idle} at each poll, the HPA lifts it to {} at each sync, for ever; only 0 works",
                scaling.min()
            ),
            "idleReplicaCount: 0, or leave it out",
        );
    }
    let reaches_zero = scaling.min() == 0 || scaling.object.int("spec.idleReplicaCount") == Some(0);
    if !reaches_zero {
        interval_without_effect(scaling, out);
        return;
    }
    if scaling.kafka().is_none() {
        return;
    }
    latest(scaling, out);
    invalid_offset(scaling, out);
    activation(scaling, out);
    cooldown(scaling, out);
    wake_up(scaling, out);
}

fn latest(scaling: &Scaling<'_>, out: &mut Findings) {
    if scaling.metadata("offsetResetPolicy").unwrap_or("latest") != "latest" {
        return;
    }
    let partitions = match scaling.facts.partitions() {
        Some(partitions) => format!("{partitions} partitions count {partitions} records"),
        None => "each partition counts one record".to_owned(),
    };
    out.add(
        LATEST,
        scaling.object,
        &scaling.trigger_path("metadata.offsetResetPolicy"),
        format!(
            "latest with zero pods: what arrives on a partition before the group's first commit on it is skipped when a pod starts; and the trigger sees no lag there, only a constant ({partitions} without any traffic)"
        ),
        "offsetResetPolicy: earliest here and auto.offset.reset=earliest in the consumer, or pin the group's start offsets",
    );
}

fn invalid_offset(scaling: &Scaling<'_>, out: &mut Findings) {
    if !scaling.flag("scaleToZeroOnInvalidOffset") {
        return;
    }
    out.add(
        INVALID,
        scaling.object,
        &scaling.trigger_path("metadata.scaleToZeroOnInvalidOffset"),
        "scaleToZeroOnInvalidOffset counts a partition without a commit as 0: with zero pods nobody ever commits, so a new group never wakes, whatever arrives",
        "remove it; pin the group's start offsets so that every partition has a commit",
    );
}

fn activation(scaling: &Scaling<'_>, out: &mut Findings) {
    let Some(activation) =
        scaling.metadata("activationLagThreshold").and_then(|text| text.parse::<i64>().ok())
    else {
        return;
    };
    if activation <= 0 {
        return;
    }
    out.add(
        ACTIVATION,
        scaling.object,
        &scaling.trigger_path("metadata.activationLagThreshold"),
        format!(
            "up to {activation} records wake nobody: they wait until more arrive, for ever if none do; and a lag that small lets KEDA take all pods away after the cooldown although the HPA wants some"
        ),
        "activationLagThreshold: \"0\"",
    );
}

fn cooldown(scaling: &Scaling<'_>, out: &mut Findings) {
    let cooldown = scaling.cooldown_s() as f64;
    let known_start_s = scaling.facts.pod_start_s();
    let start_s = known_start_s.unwrap_or(USUAL_START_S);
    let batch_s = scaling.facts.batch_s().unwrap_or(0.0);
    // Waking costs a poll and a start; a cooldown below that is spent waking.
    let least_s = scaling.polling_s() as f64 + start_s + 2.0 * batch_s;
    if cooldown >= least_s {
        return;
    }
    // Where pods start at once it is no defect.
    let (severity, guess) = match known_start_s {
        Some(_) => (COOLDOWN.1, ""),
        None => (Severity::Note, " is the guess, where nothing is known of it"),
    };
    let batch = match scaling.facts.batch_s() {
        Some(batch_s) => format!(" and a batch ({} s)", short(batch_s)),
        None => String::new(),
    };
    out.add(
        (COOLDOWN.0, severity),
        scaling.object,
        "spec.cooldownPeriod",
        format!(
            "after {} s without lag KEDA goes from any count to zero in one step, past all windows and policies; waking again costs a poll ({} s), a start ({} s{guess}){batch}",
            short(cooldown),
            scaling.polling_s(),
            short(start_s),
        ),
        format!("cooldownPeriod: {} or more", (2.0 * least_s).ceil() as i64),
    );
}

fn wake_up(scaling: &Scaling<'_>, out: &mut Findings) {
    let polling = scaling.polling_s() as f64;
    let target_s = scaling.facts.target_age_s();
    let start_s = scaling.facts.pod_start_s();
    if polling + start_s.unwrap_or(0.0) <= target_s {
        return;
    }
    // Nothing to gain from shorter polls where the start alone is too long.
    let severity = if polling > target_s / 2.0 { WAKE.1 } else { Severity::Note };
    let start = start_s
        .map_or_else(String::new, |start| format!(" + {} s until it consumes", short(start)));
    let fix = if polling > SHORT_POLL_S {
        "pollingInterval: 5 or less, or minReplicaCount: 1"
    } else {
        "minReplicaCount: 1; the poll is short already"
    };
    out.add(
        (WAKE.0, severity),
        scaling.object,
        "spec.pollingInterval",
        format!(
            "from zero only KEDA's poll wakes the first pod: up to {} s{start}, and the HPA adds the next at its sync, up to 15 s later; {} s are aimed at",
            short(polling),
            short(target_s)
        ),
        fix,
    );
}

fn interval_without_effect(scaling: &Scaling<'_>, out: &mut Findings) {
    let cached = scaling.object.text(&scaling.trigger_path("useCachedMetrics")) == Some("true");
    for field in ["pollingInterval", "cooldownPeriod"] {
        let path = format!("spec.{field}");
        if scaling.object.node(&path).is_none() || (cached && field == "pollingInterval") {
            continue;
        }
        out.add(
            INTERVAL,
            scaling.object,
            &path,
            format!(
                "{field} does nothing with minReplicaCount {}: KEDA decides only between zero and one; above, the HPA fetches the lag itself every 15 s",
                scaling.min()
            ),
            "remove it, or minReplicaCount: 0",
        );
    }
}
