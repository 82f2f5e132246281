//! One row a second.

use tidegate_autoscale::series::Second;

use super::World;
use super::events::Event;
use crate::load::Place;

impl World<'_> {
    pub(super) fn arrived(&self) -> u64 {
        let records = self.curve.records(self.now_us);
        self.partitions.iter().map(|part| part.end(records)).sum()
    }

    pub(super) fn sample(&mut self) {
        let arrived = self.arrived();
        let written: u64 = self.partitions.iter().map(|part| part.written).sum();
        let visible: u64 = self.partitions.iter().map(|part| part.visible).sum();
        self.counts.arrived = arrived;
        self.counts.written = written;
        self.counts.rebalances = self.group.rebalances;
        self.counts.moves = self.group.moves;
        self.seconds.push(Second {
            t_s: (self.now_us / 1_000_000) as u64,
            arrival_per_s: (arrived - self.last.0) as f64,
            processed_per_s: (self.counts.processed - self.last.1) as f64,
            backlog: (arrived - written) as i64,
            lag_metric: (arrived - visible) as i64,
            oldest_age_s: self.oldest_age_s(),
            replicas_desired: self.control.spec_replicas,
            replicas_current: self.replicas(),
            pods_ready: self.ready_replicas(),
            nodes: self.nodes.count(),
            reason: self.control.reason.clone(),
        });
        self.second_ages.push(self.ages.take_second());
        self.last = (arrived, self.counts.processed);
        self.after(1_000_000, Event::Second);
    }

    /// Age of the oldest record that is not written, seconds; 0 without any.
    fn oldest_age_s(&self) -> f64 {
        let records = self.curve.records(self.now_us);
        let waiting = self.partitions.iter().filter(|part| part.written < part.end(records));
        let oldest = waiting
            .map(|part| part.on_curve(part.written))
            .min_by(f64::total_cmp)
            .and_then(|on_curve| self.curve.reached_us(on_curve, &mut self.near_now()));
        oldest.map_or(0.0, |at_us| (self.now_us - at_us).max(0) as f64 / 1e6)
    }

    /// A place on the curve to search backwards from.
    fn near_now(&self) -> Place {
        self.curve.place_at(self.now_us)
    }
}
