//! What the trigger makes records wait, and how it reads the lag.

use super::numbers::{short, thousands};
use super::{BEHAVIOR, Scaling};
use crate::Severity;
use crate::finding::Findings;

const WAITING: (&str, Severity) = ("TG020", Severity::Warning);
const PERSISTENT: (&str, Severity) = ("TG022", Severity::Warning);
const CACHED: (&str, Severity) = ("TG023", Severity::Warning);
const VALUE: (&str, Severity) = ("TG024", Severity::Warning);
const IDLE: (&str, Severity) = ("TG025", Severity::Warning);
const BELOW_BATCH: (&str, Severity) = ("TG026", Severity::Warning);

/// The HPA's own sync period, seconds.
const SYNC_S: f64 = 15.0;

pub(super) fn check(scaling: &Scaling<'_>, out: &mut Findings) {
    if scaling.kafka().is_none() {
        return;
    }
    built_in_waiting(scaling, out);
    tolerance(scaling, out);
    persistent_lag(scaling, out);
    cached(scaling, out);
    value_target(scaling, out);
    idle_consumers(scaling, out);
    below_batch(scaling, out);
}

/// Little's law: the HPA holds the lag per pod at the threshold, a pod works it off at its
/// rate, so a record waits threshold / rate.
fn built_in_waiting(scaling: &Scaling<'_>, out: &mut Findings) {
    let (Some(threshold), Some(rate)) = (scaling.lag_threshold(), scaling.facts.pod_rate_per_s())
    else {
        return;
    };
    let waiting_s = threshold as f64 / rate;
    let target_s = scaling.facts.target_age_s();
    if waiting_s <= target_s {
        return;
    }
    out.add(
        WAITING,
        scaling.object,
        &scaling.trigger_path("metadata.lagThreshold"),
        format!(
            "{} records a pod at {} a second are {} s of waiting by design: the HPA adds no pod before that much has piled up, at any load",
            thousands(threshold),
            short(rate),
            short(waiting_s)
        ),
        format!(
            "lagThreshold: \"{}\" is {} s; below {} s of work per pod it measures the arrival rate",
            ((rate * target_s / 2.0).floor().max(1.0)) as i64,
            short((rate * target_s / 2.0).floor().max(1.0) / rate),
            short(target_s)
        ),
    );
}

fn tolerance(scaling: &Scaling<'_>, out: &mut Findings) {
    for (direction, word) in [("scaleUp", "more"), ("scaleDown", "less")] {
        let path = format!("{BEHAVIOR}.{direction}.tolerance");
        let Some(tolerance) = scaling.object.number(&path) else { continue };
        if tolerance < 0.1 {
            continue;
        }
        let max = scaling.max();
        let is_up = direction == "scaleUp";
        // No need is that much less.
        let never_falls = !is_up && tolerance >= 1.0;
        let frozen = (max as f64 * tolerance).floor() as i64;
        let severity = if is_up || never_falls { Severity::Warning } else { Severity::Note };
        let message = if never_falls {
            format!(
                "a tolerance of {} is {} % of the count: no need is that much {word}, so the HPA never takes a pod away",
                short(tolerance),
                short(tolerance * 100.0)
            )
        } else {
            format!(
                "a tolerance of {} freezes the count while the need is up to {} % {word}: at {max} pods a need of {} pods {word} changes nothing",
                short(tolerance),
                short(tolerance * 100.0),
                frozen.max(1)
            )
        };
        out.add(
            ("TG021", severity),
            scaling.object,
            &path,
            message,
            "tolerance: 0 upwards (Kubernetes 1.35; 1.33 with its gate), some below; the window keeps it calm",
        );
    }
}

/// A partition whose offset did not move between two evaluations counts as stuck.
fn persistent_lag(scaling: &Scaling<'_>, out: &mut Findings) {
    if !scaling.flag("excludePersistentLag") {
        return;
    }
    let cycle = scaling.facts.batch_s();
    let between = SYNC_S.min(scaling.polling_s() as f64);
    let arithmetic = match cycle {
        Some(cycle) => format!(
            "a pod that writes batches of {} s commits a partition at most that often, and seldom when it reads several",
            short(cycle)
        ),
        None => "a pod that writes in batches commits a partition now and then".to_owned(),
    };
    out.add(
        PERSISTENT,
        scaling.object,
        &scaling.trigger_path("metadata.excludePersistentLag"),
        format!(
            "excludePersistentLag takes a partition for stuck when its offset is the same at two evaluations; polls (every {} s) and HPA syncs (every {} s) both evaluate, so two may come within moments: {arithmetic}, and a healthy partition then counts 0",
            scaling.polling_s(),
            short(SYNC_S.max(between))
        ),
        "remove it; dead-letter the record that is stuck instead",
    );
}

fn cached(scaling: &Scaling<'_>, out: &mut Findings) {
    let path = scaling.trigger_path("useCachedMetrics");
    if scaling.object.text(&path) != Some("true") {
        return;
    }
    out.add(
        CACHED,
        scaling.object,
        &path,
        format!(
            "useCachedMetrics answers the HPA with the last poll's value: up to {} s old instead of fresh",
            scaling.polling_s()
        ),
        "remove it; one lag request every 15 s costs a broker nothing",
    );
}

fn value_target(scaling: &Scaling<'_>, out: &mut Findings) {
    let path = scaling.trigger_path("metricType");
    if scaling.object.text(&path) != Some("Value") {
        return;
    }
    out.add(
        VALUE,
        scaling.object,
        &path,
        "metricType Value compares the whole lag with one threshold and multiplies the ratio by the Ready pods: twice the threshold doubles the pods at every sync, whatever they can do",
        "metricType: AverageValue",
    );
}

fn idle_consumers(scaling: &Scaling<'_>, out: &mut Findings) {
    if !scaling.flag("allowIdleConsumers") {
        return;
    }
    let partitions = scaling.facts.partitions();
    if partitions.is_some_and(|partitions| scaling.max() <= partitions) {
        return;
    }
    out.add(
        IDLE,
        scaling.object,
        &scaling.trigger_path("metadata.allowIdleConsumers"),
        match partitions {
            Some(partitions) => format!(
                "allowIdleConsumers lifts the cap of {partitions} partitions: up to {} pods would read nothing and still take part in every rebalance",
                scaling.max() - partitions
            ),
            None => "allowIdleConsumers lifts the cap at the number of partitions: pods above it read nothing and still take part in every rebalance".to_owned(),
        },
        "remove it",
    );
}

/// What a pod that keeps up has in its hands is lag too: below that the metric never rests.
fn below_batch(scaling: &Scaling<'_>, out: &mut Findings) {
    let (Some(threshold), Some(rate), Some(batch_s)) =
        (scaling.lag_threshold(), scaling.facts.pod_rate_per_s(), scaling.facts.batch_s())
    else {
        return;
    };
    // On average half a batch waits while a whole one is being written.
    let in_hands = rate * batch_s;
    if threshold as f64 >= in_hands {
        return;
    }
    out.add(
        BELOW_BATCH,
        scaling.object,
        &scaling.trigger_path("metadata.lagThreshold"),
        format!(
            "a busy pod that keeps up has a batch of {} records not yet committed; a threshold of {} asks for more pods although nothing waits",
            thousands(in_hands.round() as i64),
            thousands(threshold)
        ),
        format!("lagThreshold: at least {}", thousands((1.5 * in_hands).ceil() as i64)),
    );
}
