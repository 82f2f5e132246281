//! Figures around each change of the number of pods.

use crate::events::{Event, times};
use crate::timeline::Timeline;

/// One change and its effect until the next one, or the end of the watch.
#[derive(Debug, Clone)]
pub(crate) struct Step {
    pub(crate) from: i64,
    pub(crate) to: i64,
    /// From the decision to the last change of any pod's partitions, seconds.
    pub(crate) settled_s: f64,
    /// Least records stored in any second, as a share of what arrived, %.
    pub(crate) worst_second_pct: f64,
    /// The same over any three seconds, %.
    pub(crate) worst_3s_pct: f64,
    /// Greatest age at commit, seconds.
    pub(crate) max_age_s: f64,
}

/// How long after a step its effect is watched, ms.
const WATCH_MS: i64 = 6_000;

/// The steps of a run under a constant load; the first one, from nothing, and the
/// last one, to nothing, are not rescales.
pub(crate) fn steps(path: &[(i64, i64)], events: &[Event], timeline: &Timeline) -> Vec<Step> {
    let scaled = times(events, "scaled");
    path.windows(2)
        .zip(scaled.iter().skip(1))
        .map(|(pair, at_ms)| {
            let until_ms = at_ms + WATCH_MS;
            let settled_ms = events
                .iter()
                .filter(|event| event.event == "assigned")
                .map(|event| event.t_ms)
                .filter(|t_ms| (*at_ms..until_ms).contains(t_ms))
                .max()
                .map_or(0, |last_ms| last_ms - at_ms);
            Step {
                from: pair[0].1,
                to: pair[1].1,
                settled_s: settled_ms as f64 / 1000.0,
                worst_second_pct: worst_share(timeline, *at_ms, until_ms, 1_000),
                worst_3s_pct: worst_share(timeline, *at_ms, until_ms, 3_000),
                max_age_s: timeline.max_age_ms(*at_ms, until_ms) as f64 / 1000.0,
            }
        })
        .collect()
}

fn worst_share(timeline: &Timeline, from_ms: i64, to_ms: i64, width_ms: i64) -> f64 {
    let last = to_ms - width_ms;
    let arrived = timeline.arrived(from_ms, to_ms) as f64 / (to_ms - from_ms) as f64 * 1000.0;
    100.0 * timeline.worst_rate(from_ms, last, width_ms) / arrived
}
