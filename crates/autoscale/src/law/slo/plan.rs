//! The least pods that keep the promise. Pure arithmetic, no memory.
//!
//! Work comes in whole partitions: with `n` pods the most loaded one carries
//! `k = ceil(P/n)` of them, so only counts at which `k` drops are candidates. `n`
//! keeps the promise when
//!
//! - steady: `k` mean partitions need at most `headroom` of a pod, and the `k`
//!   largest ones together (the worst that an assignment can do) fit into a pod;
//! - drain: what waits in the `k` fullest partitions when the pods are ready is gone
//!   within the drain time: `waiting + (k·rate − capacity now)·lead <= (pod − rate)·drain`.
//!   A decrease must work off what it holds up itself in that time, and what the way back
//!   would hold up in what the promise leaves where no pod starts.
//!
//! Where `overprovisioning` is more than 1, that many times the arrivals must fit into the
//! pods as well, used to the full ([`Load::takes`]): a step or a sink that slows down then
//! finds the pods there. What waits is drained as it is: nobody knows what will wait.
//!
//! A partition that alone needs more than a pod is taken out of both sums, counts as
//! one pod, and is named: the group's assignor cannot keep its pod free for it. Near
//! one pod it still gains from few neighbours, so it then asks for more pods, at most twice
//! what the others need. Above, it sets a floor in the same way: pods that are there stay as
//! long as neighbours would add much to what it falls behind by.
//!
//! Where whole partitions make the next count that leaves headroom half as dear again
//! or more (two partitions that just fill a pod, or one each), pods may be used to the
//! full: [`Load::lasts`]. Nothing could be drained then, so it is only come down to, or
//! stayed at, while what waits is young, and while falling behind by what is not known
//! would take half an hour to cost a quarter of the promise.

use super::SloOptions;
use super::load::{Criteria, HotPartition, Load, Rescale, Short, Situation};

/// An increase is due when the present count uses this much more than `headroom` ...
const DUE_EXTRA: f64 = 0.05;
/// ... or needs this many times the drain time.
const DUE_DRAIN: f64 = 1.25;
/// A decrease must drain in this share of the drain time. It must leave what `headroom`
/// leaves with the arrivals' noise added, which is room enough below what makes an increase
/// due: that has the noise taken off, and [`DUE_EXTRA`].
const DOWN_DRAIN: f64 = 0.8;
/// A partition is hot above this many pods; less counts when an increase is due and
/// more when fewer may do, so that one at the edge does not move the count.
const HOT: f64 = 1.0;
const HOT_DUE: f64 = 0.95;
const HOT_DOWN: f64 = 1.1;
/// At most this hot, a partition asks for more pods than the others need.
const HOT_EDGE: f64 = 1.25;
/// Pods may be used to the full when the next count that leaves headroom costs at
/// least this many times as much: to come down, to stay.
const FULL_FROM: f64 = 1.5;
const FULL_STILL: f64 = 1.25;
/// What is not known may cost this share of the promise ...
const DRIFT_SHARE: f64 = 0.25;
/// ... in this time, seconds.
const DRIFT_S: f64 = 1800.0;
/// What waits may have this share of the promise as its age: to come down, to stay.
const FULL_DOWN: f64 = 0.1;
const FULL_STAY: f64 = 0.5;
/// A ramp is met this many leads ahead, so that it is followed in fewer steps.
const AHEAD: f64 = 1.5;
/// Standard deviations of the rate that count as certain.
const SURE_SIGMA: f64 = 2.0;

/// What the promise asks for.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Plan {
    /// The count to go to when an increase is due.
    pub(super) target: i32,
    /// Of that, what the rates alone ask for.
    pub(super) steady: i32,
    /// Twice the present count, as far as allowed: where an increase was not enough.
    pub(super) doubled: i32,
    /// The least count that holds with room to spare, a rescale there and back included.
    pub(super) enough: i32,
    /// Whether the rates are too much for the present count.
    pub(super) steady_due: bool,
    /// Whether the backlog is too much for the present count.
    pub(super) drain_due: bool,
    /// What would do if pods did what they are guessed to do, where that is fewer.
    pub(super) unproven: Option<i32>,
    /// What no allowed count is enough for.
    pub(super) short: Option<Short>,
    pub(super) hot: Option<HotPartition>,
    pub(super) drain_s: f64,
}

impl Plan {
    pub(super) fn new(situation: &Situation, options: &SloOptions) -> Self {
        let drain_s = drain_time_s(situation, options, situation.pod_start_s);
        let lead_s = situation.pod_start_s + situation.rebalance_s;
        let is_reserved = options.overprovisioning > 1.0;
        let reserve = if is_reserved { options.overprovisioning } else { 0.0 };
        let aim_rate = 1.0 + situation.trend * lead_s * AHEAD;
        let aim = Criteria {
            rate: aim_rate,
            utilisation: options.headroom,
            reserve: reserve * aim_rate,
            drain_s,
            rescale: None,
            full_age_s: 0.0,
            full_from: f64::MAX,
            drift: 0.0,
        };
        let drift = DRIFT_SHARE * options.target_age_s / DRIFT_S;
        let due_rate = (1.0 - SURE_SIGMA * situation.noise).max(0.0) + situation.trend * lead_s;
        let due = Criteria {
            rate: due_rate,
            utilisation: options.headroom + DUE_EXTRA,
            reserve: reserve * due_rate / (1.0 + DUE_EXTRA),
            drain_s: drain_s * DUE_DRAIN,
            rescale: None,
            full_age_s: FULL_STAY * options.target_age_s,
            full_from: FULL_STILL,
            drift: 2.0 * drift,
        };
        let down_rate = 1.0 + SURE_SIGMA * situation.noise + situation.trend * lead_s;
        let down = Criteria {
            rate: down_rate,
            utilisation: options.headroom,
            reserve: reserve * down_rate,
            drain_s: drain_s * DOWN_DRAIN,
            rescale: Some(Rescale {
                there_s: drain_s,
                back_s: drain_time_s(situation, options, 0.0) * DOWN_DRAIN,
            }),
            full_age_s: FULL_DOWN * options.target_age_s,
            full_from: FULL_FROM,
            drift,
        };
        let pod = situation.pod_rate_per_s;
        let (in_reserve, surely) =
            (situation.reserve_rate_per_s, situation.sure_reserve_rate_per_s);
        let load = Load::new(situation, pod, HOT, HOT_EDGE);
        let load_due = Load::new(situation, pod, HOT_DUE, HOT_EDGE);
        let load_down = Load::new(situation, situation.sure_rate_per_s, HOT_DOWN, f64::MAX);
        // What fewer pods do is to be proven; what they would do if more came is believed. And
        // a slow spell is what they were kept for: no second reserve is kept in it.
        let ready = |pod, hot, criteria| {
            let load = is_reserved.then(|| Load::new(situation, pod, hot, HOT_EDGE));
            move |n| load.as_ref().is_none_or(|load| load.takes(n, criteria))
        };
        let (ready_aim, ready_due) = (ready(in_reserve, HOT, aim), ready(in_reserve, HOT_DUE, due));
        let reserved = ready(surely, HOT_DOWN, down);
        let carries = |n| load.carries(n, aim) && ready_aim(n);
        let steady = load.least(carries);
        let wanted = load.least(|n| carries(n) && load.drains(n, aim));
        let holds = |n| load_down.carries(n, down) && load_down.drains(n, down);
        let roomy = load_down.least(|n| holds(n) && reserved(n));
        let carried = load_down.least(|n| load_down.carries(n, down));
        let lasts = |n| load_down.lasts(n, carried, down) && reserved(n);
        let enough = load_down.least(|n| n >= roomy || lasts(n));
        let guessed = load.least(|n| load.carries(n, down) && load.drains(n, down) && reserved(n));
        let is_guess = situation.sure_rate_per_s < situation.pod_rate_per_s;
        let spec = situation.spec;
        let partitions = i32::try_from(situation.rates.len()).unwrap_or(i32::MAX);
        let most = options.most_replicas().min(partitions.max(1));
        let stays = load_due.lasts(spec, carried, due);
        Self {
            target: load.bounded(wanted, options),
            doubled: load.bounded(spec.saturating_mul(2), options),
            steady: load.bounded(steady, options),
            enough: load.bounded(enough, options),
            unproven: (is_guess && guessed < enough).then(|| load.bounded(guessed, options)),
            steady_due: !stays && !load_due.carries(spec, due) || !ready_due(spec),
            drain_due: !stays && !load_due.drains(spec, due),
            short: (wanted > most).then(|| load.short_of(most, aim)),
            hot: load.hottest(),
            drain_s,
        }
    }
}

/// A backlog may take what the promise leaves after the pods' start, if any start, and the
/// rebalance. When that is nothing the promise is broken anyway: a quarter of it.
fn drain_time_s(situation: &Situation, options: &SloOptions, pod_start_s: f64) -> f64 {
    let target_s = options.target_age_s;
    let left_s = target_s - pod_start_s - situation.rebalance_s;
    let promise_s = left_s.max(target_s / 4.0).max(1.0);
    options.drain_s.map_or(promise_s, |drain_s| drain_s.min(promise_s))
}

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;
