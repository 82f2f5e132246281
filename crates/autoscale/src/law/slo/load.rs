//! What the most loaded of `n` pods has to do, and whether it can.
//!
//! Contract: pure arithmetic on a [`Situation`], no memory. A [`Load`] knows one pod's rate
//! and answers for any count; how much is asked of it is in the [`Criteria`]. Nothing here
//! knows why a count is looked for: that is the plan's, whose text ([`plan`](super::plan)) says
//! what the sums are.

use super::SloOptions;

/// Beyond the mean, the worst assignment may use this much more of a pod.
const WORST_EXTRA: f64 = 0.12;
/// A hot partition gains from having its pod for itself, unless the others on it take at
/// most this much of a pod ...
const HOT_SHARED: f64 = 0.1;
/// ... or this share of what it falls behind by without them ...
const HOT_LITTLE: f64 = 0.25;
/// ... for at most this many times the pods that the others need.
const HOT_PRICE: i32 = 2;
/// Where no allowed count is enough, pods that the mean would not use still give a
/// partition of this many times the mean a better chance of few neighbours.
const SKEWED: f64 = 1.5;

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
    /// The same, as far as it was seen: fewer pods are trusted with no more.
    pub(super) sure_reserve_rate_per_s: f64,
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
pub(super) struct Criteria {
    pub(super) rate: f64,
    pub(super) utilisation: f64,
    /// Times the arrivals that pods used to the full must take; 0 asks for nothing.
    pub(super) reserve: f64,
    pub(super) drain_s: f64,
    /// What a rescale holds up is to be worked off too.
    pub(super) rescale: Option<Rescale>,
    /// Age that waiting records may have when pods are used to the full, seconds.
    pub(super) full_age_s: f64,
    /// How many times as dear the next count must be for that.
    pub(super) full_from: f64,
    /// Share by which pods used to the full may fall behind.
    pub(super) drift: f64,
}

/// In which time a decrease must work off what rebalances hold up, on top of the backlog.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rescale {
    /// Its own one: or else it would itself make an increase due.
    pub(super) there_s: f64,
    /// Its own one and that of the way back. No pod has to start for it.
    pub(super) back_s: f64,
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

/// Sums over the most loaded partitions.
pub(super) struct Load<'a> {
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
    /// Up to this many pods a hot partition is spared neighbours.
    spared_pods: f64,
}

impl<'a> Load<'a> {
    /// A partition is hot from `hot_pods` on, and spared neighbours up to `spared_pods`.
    pub(super) fn new(situation: &'a Situation, pod: f64, hot_pods: f64, spared_pods: f64) -> Self {
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
        Self { situation, pod, rates, backlogs, mean_rate, hot, spared_pods }
    }

    /// The one that stands out; where all are alike the pods are slow, and no partition is hot.
    pub(super) fn hottest(&self) -> Option<HotPartition> {
        let Situation { rates, partitions, .. } = self.situation;
        let (rate, partition) = rates.iter().zip(partitions).max_by(|a, b| a.0.total_cmp(b.0))?;
        let pods = rate / self.pod;
        let mean = rates.iter().sum::<f64>() / self.partitions() as f64;
        let stands_out = self.partitions() == 1 || *rate > SKEWED * mean;
        (self.hot > 0 && stands_out).then_some(HotPartition { partition: *partition, pods })
    }

    fn partitions(&self) -> usize {
        self.situation.rates.len()
    }

    /// Partitions of the most loaded of `n` pods.
    fn most(&self, n: i32) -> usize {
        self.partitions().div_ceil(usize::try_from(n).unwrap_or(0).max(1))
    }

    pub(super) fn carries(&self, n: i32, criteria: Criteria) -> bool {
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
    pub(super) fn takes(&self, n: i32, criteria: Criteria) -> bool {
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
    pub(super) fn lasts(&self, n: i32, roomy: i32, criteria: Criteria) -> bool {
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

    /// Whether the others leave a hot partition its pod, as far as that helps it.
    fn spares_the_hot(&self, n: i32, others: i32) -> bool {
        let hottest = self.situation.rates.iter().copied().fold(0.0, f64::max);
        let behind = (hottest - self.pod).max(0.0);
        let neighbours = self.most(n).saturating_sub(1) as f64 * self.mean_rate;
        self.hot == 0
            || hottest > self.spared_pods * self.pod
            || n >= others.saturating_mul(HOT_PRICE)
            || neighbours <= (HOT_SHARED * self.pod).max(HOT_LITTLE * behind)
    }

    pub(super) fn drains(&self, n: i32, criteria: Criteria) -> bool {
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
    pub(super) fn least(&self, fits: impl Fn(i32) -> bool) -> i32 {
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
    pub(super) fn short_of(&self, most: i32, criteria: Criteria) -> Short {
        if self.least(|n| self.carries(n, criteria)) > most {
            return Short::Arrivals;
        }
        let wanted = self.least(|n| self.carries(n, criteria) && self.drains(n, criteria));
        if wanted > most { Short::Backlog } else { Short::Reserve }
    }

    /// Inside the bounds, at most one a partition, and no pod that buys nothing.
    pub(super) fn bounded(&self, wanted: i32, options: &SloOptions) -> i32 {
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
