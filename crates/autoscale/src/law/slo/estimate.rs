//! From successive facts to what the plan needs.

use std::collections::{BTreeMap, BTreeSet};

use super::SloOptions;
use super::arrival::{Arrivals, Level};
use super::behind::Behind;
use super::capacity::{Counts, PodRate, PodStart, Sample};
use super::load::Situation;
use super::partition::{Moved, Partition};
use super::rebalance::Rebalance;
use super::standstill::Standstill;
use super::wait::{Spell, Wait};
use crate::lag::PartitionOffsets;
use crate::law::SinkFacts;

/// Partitions' shares of the arrivals are means over about this long, seconds.
const SHARE_S: f64 = 30.0;
/// This share of the partitions with work waiting means that all pods are busy.
const BUSY_PARTITIONS: f64 = 0.9;
/// Work is waiting beyond this many times what is in flight anyway.
const BUSY_FACTOR: f64 = 1.5;
/// The fullest pods fall behind when this share of their partitions has work waiting.
const BEHIND_PARTITIONS: f64 = 0.5;

/// After this many looks at which nothing moved, the facts are taken to be old ...
const FROZEN_LOOKS: u32 = 5;
/// ... when this many records would have been expected since.
const FROZEN_RECORDS: f64 = 20.0;
/// After so many periods without a look, or seconds, nobody knows when pods became ready ...
const BLIND_LOOKS: f64 = 5.0;
/// ... and after so many times the usual time between looks, what they did meanwhile.
const BLIND_SPANS: f64 = 5.0;

/// Everything that is measured.
#[derive(Debug, Clone)]
pub(super) struct Estimator {
    partitions: BTreeMap<i32, Measured>,
    arrivals: Arrivals,
    pod_rate: PodRate,
    pod_start: PodStart,
    rebalance: Rebalance,
    wait: Wait,
    behind: Behind,
    standstill: Standstill,
    /// Looks in a row at which nothing moved though records wait, and their time.
    unmoved: (u32, f64),
    /// Facts could not be read since the last look.
    unread: bool,
    /// Time between the two looks before, seconds.
    usual_span_s: Option<f64>,
    /// Weight of what the shares have seen, seconds.
    share_weight_s: f64,
    last_s: Option<f64>,
    counts: Option<Counts>,
    settled_at_s: f64,
    arrived: i64,
}

#[derive(Debug, Clone)]
struct Measured {
    partition: Partition,
    /// Records, fading with [`SHARE_S`].
    recent_records: f64,
}

/// One look at everything.
#[derive(Debug, Clone)]
pub(super) struct Estimate {
    pub(super) level: Level,
    pub(super) backlog: f64,
    pub(super) oldest_age_s: f64,
    /// Records that arrived since the look before.
    pub(super) arrived: i64,
    /// Looks that arrivals were counted over.
    pub(super) samples: usize,
    /// Whether the group's last rebalance is over, as far as is known.
    pub(super) settled: bool,
    /// For how long nothing moved that should have, seconds.
    pub(super) frozen_s: Option<f64>,
    /// For how long no pod has written anything, though records wait, seconds.
    pub(super) standstill_s: Option<f64>,
    /// Whether pods have shown what they can do at all.
    pub(super) is_proven: bool,
    pub(super) situation: Situation,
}

impl Estimator {
    pub(super) fn new(options: &SloOptions) -> Self {
        Self {
            partitions: BTreeMap::new(),
            arrivals: Arrivals::default(),
            pod_rate: PodRate::new(options.pod_rate_per_s),
            pod_start: PodStart::new(options.pod_start_s),
            rebalance: Rebalance::new(options.rebalance_s),
            wait: Wait::default(),
            behind: Behind::default(),
            standstill: Standstill::default(),
            unmoved: (0, 0.0),
            unread: false,
            usual_span_s: None,
            share_weight_s: 0.0,
            last_s: None,
            counts: None,
            settled_at_s: f64::MIN,
            arrived: 0,
        }
    }

    pub(super) fn observe(
        &mut self,
        now_ms: i64,
        counts: Counts,
        offsets: &[PartitionOffsets],
        options: &SloOptions,
    ) {
        let now_s = seconds(now_ms);
        let before_s = self.last_s.replace(now_s);
        if self.counts.replace(counts) != Some(counts) {
            self.settled_at_s = now_s + self.rebalance.cost_s().max(2.0);
        }
        let blind_s = BLIND_LOOKS * seconds(options.period_ms).max(1.0);
        self.pod_start.observe(now_s, before_s.unwrap_or(now_s), blind_s, counts);
        let span_s = before_s.map_or(0.0, |before_s| now_s - before_s);
        let moved = self.observe_partitions(now_ms, span_s, offsets);
        self.arrived = moved.arrived;
        if span_s <= 0.0 {
            return;
        }
        let unread = std::mem::take(&mut self.unread);
        let usual_span_s = self.usual_span_s.replace(span_s).unwrap_or(span_s);
        let is_gap = span_s >= BLIND_SPANS * usual_span_s;
        if is_gap {
            self.disturbed();
        } else {
            self.rebalance.observe(now_s, span_s, counts, self.longest_still_s(now_ms));
        }
        let waits = self.partitions.values().any(|m| m.partition.backlog() > 0.0);
        self.standstill.observe(span_s, counts.ready, waits, moved.processed > 0);
        if self.is_unmoved(moved, counts, span_s) {
            if self.frozen_s(self.arrivals.level(0.0).rate_per_s).is_some() {
                self.disturbed();
            }
            return;
        }
        // What arrived meanwhile arrived over all of the time.
        let (unmoved_looks, unmoved_s) = std::mem::take(&mut self.unmoved);
        self.arrivals.observe(now_s, span_s + unmoved_s, moved.arrived as f64);
        if unread || is_gap || unmoved_looks > 0 {
            // Old facts, or a standstill: it was done in more or in less than the time since
            // the last look.
            return;
        }
        if self.standstill.is_pause() {
            self.pod_rate.disturbed();
            self.wait.disturbed();
            self.behind.disturbed();
            return;
        }
        let busy = self.busy(options);
        let sample = Sample {
            span_s,
            arrived: moved.arrived as f64,
            records: moved.processed as f64,
            busy: busy >= BUSY_PARTITIONS * self.partitions.len() as f64,
            partitions: i32::try_from(self.partitions.len()).unwrap_or(i32::MAX),
        };
        self.pod_rate.observe(now_s, sample, counts, self.rebalance.cost_s() + 1.0);
        self.observe_wait(now_s, span_s, sample.busy, counts);
        self.observe_behind(now_ms, span_s, busy, counts);
    }

    /// Facts could not be read.
    pub(super) fn unreadable(&mut self) {
        self.unread = true;
    }

    /// Nobody knows what pods did for a while: evidence begins anew.
    fn disturbed(&mut self) {
        self.pod_rate.disturbed();
        self.rebalance.disturbed();
        self.wait.disturbed();
        self.behind.disturbed();
    }

    /// Where the fullest pods fall behind, a pod does by so much less than they were given.
    fn observe_behind(&mut self, now_ms: i64, span_s: f64, busy: f64, counts: Counts) {
        let now_s = seconds(now_ms);
        let still = counts.spec == counts.ready && counts.status == counts.ready;
        let partitions = self.partitions.len();
        let pods = usize::try_from(counts.ready).unwrap_or(0).min(partitions);
        if !still || now_s < self.settled_at_s || pods == 0 {
            self.behind.disturbed();
            return;
        }
        let level = self.arrivals.level(self.pod_start.start_s(now_s));
        let mut rates: Vec<f64> = self.shares().iter().map(|s| s * level.rate_per_s).collect();
        let ages = self.partitions.values().zip(&rates);
        let oldest_s =
            ages.map(|(m, rate)| m.partition.oldest_age_s(now_ms, *rate)).fold(0.0, f64::max);
        let Some(growth) = self.behind.observe(span_s, oldest_s) else { return };
        let most = partitions.div_ceil(pods);
        let of_the_fullest = most * (partitions - pods * (most - 1));
        if busy >= BEHIND_PARTITIONS * of_the_fullest as f64 {
            rates.sort_unstable_by(|a, b| b.total_cmp(a));
            let given_per_s: f64 = rates.iter().take(most).sum();
            // A part's variance is its part of the whole's, where partitions vary by themselves.
            let part = given_per_s / level.rate_per_s.max(1e-9);
            let most_per_s = given_per_s + 2.0 * level.noise_per_s * part.sqrt();
            self.pod_rate.at_most(now_s, most_per_s * (1.0 - growth));
        }
    }

    fn observe_wait(&mut self, now_s: f64, span_s: f64, busy: bool, counts: Counts) {
        let rate_per_s = self.arrivals.level(self.pod_start.start_s(now_s)).rate_per_s;
        let still = counts.spec == counts.ready && counts.status == counts.ready;
        let is_low = self.pod_rate.is_low();
        // A level above what is in flight as a rule is what a slow spell looks like.
        let busy = busy && !is_low;
        if busy || !still || now_s < self.settled_at_s || rate_per_s <= 0.0 {
            self.wait.disturbed();
            return;
        }
        let backlog: f64 = self.partitions.values().map(|m| m.partition.backlog()).sum();
        match self.wait.observe(span_s, backlog / rate_per_s, is_low) {
            Some(Spell::Over) => self.pod_rate.recovered(now_s),
            Some(Spell::NotSeen) => self.pod_rate.not_slow(),
            None => {}
        }
    }

    pub(super) fn observe_sink(&mut self, now_ms: i64, sink: SinkFacts) {
        if let Some(pod_rate_per_s) = sink.pod_rate_per_s {
            self.pod_rate.report(seconds(now_ms), pod_rate_per_s);
        }
    }

    fn longest_still_s(&self, now_ms: i64) -> f64 {
        let still = self.partitions.values().map(|m| m.partition.still_s(now_ms));
        still.fold(0.0, f64::max)
    }

    /// Neither an arrival nor a commit, although records wait and pods are there.
    fn is_unmoved(&mut self, moved: Moved, counts: Counts, span_s: f64) -> bool {
        let waits = self.partitions.values().any(|m| m.partition.backlog() > 0.0);
        if moved != Moved::default() || !waits || counts.ready <= 0 {
            return false;
        }
        let (looks, for_s) = self.unmoved;
        self.unmoved = (looks.saturating_add(1), for_s + span_s);
        true
    }

    fn frozen_s(&self, rate_per_s: f64) -> Option<f64> {
        let (looks, for_s) = self.unmoved;
        (looks >= FROZEN_LOOKS && rate_per_s * for_s >= FROZEN_RECORDS).then_some(for_s)
    }

    pub(super) fn pod_rate_per_s(&self) -> f64 {
        self.pod_rate.per_s()
    }

    fn observe_partitions(
        &mut self,
        now_ms: i64,
        span_s: f64,
        offsets: &[PartitionOffsets],
    ) -> Moved {
        let fade = (-span_s / SHARE_S).exp();
        self.share_weight_s = self.share_weight_s * fade + span_s;
        if offsets.len() < self.partitions.len() {
            // An answer is complete: the topic was made again, with fewer.
            let there: BTreeSet<i32> = offsets.iter().map(|offsets| offsets.partition).collect();
            self.partitions.retain(|partition, _| there.contains(partition));
        }
        let mut total = Moved::default();
        for offsets in offsets {
            if let Some(measured) = self.partitions.get_mut(&offsets.partition) {
                let moved = measured.partition.observe(now_ms, *offsets);
                let arrived = if span_s > 0.0 { moved.arrived as f64 } else { 0.0 };
                measured.recent_records = measured.recent_records * fade + arrived;
                total.arrived = total.arrived.saturating_add(moved.arrived);
                total.processed = total.processed.saturating_add(moved.processed);
            } else if let Some(partition) = Partition::first_seen(now_ms, *offsets) {
                let measured = Measured { partition, recent_records: 0.0 };
                self.partitions.insert(offsets.partition, measured);
            }
        }
        total
    }

    /// Each partition's part of the whole. Differences that chance explains are
    /// taken out: shares are drawn towards the mean by the part of their variance
    /// that Poisson's would be.
    fn shares(&self) -> Vec<f64> {
        let count = self.partitions.len() as f64;
        let records: Vec<f64> = self.partitions.values().map(|m| m.recent_records).collect();
        let total: f64 = records.iter().sum();
        if total <= 0.0 {
            return vec![1.0 / count.max(1.0); records.len()];
        }
        let mean = total / count;
        let variance = records.iter().map(|r| (r - mean).powi(2)).sum::<f64>() / count;
        // A fading count's variance is its mean times the mean weight of a record.
        let by_chance = mean * self.mean_weight();
        let real = if variance > 0.0 { (1.0 - by_chance / variance).max(0.0) } else { 0.0 };
        records.iter().map(|r| (mean + real * (r - mean)) / total).collect()
    }

    /// 1 at the start, one half in the long run.
    fn mean_weight(&self) -> f64 {
        1.0 - 0.5 * (self.share_weight_s / SHARE_S).min(1.0)
    }

    /// How many partitions have work waiting.
    fn busy(&self, options: &SloOptions) -> f64 {
        let level = self.arrivals.level(options.pod_start_s);
        let in_flight = level.rate_per_s * options.in_flight_s * BUSY_FACTOR;
        self.partitions
            .values()
            .zip(self.shares())
            .filter(|(m, share)| m.partition.backlog() > in_flight * share + 1.0)
            .count() as f64
    }

    pub(super) fn estimate(&self, now_ms: i64, options: &SloOptions) -> Estimate {
        let now_s = seconds(now_ms);
        let pod_start_s = self.pod_start.start_s(now_s);
        let rebalance_s = self.rebalance.cost_s();
        let level = self.arrivals.level(pod_start_s + rebalance_s);
        let shares = self.shares();
        let rates: Vec<f64> = shares.iter().map(|share| share * level.rate_per_s).collect();
        let mut backlog = 0.0;
        let mut oldest_age_s = 0.0_f64;
        let mut waiting = Vec::with_capacity(rates.len());
        for (measured, rate) in self.partitions.values().zip(&rates) {
            let records = measured.partition.backlog();
            backlog += records;
            oldest_age_s = oldest_age_s.max(measured.partition.oldest_age_s(now_ms, *rate));
            waiting.push((records - rate * options.in_flight_s).max(0.0));
        }
        let ready = self.counts.map_or(0, |counts| counts.ready);
        let noise = level.noise_per_s / level.rate_per_s.max(1e-9);
        let situation = Situation {
            partitions: self.partitions.keys().copied().collect(),
            rates,
            backlogs: waiting,
            noise: if level.rate_per_s > 0.0 { noise.min(1.0) } else { 0.0 },
            trend: level.trend_per_s2 / level.rate_per_s.max(1e-9),
            pod_rate_per_s: self.pod_rate.per_s(),
            sure_rate_per_s: self.pod_rate.sure_per_s(),
            reserve_rate_per_s: self.pod_rate.reserve_per_s(),
            sure_reserve_rate_per_s: self.pod_rate.sure_reserve_per_s(),
            is_measured: self.pod_rate.is_measured(),
            pod_start_s,
            rebalance_s,
            starting_left_s: self.pod_start.left_s(now_s),
            spec: self.counts.map_or(0, |counts| counts.spec),
            ready,
        };
        Estimate {
            level,
            backlog,
            oldest_age_s,
            arrived: self.arrived,
            samples: self.arrivals.samples(),
            settled: now_s >= self.settled_at_s,
            frozen_s: self.frozen_s(level.rate_per_s),
            standstill_s: self.standstill.for_s(),
            is_proven: self.pod_rate.is_proven(),
            situation,
        }
    }
}

pub(super) fn seconds(at_ms: i64) -> f64 {
    at_ms as f64 / 1000.0
}

#[cfg(test)]
#[path = "estimate_tests.rs"]
mod tests;
