//! One row a second.

use tidegate_autoscale::law::Law;
use tidegate_autoscale::series::Second;

use super::World;
use super::events::{Event, us};

/// How often old records are deleted, seconds.
const RETENTION_CHECK_S: f64 = 1.0;

/// Sums over all partitions.
#[derive(Debug, Default)]
struct Positions {
    end: u64,
    written: u64,
    visible: u64,
    /// Where the curve of all records stood when the oldest that waits arrived.
    oldest: f64,
}

impl World<'_> {
    pub(super) fn arrived(&self) -> u64 {
        self.positions().end
    }

    fn positions(&self) -> Positions {
        let records = self.curve.records(self.log_us());
        let mut sum = Positions { oldest: f64::INFINITY, ..Positions::default() };
        for part in &self.partitions {
            let end = part.end(records);
            sum.end += end;
            sum.written += part.written();
            sum.visible += part.visible;
            if part.written() < end && part.oldest_on_curve() < sum.oldest {
                sum.oldest = part.oldest_on_curve();
            }
        }
        sum
    }

    pub(super) fn sample(&mut self, law: &dyn Law) {
        let sum = self.positions();
        self.counts.arrived = sum.end;
        self.counts.rebalances = self.group.rebalances;
        self.counts.moves = self.group.moves;
        let (replicas_current, pods_ready) = self.replicas_and_ready();
        let lag = (sum.end - sum.visible) as i64;
        let partitions = self.partitions.len() as i64;
        let mut second = Second {
            t_s: (self.now_us / 1_000_000) as u64,
            arrival_per_s: (sum.end - self.last.0) as f64,
            processed_per_s: (self.counts.processed - self.last.1) as f64,
            backlog: (sum.end - sum.written) as i64,
            lag_metric: if self.keeps_series { law.seen_lag(lag, partitions) } else { lag },
            oldest_age_s: self.age_s(sum.oldest),
            replicas_desired: self.control.spec_replicas,
            replicas_current,
            pods_ready,
            nodes: self.nodes.count(),
            reason: String::new(),
        };
        self.tally.add(&second);
        self.last = (sum.end, self.counts.processed);
        if self.keeps_series {
            second.reason.clone_from(&self.control.reason);
            self.seconds.push(second);
            self.second_ages.push(self.ages.take_second());
        }
        self.after(1_000_000, Event::Second);
    }

    /// Age of a record by its place on the curve, seconds; 0 without a record.
    fn age_s(&mut self, on_curve: f64) -> f64 {
        if on_curve.is_infinite() {
            return 0.0;
        }
        let at_us = self.curve.reached_us(on_curve, &mut self.oldest_place);
        at_us.map_or(0.0, |at_us| (self.now_us - at_us).max(0) as f64 / 1e6)
    }

    pub(super) fn delete_old_records(&mut self) {
        let kept_us = us(self.scenario.topic.retention_s);
        let records = self.curve.records(self.log_us() - kept_us);
        for part in &mut self.partitions {
            self.counts.expired += part.delete_before(part.end(records));
        }
        self.after(us(RETENTION_CHECK_S), Event::Retention);
    }
}
