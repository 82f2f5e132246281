//! The law's side: what it sees, when it looks, what it orders.

use tidegate_autoscale::lag::{LagSums, PartitionOffsets};
use tidegate_autoscale::law::{
    Decision, Facts, Law, SloOptions, StockLaw, StockOptions, ThroughKeda,
};
use tidegate_autoscale::scaled_object::ScaledObject;

use super::World;
use super::events::{Event, us};
use crate::scenario::{self, Scenario};

/// What the law wants, and why.
#[derive(Debug, Clone)]
pub(crate) struct Control {
    pub(crate) spec_replicas: i32,
    pub(crate) reason: String,
}

impl Control {
    pub(crate) fn new(spec_replicas: i32) -> Self {
        Self { spec_replicas, reason: String::new() }
    }
}

/// Stock KEDA and HPA with a scenario's phases, created when the scenario starts.
pub fn stock_law(object: ScaledObject, control: &scenario::Control) -> StockLaw {
    StockLaw::new(object, phases(control), 0)
}

/// A law carried out by KEDA and the HPA with a scenario's phases.
pub fn through_keda<L: Law>(
    law: L,
    object: &ScaledObject,
    control: &scenario::Control,
) -> ThroughKeda<L> {
    ThroughKeda::new(law, object, phases(control))
}

fn phases(control: &scenario::Control) -> StockOptions {
    let ms = |seconds: f64| (seconds * 1000.0).round() as i64;
    StockOptions {
        hpa_sync_period_ms: ms(control.sync_period_s),
        poll_offset_ms: ms(control.poll_offset_s),
        sync_offset_ms: ms(control.sync_offset_s),
    }
}

/// What the operator of a scenario's pods could tell the SLO law; the rest it measures.
/// Bounds and names are those of the ScaledObject, the promise is the default.
pub fn slo_options(scenario: &Scenario, object: &ScaledObject) -> SloOptions {
    let pod = &scenario.pod;
    let batch_s = pod.batch_s + pod.record_s * f64::from(pod.batch_size);
    SloOptions {
        pod_rate_per_s: pod.capacity_per_s(),
        pod_start_s: pod.start_s.max + pod.ready_s,
        rebalance_s: scenario.group.times().settle_s.max,
        // A record waits for its batch, for the one being written, and for the commit.
        in_flight_s: 2.0 * batch_s + pod.batch_timeout_s + scenario.group.commit_interval_s,
        ..SloOptions::for_object(object)
    }
}

/// Before anybody looked.
pub(super) fn no_facts() -> Facts {
    Facts {
        spec_replicas: 0,
        status_replicas: 0,
        ready_replicas: 0,
        offsets: Ok(Vec::new()),
        sink: None,
    }
}

impl World<'_> {
    pub(super) fn tick_law(&mut self, law: &mut dyn Law) {
        let sums = self.look();
        let decisions = self.ask(law, sums);
        if self.keeps_series
            && let Some(last) = decisions.last()
        {
            self.control.reason = last.explanation();
        }
        let to = decisions.last().map_or(self.control.spec_replicas, |last| last.to);
        self.follow(to, law.next_due_ms());
    }

    /// What a law decides of the facts, whose offsets have these sums.
    pub(super) fn ask<L: Law + ?Sized>(&self, law: &mut L, sums: Option<LagSums>) -> Vec<Decision> {
        let now_ms = self.now_us / 1000;
        match sums {
            Some(sums) => law.tick_with_sums(now_ms, &self.facts, sums),
            None => law.tick(now_ms, &self.facts),
        }
    }

    /// So many pods are wanted, and the law looks again then.
    pub(super) fn follow(&mut self, to: i32, next_due_ms: i64) {
        if to != self.control.spec_replicas {
            self.control.spec_replicas = to;
            self.after(us(self.scenario.control.reconcile_s), Event::Reconcile);
        }
        let next_ms = next_due_ms.max(self.now_us / 1000 + 1);
        self.queue.push(next_ms * 1000, Event::Law);
    }

    /// Brings the facts up to date; returns the sums of the offsets, where they can be told.
    pub(super) fn look(&mut self) -> Option<LagSums> {
        self.read_facts();
        LagSums::of(self.facts.offsets.as_ref().ok()?)
    }

    fn read_facts(&mut self) {
        self.facts.spec_replicas = self.control.spec_replicas;
        (self.facts.status_replicas, self.facts.ready_replicas) = self.replicas_and_ready();
        // Without a shared sink nobody could be told of it.
        self.facts.sink =
            (self.scenario.sink.rows_per_s > 0.0).then(|| self.sink.facts(self.now_us));
        let hidden = if self.troubles.paused_us.is_some() {
            Some("the broker does not answer")
        } else {
            self.troubles.missing.then_some("the scenario hides the offsets")
        };
        if let Some(why) = hidden {
            self.facts.offsets = Err(why.to_owned());
            return;
        }
        if let Some(stale) = &self.troubles.stale {
            self.facts.offsets = Ok(stale.clone());
            return;
        }
        let mut offsets =
            std::mem::replace(&mut self.facts.offsets, Ok(Vec::new())).unwrap_or_default();
        self.read_offsets(&mut offsets);
        self.facts.offsets = Ok(offsets);
    }

    /// Every partition's offsets now.
    pub(super) fn offsets(&self) -> Vec<PartitionOffsets> {
        let mut offsets = Vec::new();
        self.read_offsets(&mut offsets);
        offsets
    }

    fn read_offsets(&self, into: &mut Vec<PartitionOffsets>) {
        let records = self.curve.records(self.log_us());
        into.clear();
        into.extend(self.partitions.iter().enumerate().map(|(index, part)| PartitionOffsets {
            partition: index as i32,
            committed: Some(part.visible as i64),
            end: Some(part.end(records) as i64),
        }));
    }
}
