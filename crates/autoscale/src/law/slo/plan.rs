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
//! one pod it still gains from few neighbours, so it then sets a floor, at most twice
//! what the others need.
//!
//! Where whole partitions make the next count that leaves headroom half as dear again
//! or more (two partitions that just fill a pod, or one each), pods may be used to the
//! full: [`Load::lasts`]. Nothing could be drained then, so it is only come down to, or
//! stayed at, while what waits is young, and while falling behind by what is not known
//! would take half an hour to cost a quarter of the promise.

use super::SloOptions;

/// Beyond the mean, the worst assignment may use this much more of a pod.
const WORST_EXTRA: f64 = 0.12;
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
/// At most this hot, a partition gains from having its pod for itself ...
const HOT_EDGE: f64 = 1.25;
/// ... so that the others on it may take this much of it ...
const HOT_SHARED: f64 = 0.1;
/// ... for at most this many times the pods that the others need.
const HOT_PRICE: i32 = 2;
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
/// Where no allowed count is enough, pods that the mean would not use still give a
/// partition of this many times the mean a better chance of few neighbours.
const SKEWED: f64 = 1.5;
/// A ramp is met this many leads ahead, so that it is followed in fewer steps.
const AHEAD: f64 = 1.5;
/// Standard deviations of the rate that count as certain.
const SURE_SIGMA: f64 = 2.0;

/// What is known, records and seconds. Vectors are by partition.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Situation {
    pub(super) partitions: Vec<i32>,
    pub(super) rates: Vec<f64>,
    /// Beyond what is in flight anyway.
    pub(super) backlogs: Vec<f64>,
    /// Standard deviation of the rate, as a share of it.
    pub(super) noise: f64,
    /// Growth a second, as a share of the rate.
    pub(super) trend: f64,
    pub(super) pod_rate_per_s: f64,
    /// What fewer pods may be trusted with, at most that.
    pub(super) sure_rate_per_s: f64,
    /// What pods kept in reserve are taken to do: the pod rate, or in a slow spell what it was.
    pub(super) reserve_rate_per_s: f64,
    /// Whether the pods' rate was seen and is not a guess.
    pub(super) is_measured: bool,
    pub(super) pod_start_s: f64,
    pub(super) rebalance_s: f64,
    /// Until the pods that were ordered are ready.
    pub(super) starting_left_s: f64,
    pub(super) spec: i32,
    pub(super) ready: i32,
}

/// How much is asked of a count.
#[derive(Debug, Clone, Copy)]
struct Criteria {
    rate: f64,
    utilisation: f64,
    /// Times the arrivals that pods used to the full must take; 0 asks for nothing.
    reserve: f64,
    drain_s: f64,
    /// What a rescale holds up is to be worked off too.
    rescale: Option<Rescale>,
    /// Age that waiting records may have when pods are used to the full, seconds.
    full_age_s: f64,
    /// How many times as dear the next count must be for that.
    full_from: f64,
    /// Share by which pods used to the full may fall behind.
    drift: f64,
}

/// In which time a decrease must work off what rebalances hold up, on top of the backlog.
#[derive(Debug, Clone, Copy)]
struct Rescale {
    /// Its own one: or else it would itself make an increase due.
    there_s: f64,
    /// Its own one and that of the way back. No pod has to start for it.
    back_s: f64,
}

/// A partition that no number of pods can serve.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct HotPartition {
    pub(super) partition: i32,
    pub(super) pods: f64,
}

/// What there cannot be enough pods for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Short {
    Arrivals,
    Backlog,
    /// The multiple of the arrivals that pods are to be kept ready for.
    Reserve,
}

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
        let (pod, pod_in_reserve) = (situation.pod_rate_per_s, situation.reserve_rate_per_s);
        let load = Load::new(situation, pod, HOT);
        let load_due = Load::new(situation, pod, HOT_DUE);
        let load_down = Load::new(situation, situation.sure_rate_per_s, HOT_DOWN);
        // What fewer pods do is to be proven; what they would do if more came is believed. And
        // a slow spell is what they were kept for: no second reserve is kept in it.
        let ready = |hot, criteria| {
            let load = is_reserved.then(|| Load::new(situation, pod_in_reserve, hot));
            move |n| load.as_ref().is_none_or(|load| load.takes(n, criteria))
        };
        let (ready_aim, ready_due) = (ready(HOT, aim), ready(HOT_DUE, due));
        let reserved = ready(HOT_DOWN, down);
        let carries = |n| load.carries(n, aim) && ready_aim(n);
        let steady = load.least(carries);
        let wanted = load.least(|n| carries(n) && load.drains(n, aim));
        let holds = |n| load_down.carries(n, down) && load_down.drains(n, down);
        let roomy = load_down.least(|n| holds(n) && reserved(n));
        let carried = load_down.least(|n| load_down.carries(n, down));
        let lasts = |n| load_down.lasts(n, carried, down) && reserved(n);
        let enough = load_down.least(|n| n >= roomy || lasts(n));
        let spec = situation.spec;
        let partitions = i32::try_from(situation.rates.len()).unwrap_or(i32::MAX);
        let most = options.most_replicas().min(partitions.max(1));
        let stays = load_due.lasts(spec, carried, due);
        Self {
            target: load.bounded(wanted, options),
            doubled: load.bounded(spec.saturating_mul(2), options),
            steady: load.bounded(steady, options),
            enough: load.bounded(enough, options),
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

/// Sums over the most loaded partitions.
struct Load<'a> {
    situation: &'a Situation,
    /// Records a second of a pod.
    pod: f64,
    /// Of the `k` largest rates, at index `k`.
    rates: Vec<f64>,
    /// Of the `k` largest backlogs, at index `k`.
    backlogs: Vec<f64>,
    mean_rate: f64,
    /// Partitions that were taken out, one pod each.
    hot: usize,
}

impl<'a> Load<'a> {
    fn new(situation: &'a Situation, pod: f64, hot_pods: f64) -> Self {
        let most = hot_pods * pod;
        let divisible = |index: usize| situation.rates[index] <= most;
        let cooled = |values: &[f64]| -> Vec<f64> {
            let keep = |(index, value): (usize, &f64)| if divisible(index) { *value } else { 0.0 };
            values.iter().enumerate().map(keep).collect()
        };
        let rates = sums_of_largest(cooled(&situation.rates));
        let backlogs = sums_of_largest(cooled(&situation.backlogs));
        let count = situation.rates.len();
        let mean_rate = rates.last().copied().unwrap_or(0.0) / count.max(1) as f64;
        let hot = (0..count).filter(|index| !divisible(*index)).count();
        Self { situation, pod, rates, backlogs, mean_rate, hot }
    }

    fn hottest(&self) -> Option<HotPartition> {
        let Situation { rates, partitions, .. } = self.situation;
        let (rate, partition) = rates.iter().zip(partitions).max_by(|a, b| a.0.total_cmp(b.0))?;
        let pods = rate / self.pod;
        (self.hot > 0).then_some(HotPartition { partition: *partition, pods })
    }

    fn partitions(&self) -> usize {
        self.situation.rates.len()
    }

    /// Partitions of the most loaded of `n` pods.
    fn most(&self, n: i32) -> usize {
        self.partitions().div_ceil(usize::try_from(n).unwrap_or(0).max(1))
    }

    fn carries(&self, n: i32, criteria: Criteria) -> bool {
        if n <= 0 {
            return self.mean_rate <= 0.0 && self.hot == 0;
        }
        let others = usize::from(self.hot < self.partitions());
        if usize::try_from(n).is_ok_and(|n| n < self.hot + others) {
            return false;
        }
        let k = self.most(n);
        let pod = self.pod;
        let mean = k as f64 * self.mean_rate * criteria.rate;
        let worst = self.rates[k] * criteria.rate;
        mean <= criteria.utilisation * pod && worst <= (criteria.utilisation + WORST_EXTRA) * pod
    }

    /// Whether `n` pods, used to the full, take the multiple of the arrivals that they are to
    /// be ready for. Where partitions differ, twice the pods that the mean needs are enough:
    /// nobody knows which partition will grow.
    fn takes(&self, n: i32, criteria: Criteria) -> bool {
        let k = self.most(n);
        let mean = self.mean_rate * criteria.reserve;
        if n <= 0 || k as f64 * mean > self.pod {
            return n <= 0;
        }
        let fits = self.rates[k] * criteria.reserve <= (1.0 + WORST_EXTRA) * self.pod;
        let of_the_mean = self.partitions() as f64 / (self.pod / mean).floor();
        fits || k == 1 || f64::from(n) >= f64::from(HOT_PRICE) * of_the_mean.ceil()
    }

    /// Whether `n` pods may be used to the full, where `roomy` would leave headroom.
    fn lasts(&self, n: i32, roomy: i32, criteria: Criteria) -> bool {
        let Situation { is_measured, starting_left_s, .. } = *self.situation;
        let dear = f64::from(roomy) >= criteria.full_from * f64::from(n);
        if n <= 0 || self.hot > 0 || !is_measured || !dear || starting_left_s > 0.0 {
            return false;
        }
        let k = self.most(n);
        let (rate, waiting) = (self.rates[k], self.backlogs[k]);
        rate * criteria.rate <= (1.0 + criteria.drift) * self.pod
            && waiting <= criteria.full_age_s * rate
    }

    /// With a partition near the edge: whether the others leave it its pod.
    fn spares_the_hot(&self, n: i32, others: i32) -> bool {
        let Situation { rates, .. } = self.situation;
        let hottest = rates.iter().copied().fold(0.0, f64::max);
        let gains = self.hot > 0 && hottest <= HOT_EDGE * self.pod;
        let neighbours = self.most(n).saturating_sub(1) as f64 * self.mean_rate;
        !gains || n >= others.saturating_mul(HOT_PRICE) || neighbours <= HOT_SHARED * self.pod
    }

    fn drains(&self, n: i32, criteria: Criteria) -> bool {
        let Situation { ready, spec, .. } = *self.situation;
        let pod = self.pod;
        if n <= 0 {
            return self.backlogs.last().is_none_or(|backlog| *backlog <= 0.0);
        }
        let k = self.most(n);
        let partitions = self.partitions().max(1) as f64;
        let rate = (k as f64 * self.mean_rate).max(self.rates[k].min(pod)) * criteria.rate;
        let lead_s = if n > spec {
            self.situation.pod_start_s + self.situation.rebalance_s
        } else {
            self.situation.starting_left_s
        };
        let capacity = f64::from(ready).min(partitions) * pod * k as f64 / partitions;
        let waiting = (self.backlogs[k] + (rate - capacity) * lead_s).max(0.0);
        let stalled = self.situation.rebalance_s * rate;
        let spare = (pod - rate).max(0.0);
        waiting <= spare * criteria.drain_s
            && criteria.rescale.is_none_or(|Rescale { there_s, back_s }| {
                waiting + stalled <= spare * there_s && waiting + 2.0 * stalled <= spare * back_s
            })
    }

    /// The least candidate that fits; one more than the partitions when none does.
    fn least(&self, fits: impl Fn(i32) -> bool) -> i32 {
        let partitions = self.partitions();
        let candidates = (1..=partitions).rev().map(|k| partitions.div_ceil(k));
        let mut last = 0;
        let mut fitting = None;
        for n in candidates {
            let n = i32::try_from(n).unwrap_or(i32::MAX);
            if n != last && fits(n) {
                let others = *fitting.get_or_insert(n);
                if self.spares_the_hot(n, others) {
                    return n;
                }
            }
            last = n;
        }
        // None spares the hot one: as many as others may cost.
        let none = i32::try_from(partitions).unwrap_or(i32::MAX).saturating_add(1);
        fitting.map_or(none, |_| none - 1)
    }

    /// What `most` pods lack. The arrivals come first.
    fn short_of(&self, most: i32, criteria: Criteria) -> Short {
        if self.least(|n| self.carries(n, criteria)) > most {
            return Short::Arrivals;
        }
        let wanted = self.least(|n| self.carries(n, criteria) && self.drains(n, criteria));
        if wanted > most { Short::Backlog } else { Short::Reserve }
    }

    /// Inside the bounds, at most one a partition, and no pod that buys nothing.
    fn bounded(&self, wanted: i32, options: &SloOptions) -> i32 {
        let partitions = i32::try_from(self.partitions()).unwrap_or(i32::MAX);
        let most = options.most_replicas().min(partitions.max(1));
        let n = wanted.min(most).max(1);
        let largest = self.rates.get(1).copied().unwrap_or(0.0);
        if wanted > most && largest > SKEWED * self.mean_rate {
            return n.max(options.min_replicas);
        }
        let useful = i32::try_from(self.partitions().div_ceil(self.most(n).max(1))).unwrap_or(n);
        useful.clamp(options.min_replicas, options.most_replicas().max(options.min_replicas))
    }
}

fn sums_of_largest(mut values: Vec<f64>) -> Vec<f64> {
    values.sort_unstable_by(|a, b| b.total_cmp(a));
    let mut sums = vec![0.0];
    let mut sum = 0.0;
    for value in values {
        sum += value;
        sums.push(sum);
    }
    sums
}

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;
