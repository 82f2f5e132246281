//! A law whose number KEDA and the HPA carry out, as `tidegate scaler` has it done.
//!
//! The law is asked at its own cadence. Its number is the metric of an `external-push`
//! trigger with target 1: the HPA takes it at its next sync, up to one sync period
//! later; KEDA lifts from zero and goes to zero at once, because both are pushed. Windows and tolerance are 0, as the chart's ScaledObject has them.
//!
//! Rejected: adding a delay to the law's orders. It is not a delay: between two syncs
//! the number may change many times, and only the last one counts.

use super::{Decision, Facts, HpaView, Law, StockLaw, StockOptions};
use crate::hpa::{Behavior, Policy, PolicyKind, Rules, Select};
use crate::lag::{LagOptions, PartitionOffsets};
use crate::scaled_object::ScaledObject;

/// See the module.
#[derive(Debug)]
pub struct ThroughKeda<L> {
    law: L,
    keda: StockLaw,
    /// The law's last decision.
    last: Option<Decision>,
}

impl<L: Law> ThroughKeda<L> {
    /// Bounds, fallback and polling interval are the ScaledObject's.
    pub fn new(law: L, object: &ScaledObject, options: StockOptions) -> Self {
        Self { law, keda: StockLaw::new(pushed(object), options, 0), last: None }
    }

    fn ask(&mut self, now_ms: i64, facts: &Facts) -> i32 {
        let wanted = |last: &Option<Decision>| last.as_ref().map(|decision| decision.to);
        let before = wanted(&self.last).unwrap_or(facts.spec_replicas);
        // Nobody tells a scaler what the HPA has made of its number.
        let seen = Facts { spec_replicas: before, status_replicas: before, ..facts.clone() };
        if let Some(decision) = self.law.tick(now_ms, &seen).pop() {
            self.last = Some(decision);
        }
        wanted(&self.last).unwrap_or(before)
    }

    /// The law's reasons, for what was done.
    fn told(&self, done: Decision) -> Decision {
        match &self.last {
            Some(last) => Decision {
                at_ms: done.at_ms,
                from: done.from,
                to: done.to,
                status_replicas: done.status_replicas,
                ready_replicas: done.ready_replicas,
                active: done.active,
                ..last.clone()
            },
            None => done,
        }
    }
}

impl<L: Law> Law for ThroughKeda<L> {
    fn tick(&mut self, now_ms: i64, facts: &Facts) -> Vec<Decision> {
        let wanted = self.ask(now_ms, facts);
        let metric =
            PartitionOffsets { partition: 0, committed: Some(0), end: Some(i64::from(wanted)) };
        let mut facts = Facts { offsets: Ok(vec![metric]), sink: None, ..facts.clone() };
        let mut done = Vec::new();
        if (wanted > 0) != (facts.spec_replicas > 0) {
            let pushed = self.keda.poll(now_ms, &facts);
            facts.spec_replicas = pushed.to;
            done.push(pushed);
        }
        done.extend(self.keda.tick(now_ms, &facts));
        done.into_iter().map(|decision| self.told(decision)).collect()
    }

    fn next_due_ms(&self) -> i64 {
        self.law.next_due_ms().min(self.keda.next_due_ms())
    }

    fn seen_lag(&self, lag: i64, partitions: i64) -> i64 {
        self.law.seen_lag(lag, partitions)
    }

    fn not_followed(&mut self) {
        self.law.not_followed();
        self.keda.not_followed();
    }

    fn hpa_view(&self) -> HpaView {
        self.keda.hpa_view()
    }
}

/// The ScaledObject with the trigger of a number of pods.
fn pushed(object: &ScaledObject) -> ScaledObject {
    let at_once = |policy| Rules {
        stabilization_window_s: Some(0),
        select: Select::Max,
        policies: vec![policy],
        tolerance: Some(0.0),
    };
    let mut object = object.clone();
    // The law itself waits before zero.
    object.cooldown_ms = 0;
    object.initial_cooldown_ms = 0;
    object.behavior = Some(Behavior {
        scale_up: at_once(Policy { kind: PolicyKind::Pods, value: 1000, period_s: 15 }),
        scale_down: at_once(Policy { kind: PolicyKind::Percent, value: 100, period_s: 15 }),
    });
    object.trigger.use_cached_metrics = false;
    object.trigger.is_value_target = false;
    object.trigger.lag =
        LagOptions { lag_threshold: 1, allow_idle_consumers: true, ..LagOptions::default() };
    object
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::law::Schedule;

    const OBJECT: &str = include_str!("../../../../config/scaled-object-demo.yaml");

    /// What is wanted after each second, with pods that follow at once.
    fn run(law: Schedule, options: StockOptions, seconds: i64) -> Vec<i32> {
        let object = ScaledObject::from_yaml(OBJECT, "demo").expect("the demo's");
        let mut law = ThroughKeda::new(law, &object, options);
        let (mut spec, mut wanted) = (0, Vec::new());
        for second in 0..seconds {
            let facts = Facts {
                spec_replicas: spec,
                status_replicas: spec,
                ready_replicas: spec,
                offsets: Ok(Vec::new()),
                sink: None,
            };
            spec = law.tick(second * 1000, &facts).last().map_or(spec, |decision| decision.to);
            wanted.push(spec);
        }
        wanted
    }

    #[test]
    fn a_number_waits_for_the_next_sync_and_only_the_last_one_counts() {
        let law = Schedule::new(vec![(0, 1), (16_000, 4), (20_000, 21), (31_000, 20)]);
        let wanted = run(law, StockOptions::default(), 50);
        assert_eq!((wanted[15], wanted[29], wanted[30]), (1, 1, 21));
        // A twentieth less is within the HPA's usual tolerance; here it has none.
        assert_eq!((wanted[44], wanted[45]), (21, 20));
    }

    #[test]
    fn from_zero_and_to_zero_at_once() {
        let law = Schedule::new(vec![(0, 0), (7_000, 3), (40_000, 0)]);
        let options = StockOptions { poll_offset_ms: 2_000, ..StockOptions::default() };
        let wanted = run(law, options, 80);
        assert_eq!((wanted[6], wanted[7], wanted[14], wanted[15]), (0, 1, 1, 3));
        // Neither the HPA's sync at 45 s nor KEDA's poll at 62 s is waited for.
        assert_eq!((wanted[39], wanted[40], wanted[79]), (3, 0, 0));
    }
}
