//! One row a second.

use tidegate_autoscale::law::Law;
use tidegate_autoscale::series::Second;

use super::events::{Event, us};
use super::partitions::{self, Partition};
use super::{LOOK_S, World};

/// How often old records are deleted, seconds.
const RETENTION_CHECK_S: f64 = 1.0;

impl World<'_> {
    /// Records in all partitions.
    pub(super) fn arrived(&self) -> u64 {
        let second = (self.now_us / 1_000_000) as usize;
        match self.troubles.paused_us {
            None => self.ends[second],
            Some(paused_us) => partitions::end(&self.partitions, self.curve.records(paused_us)),
        }
    }

    /// Whether the next row shows what takes a look at every partition: if somebody reads
    /// the series, or may ask for the run so far.
    fn is_next_row_whole(&self) -> bool {
        let second = self.tally.seconds() + 1;
        self.keeps_series || second.is_multiple_of(LOOK_S) || second >= self.scenario.duration_s
    }

    /// How far pods may go before the next row. One that is not whole is made of counts
    /// alone, so that pods need not stop for it.
    pub(super) fn ahead_until_us(&self) -> i64 {
        let mut second = self.tally.seconds() + 1;
        if !self.is_next_row_whole() {
            second = second.next_multiple_of(LOOK_S).min(self.scenario.duration_s);
        }
        let row_us = i64::from(second) * 1_000_000;
        self.queue.next_us().map_or(row_us, |next_us| next_us.min(row_us))
    }

    pub(super) fn sample(&mut self, law: &dyn Law) {
        let is_whole = self.is_next_row_whole();
        let arrived = self.arrived();
        self.counts.arrived = arrived;
        self.counts.rebalances = self.group.rebalances;
        self.counts.moves = self.group.moves;
        let (replicas_current, pods_ready) = self.replicas_and_ready();
        let ahead = self.ahead.after(self.tally.seconds() + 1);
        let mut second = Second {
            t_s: (self.now_us / 1_000_000) as u64,
            arrival_per_s: (arrived - self.last.0) as f64,
            processed_per_s: (self.counts.processed - self.last.1) as f64,
            backlog: (arrived - (self.counts.written() - ahead)) as i64,
            oldest_age_s: if is_whole { self.oldest_age_s() } else { 0.0 },
            replicas_desired: self.control.spec_replicas,
            replicas_current,
            pods_ready,
            nodes: self.nodes.count(),
            ..Second::default()
        };
        self.tally.add(&second);
        self.last = (arrived, self.counts.processed);
        if self.keeps_series {
            let visible: u64 = self.partitions.iter().map(|part| part.visible).sum();
            let (lag, partitions) = ((arrived - visible) as i64, self.partitions.len() as i64);
            second.lag_metric = law.seen_lag(lag, partitions);
            second.reason.clone_from(&self.control.reason);
            self.seconds.push(second);
            self.second_ages.push(self.ages.take_second());
        }
        self.after(1_000_000, Event::Second);
    }

    /// Age of the oldest record that waits, seconds; 0 without one.
    fn oldest_age_s(&mut self) -> f64 {
        let records = self.curve.records(self.log_us());
        let waits = |part: &&Partition| part.written() < part.end(records);
        let waiting = self.partitions.iter().filter(waits);
        let oldest = waiting.map(Partition::oldest_on_curve).fold(f64::INFINITY, f64::min);
        if oldest.is_infinite() {
            return 0.0;
        }
        let at_us = self.curve.reached_us(oldest, &mut self.oldest_place);
        at_us.map_or(0.0, |at_us| (self.now_us - at_us).max(0) as f64 / 1e6)
    }

    pub(super) fn delete_old_records(&mut self) {
        let kept_us = us(self.scenario.topic.retention_s);
        let records = self.curve.records(self.log_us() - kept_us);
        for part in &mut self.partitions {
            self.counts.expired += part.delete_before(part.end(records));
        }
        for pod in &self.present {
            self.pods[*pod].at_least = 0;
        }
        self.after(us(RETENTION_CHECK_S), Event::Retention);
    }
}
