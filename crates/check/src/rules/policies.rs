//! How fast the HPA may change the count.

use super::numbers::{short, thousands};
use super::{BEHAVIOR, Scaling};
use crate::Severity;
use crate::finding::Findings;
use crate::source::Node;

const MIN: (&str, Severity) = ("TG030", Severity::Warning);
const STEPS: (&str, Severity) = ("TG031", Severity::Warning);
const UP_WINDOW: (&str, Severity) = ("TG032", Severity::Warning);
const DOWN_WINDOW: (&str, Severity) = ("TG033", Severity::Warning);
const NO_EFFECT: (&str, Severity) = ("TG034", Severity::Note);
const NO_BEHAVIOR: (&str, Severity) = ("TG035", Severity::Note);

pub(super) fn check(scaling: &Scaling<'_>, out: &mut Findings) {
    // What an external scaler answers is damped already: the HPA is to follow it.
    if scaling.kafka().is_none() {
        return;
    }
    if scaling.object.node(BEHAVIOR).is_none() {
        out.add(
            NO_BEHAVIOR,
            scaling.object,
            "spec",
            "without a behavior the HPA at most doubles (from below 4 pods: to 4) at every sync, holds the highest count of the last 300 s, and after KEDA went to zero and back may return to an old count without any lag",
            "spec.advanced.horizontalPodAutoscalerConfig.behavior with scaleUp and scaleDown",
        );
        return;
    }
    let up = policies(scaling, "scaleUp");
    select_min(scaling, &up, out);
    fixed_steps(scaling, &up, out);
    up_window(scaling, out);
    down_window(scaling, out);
}

/// One policy of a direction.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Policy {
    is_percent: bool,
    value: f64,
    period_s: f64,
}

impl Policy {
    /// Pods that one period allows to add, from this many.
    fn step(&self, pods: f64) -> f64 {
        if self.is_percent { (pods * self.value / 100.0).ceil() } else { self.value }
    }
}

fn policies(scaling: &Scaling<'_>, direction: &str) -> Vec<Policy> {
    let Some(list) = scaling.object.node(&format!("{BEHAVIOR}.{direction}.policies")) else {
        return Vec::new();
    };
    let read = |node: &Node| {
        let number = |key: &str| node.node(key)?.text()?.parse::<f64>().ok();
        Some(Policy {
            is_percent: node.node("type")?.text()? == "Percent",
            value: number("value").filter(|value| *value > 0.0)?,
            period_s: number("periodSeconds").filter(|period| *period > 0.0)?,
        })
    };
    list.items().iter().filter_map(read).collect()
}

fn is_min(scaling: &Scaling<'_>, direction: &str) -> bool {
    scaling.object.text(&format!("{BEHAVIOR}.{direction}.selectPolicy")) == Some("Min")
}

fn select_min(scaling: &Scaling<'_>, up: &[Policy], out: &mut Findings) {
    if !is_min(scaling, "scaleUp") || up.len() < 2 {
        return;
    }
    let path = format!("{BEHAVIOR}.scaleUp.selectPolicy");
    out.add(
        MIN,
        scaling.object,
        &path,
        "selectPolicy Min lets the slowest of the scale-up policies rule: every further policy can only hold it back more",
        "selectPolicy: Max, and a scaleDown window against flapping",
    );
    let from = scaling.min().max(1);
    for (index, policy) in up.iter().enumerate() {
        // Percent grows with the count: if it already allows more at the start, it never rules.
        let others = up.iter().enumerate().filter(|(other, _)| *other != index);
        let start = (from.max(2)) as f64;
        let never = policy.is_percent
            && others.clone().any(|(_, other)| {
                !other.is_percent
                    && other.step(start) / other.period_s <= policy.step(start) / policy.period_s
            });
        if never {
            out.add(
                NO_EFFECT,
                scaling.object,
                &format!("{BEHAVIOR}.scaleUp.policies.{index}"),
                format!(
                    "Percent {} in {} s allows more than the Pods policy from 2 pods on, so with Min it never decides",
                    short(policy.value),
                    short(policy.period_s)
                ),
                "remove it, or selectPolicy: Max",
            );
        }
    }
}

/// Seconds from a count to another by the policies, `None` when they forbid it.
fn climb_s(up: &[Policy], min: bool, from: i64, to: i64) -> Option<f64> {
    let mut pods = from.max(1) as f64;
    let mut seconds = 0.0;
    while pods < to as f64 {
        // The first step of a policy is free: its period has no change in it yet.
        let steps = up.iter().map(|policy| (policy.step(pods), policy.period_s));
        let by_rate = |a: &(f64, f64), b: &(f64, f64)| (a.0 / a.1).total_cmp(&(b.0 / b.1));
        let (step, period) = if min { steps.min_by(by_rate)? } else { steps.max_by(by_rate)? };
        pods += step.max(1.0);
        if pods < to as f64 {
            seconds += period;
        }
        if seconds > 86_400.0 {
            break;
        }
    }
    Some(seconds)
}

fn fixed_steps(scaling: &Scaling<'_>, up: &[Policy], out: &mut Findings) {
    let min = is_min(scaling, "scaleUp");
    let (from, to) = (scaling.min().max(1), scaling.max());
    let ruled_by_pods =
        if min { up.iter().any(|p| !p.is_percent) } else { up.iter().all(|p| !p.is_percent) };
    if up.is_empty() || !ruled_by_pods {
        return;
    }
    let Some(seconds) = climb_s(up, min, from, to) else { return };
    let limit_s = (2.0 * scaling.facts.target_age_s()).max(60.0);
    if seconds <= limit_s {
        return;
    }
    let index = up.iter().position(|policy| !policy.is_percent).unwrap_or(0);
    let policy = up[index];
    let arrives = match scaling.facts.pod_rate_per_s() {
        Some(rate) => {
            let missing = (to - from) as f64 * rate * seconds / 2.0;
            format!(
                "; records for {to} pods that arrive meanwhile leave {} waiting",
                thousands(missing.round() as i64)
            )
        }
        None => String::new(),
    };
    out.add(
        STEPS,
        scaling.object,
        &format!("{BEHAVIOR}.scaleUp.policies.{index}"),
        format!(
            "{} pods in {} s, however far behind: from {from} to {to} pods takes {} s{arrives}",
            short(policy.value),
            short(policy.period_s),
            short(seconds)
        ),
        format!(
            "policies that allow what is needed in one step: {{ type: Pods, value: {to}, periodSeconds: 15 }} with selectPolicy Max"
        ),
    );
}

fn up_window(scaling: &Scaling<'_>, out: &mut Findings) {
    let path = format!("{BEHAVIOR}.scaleUp.stabilizationWindowSeconds");
    let Some(window) = scaling.object.int(&path) else { return };
    let start_s = scaling.facts.pod_start_s();
    let limit_s = start_s.unwrap_or(15.0).max(15.0).min(scaling.facts.target_age_s().max(15.0));
    if (window as f64) <= limit_s {
        return;
    }
    let compared = match start_s {
        Some(start) => format!("; a pod is there {} s after its order", short(start)),
        None => String::new(),
    };
    out.add(
        UP_WINDOW,
        scaling.object,
        &path,
        format!(
            "a rise counts only after every reading of the last {window} s asked for it: each rise waits {window} s{compared}, and during a climb the lowest reading rules"
        ),
        "stabilizationWindowSeconds: 0 upwards; hold on the way down instead",
    );
}

fn down_window(scaling: &Scaling<'_>, out: &mut Findings) {
    let path = format!("{BEHAVIOR}.scaleDown.stabilizationWindowSeconds");
    let Some(window) = scaling.object.int(&path) else { return };
    // A removed pod that is needed again costs two changes and what piled up meanwhile.
    let rescale_s = scaling.facts.rescale_s();
    let least_s = 2.0 * rescale_s.unwrap_or(15.0);
    if window as f64 >= least_s {
        return;
    }
    out.add(
        DOWN_WINDOW,
        scaling.object,
        &path,
        format!(
            "{window} s are shorter than taking a pod away and back ({} s for each change{}): noise in the lag turns into rebalances",
            short(least_s / 2.0),
            if rescale_s.is_some() { ", pod start and moved partitions" } else { ", one HPA sync" }
        ),
        format!("stabilizationWindowSeconds: {} or more downwards", least_s.ceil().max(60.0) as i64),
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEN: Policy = Policy { is_percent: false, value: 10.0, period_s: 60.0 };
    const PERCENT: Policy = Policy { is_percent: true, value: 500.0, period_s: 60.0 };

    #[test]
    fn the_published_climb_takes_nine_minutes_and_max_would_take_two() {
        assert_eq!(climb_s(&[TEN, PERCENT], true, 1, 100), Some(600.0));
        assert_eq!(climb_s(&[TEN], false, 10, 100), Some(480.0));
        assert_eq!(climb_s(&[TEN, PERCENT], false, 1, 100), Some(120.0));
        assert_eq!(climb_s(&[], false, 1, 100), None);
    }
}
