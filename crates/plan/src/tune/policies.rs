//! Scaling policies to choose from, from slow to fast.

use serde_json::{Value, json};

/// `type`, value, period in seconds.
pub(super) type Policy = (&'static str, i32, i32);

/// The step that allows everything: as many pods as there may be.
const ALL: i32 = 0;

/// Upwards; each entry is one or two policies, of which the one that allows most counts.
pub(super) const UP: &[&[Policy]] = &[
    &[("Pods", 4, 60)],
    &[("Pods", 10, 60)],
    &[("Percent", 50, 60)],
    &[("Percent", 100, 60)],
    &[("Pods", 20, 60)],
    &[("Pods", 4, 15)],
    &[("Pods", 10, 15)],
    &[("Percent", 100, 15)],
    &[("Pods", 4, 15), ("Percent", 100, 15)],
    &[("Pods", 25, 15)],
    &[("Pods", 50, 15)],
    &[("Pods", ALL, 15)],
];

/// Downwards.
pub(super) const DOWN: &[&[Policy]] = &[
    &[("Pods", 1, 60)],
    &[("Pods", 5, 60)],
    &[("Percent", 10, 60)],
    &[("Pods", 10, 60)],
    &[("Percent", 25, 60)],
    &[("Percent", 50, 120)],
    &[("Percent", 50, 60)],
    &[("Percent", 100, 15)],
];

/// As the HPA takes them.
pub(super) fn json(policies: &[Policy], max: i32) -> Value {
    policies
        .iter()
        .map(|(kind, value, period)| {
            let value = if *value == ALL { max } else { *value };
            json!({ "type": kind, "value": value, "periodSeconds": period })
        })
        .collect()
}

/// In words, for the reasons.
pub(super) fn words(policies: &[Policy], max: i32) -> String {
    let one = |(kind, value, period): &Policy| {
        let value = if *value == ALL { max } else { *value };
        format!("{kind} {value} in {period} s")
    };
    policies.iter().map(one).collect::<Vec<_>>().join(" or ")
}
