//! Stock KEDA and HPA, as one law.

mod trigger;
mod words;

use super::decision::{Decider, Decision, HpaView};
use super::{Facts, Law};
use crate::hpa::{Hpa, HpaInput, average_value_proposal, value_proposal};
use crate::keda::{ExecutorInput, execute};
use crate::lag::{LagSums, PreviousOffsets, TotalLag, capped};
use crate::scaled_object::ScaledObject;
use trigger::Evaluation;

/// What is not in the ScaledObject: the cluster's own settings, and phases.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StockOptions {
    /// `--horizontal-pod-autoscaler-sync-period`, milliseconds.
    pub hpa_sync_period_ms: i64,
    /// First poll, milliseconds after the ScaledObject's creation.
    pub poll_offset_ms: i64,
    /// First sync, milliseconds after the creation and one sync period.
    pub sync_offset_ms: i64,
}

impl Default for StockOptions {
    fn default() -> Self {
        Self { hpa_sync_period_ms: 15_000, poll_offset_ms: 0, sync_offset_ms: 0 }
    }
}

/// The executor reads its clock after the trigger was queried, which takes a moment.
/// With `LastActiveTime` stored in whole seconds this is why a poll exactly one
/// cooldown later deactivates in practice although the comparison is strict.
const QUERY_TIME_MS: i64 = 1;

/// KEDA's trigger, executor and fallback, and the HPA it creates.
#[derive(Debug, Clone)]
pub struct StockLaw {
    object: ScaledObject,
    options: StockOptions,
    created_ms: i64,
    next_poll_ms: i64,
    next_sync_ms: i64,
    last_active_ms: Option<i64>,
    previous: PreviousOffsets,
    failures: i32,
    cached: Option<Result<TotalLag, String>>,
    hpa: Hpa,
    targets: String,
}

impl StockLaw {
    /// The law of a ScaledObject that was created now.
    pub fn new(object: ScaledObject, options: StockOptions, created_ms: i64) -> Self {
        let next_poll_ms = created_ms.saturating_add(options.poll_offset_ms);
        let next_sync_ms = created_ms
            .saturating_add(options.hpa_sync_period_ms)
            .saturating_add(options.sync_offset_ms);
        Self {
            object,
            options,
            created_ms,
            next_poll_ms,
            next_sync_ms,
            last_active_ms: None,
            previous: PreviousOffsets::new(),
            failures: 0,
            cached: None,
            hpa: Hpa::default(),
            targets: "<unknown>".into(),
        }
    }

    /// KEDA's poll now, whether it is due or not.
    pub fn poll(&mut self, now_ms: i64, facts: &Facts) -> Decision {
        self.poll_with(now_ms, facts, None, facts.spec_replicas)
    }

    /// With the spec that another decision of the same tick has left.
    fn poll_with(
        &mut self,
        now_ms: i64,
        facts: &Facts,
        sums: Option<LagSums>,
        spec: i32,
    ) -> Decision {
        let evaluation = self.evaluate(facts, sums, spec);
        let object = &self.object;
        let clock_ms = now_ms.saturating_add(QUERY_TIME_MS);
        let execution = execute(ExecutorInput {
            current: spec,
            min: object.min_replica_count,
            idle: object.idle_replica_count,
            active: evaluation.active,
            error: evaluation.error,
            fallback_replicas: object.fallback.map(|fallback| fallback.replicas),
            last_active_age_ms: self.last_active_ms.map(|at| clock_ms.saturating_sub(at)),
            object_age_ms: clock_ms.saturating_sub(self.created_ms),
            cooldown_ms: object.cooldown_ms,
            initial_cooldown_ms: object.initial_cooldown_ms,
            paused: object.annotations.paused,
            pause_scale_in: object.annotations.pause_scale_in,
            pause_scale_out: object.annotations.pause_scale_out,
            force_activation: object.annotations.force_activation,
        });
        if execution.was_active {
            self.last_active_ms = Some(whole_second(now_ms));
        }
        let binding = self.keda_binding(now_ms, facts, spec, &evaluation, execution.set);
        Decision {
            to: object.annotations.paused_replicas.or(execution.set).unwrap_or(spec),
            active: Some(evaluation.active),
            binding,
            ..self.decision(now_ms, Decider::Keda, facts, spec, &evaluation)
        }
    }

    /// The HPA's sync now, whether it is due or not.
    pub fn sync(&mut self, now_ms: i64, facts: &Facts) -> Decision {
        self.sync_with(now_ms, facts, None, facts.spec_replicas)
    }

    fn sync_with(
        &mut self,
        now_ms: i64,
        facts: &Facts,
        sums: Option<LagSums>,
        spec: i32,
    ) -> Decision {
        if self.object.annotations.paused {
            return self.no_hpa(now_ms, facts, spec);
        }
        // At zero the HPA is disabled and asks for no metric.
        let evaluation = (spec > 0).then(|| self.metric_for_hpa(facts, sums, spec));
        let metric_milli = evaluation.as_ref().and_then(|evaluation| evaluation.metric_milli);
        let proposal = metric_milli.map(|metric| self.proposal(metric, facts, spec));
        self.note_targets(metric_milli, facts.status_replicas);
        let outcome = self.hpa.step(HpaInput {
            spec_replicas: spec,
            bounds: self.object.hpa_bounds(),
            behavior: self.object.behavior.as_ref(),
            proposals: &[proposal],
            now_ms,
        });
        let evaluation = evaluation.unwrap_or(Evaluation::NOTHING);
        Decision {
            to: outcome.desired,
            proposal: outcome.proposal,
            stabilized: outcome.stabilized,
            reason: Some(outcome.reason),
            binding: self.hpa_binding(&outcome, spec),
            ..self.decision(now_ms, Decider::Hpa, facts, spec, &evaluation)
        }
    }

    /// KEDA deletes the HPA of a paused object.
    fn no_hpa(&mut self, now_ms: i64, facts: &Facts, spec: i32) -> Decision {
        self.hpa = Hpa::default();
        self.targets = "<unknown>".into();
        Decision {
            binding: words::PAUSED.into(),
            ..self.decision(now_ms, Decider::Hpa, facts, spec, &Evaluation::NOTHING)
        }
    }

    fn decision(
        &self,
        at_ms: i64,
        decided_by: Decider,
        facts: &Facts,
        from: i32,
        evaluation: &Evaluation,
    ) -> Decision {
        Decision {
            at_ms,
            decided_by,
            from,
            to: from,
            status_replicas: Some(facts.status_replicas),
            ready_replicas: Some(facts.ready_replicas),
            lag: evaluation.lag.map(|lag| lag.total_with_persistent),
            metric: evaluation.metric_milli.map(|milli| milli / 1000),
            target: self.object.lag_threshold(),
            active: None,
            proposal: None,
            stabilized: None,
            reason: None,
            binding: String::new(),
            terms: None,
            alternative: None,
        }
    }

    fn proposal(&self, metric_milli: i64, facts: &Facts, spec: i32) -> i32 {
        let target_milli = self.object.lag_threshold().saturating_mul(1000);
        let tolerance = self.object.tolerance();
        if self.object.trigger.is_value_target {
            let ready = facts.ready_replicas;
            value_proposal(&[metric_milli], target_milli, spec, ready, tolerance)
        } else {
            average_value_proposal(&[metric_milli], target_milli, facts.status_replicas, tolerance)
        }
    }
}

impl StockLaw {
    fn do_what_is_due(
        &mut self,
        now_ms: i64,
        facts: &Facts,
        sums: Option<LagSums>,
    ) -> Vec<Decision> {
        let mut spec = facts.spec_replicas;
        let (poll_due, sync_due) = (self.next_poll_ms <= now_ms, self.next_sync_ms <= now_ms);
        let mut decisions = Vec::with_capacity(usize::from(poll_due) + usize::from(sync_due));
        let poll_first = self.next_poll_ms <= self.next_sync_ms;
        for is_poll in [poll_first, !poll_first] {
            let decision = match (is_poll, poll_due, sync_due) {
                (true, true, _) => self.poll_with(now_ms, facts, sums, spec),
                (false, _, true) => self.sync_with(now_ms, facts, sums, spec),
                _ => continue,
            };
            spec = decision.to;
            decisions.push(decision);
        }
        if poll_due {
            self.next_poll_ms = after(self.next_poll_ms, self.object.polling_interval_ms, now_ms);
        }
        if sync_due {
            self.next_sync_ms = after(self.next_sync_ms, self.options.hpa_sync_period_ms, now_ms);
        }
        decisions
    }
}

impl Law for StockLaw {
    fn tick(&mut self, now_ms: i64, facts: &Facts) -> Vec<Decision> {
        self.do_what_is_due(now_ms, facts, None)
    }

    fn tick_with_sums(&mut self, now_ms: i64, facts: &Facts, sums: LagSums) -> Vec<Decision> {
        self.do_what_is_due(now_ms, facts, Some(sums))
    }

    fn seen_lag(&self, lag: i64, partitions: i64) -> i64 {
        capped(lag, partitions, partitions, &self.object.trigger.lag)
    }

    fn next_due_ms(&self) -> i64 {
        self.next_poll_ms.min(self.next_sync_ms)
    }

    fn not_followed(&mut self) {
        self.hpa.forget_events();
    }

    fn hpa_view(&self) -> HpaView {
        let bounds = self.object.hpa_bounds();
        HpaView {
            name: format!("keda-hpa-{}", self.object.name),
            reference: format!("{}/{}", self.object.target_kind, self.object.target_name),
            targets: self.targets.clone(),
            min: bounds.min,
            max: bounds.max,
        }
    }
}

/// `LastActiveTime` has a resolution of one second.
fn whole_second(at_ms: i64) -> i64 {
    at_ms.saturating_sub(at_ms.rem_euclid(1000))
}

/// The next multiple of the period after now, on the grid of `due_ms`.
fn after(due_ms: i64, period_ms: i64, now_ms: i64) -> i64 {
    let period_ms = period_ms.max(1);
    let missed = now_ms.saturating_sub(due_ms) / period_ms;
    due_ms.saturating_add(period_ms.saturating_mul(missed.saturating_add(1)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lag::PartitionOffsets;

    /// What is wanted at the end of each sync, with pods that follow at once.
    fn run(annotation: &str, spec: i32, end: i64) -> Vec<i32> {
        let text = include_str!("../../../../config/scaled-object-demo.yaml");
        let name = "metadata:\n  name:";
        assert!(text.contains(name), "the demo begins so");
        let annotated = format!("metadata:\n  annotations: {{{annotation}}}\n  name:");
        let object = ScaledObject::from_yaml(&text.replacen(name, &annotated, 1), "demo");
        let mut law = StockLaw::new(object.expect("valid"), StockOptions::default(), 0);
        let mut spec = spec;
        let mut wanted = Vec::new();
        for sync in 1..=40 {
            let partition = PartitionOffsets { partition: 0, committed: Some(0), end: Some(end) };
            let facts = Facts {
                spec_replicas: spec,
                status_replicas: spec,
                ready_replicas: spec,
                offsets: Ok(vec![partition; 100]),
                sink: None,
            };
            let decisions = law.tick(sync * 15_000, &facts);
            spec = decisions.last().map_or(spec, |decision| decision.to);
            wanted.push(spec);
        }
        wanted
    }

    #[test]
    fn a_paused_object_stays_and_a_paused_direction_is_not_taken() {
        let last = |annotation, spec, end| run(annotation, spec, end)[39];
        let (much, little) = (10_000, 1);
        assert!(last("", 10, much) > 50 && last("", 10, little) < 5, "it moves");
        for annotation in
            ["autoscaling.keda.sh/paused: 'true'", "autoscaling.keda.sh/paused-replicas: '10'"]
        {
            assert_eq!((last(annotation, 10, much), last(annotation, 10, little)), (10, 10));
        }
        assert_eq!(last("autoscaling.keda.sh/paused-replicas: '7'", 10, much), 7);
        let no_out = "autoscaling.keda.sh/paused-scale-out: 'true'";
        assert_eq!((last(no_out, 10, much), last(no_out, 10, little) < 5), (10, true));
        let no_in = "autoscaling.keda.sh/paused-scale-in: 'true'";
        assert_eq!((last(no_in, 10, much) > 50, last(no_in, 10, little)), (true, 10));
    }

    #[test]
    fn what_is_left_of_the_cooldown_is_told_in_seconds() {
        let text = include_str!("../../../../config/scaled-object-demo.yaml");
        let object = ScaledObject::from_yaml(text, "demo").expect("valid");
        let cooldown_ms = object.cooldown_ms;
        let mut law = StockLaw::new(object, StockOptions::default(), 0);
        let mut at = |now_ms, end| {
            let partition = PartitionOffsets { partition: 0, committed: Some(0), end: Some(end) };
            let facts = Facts {
                spec_replicas: 1,
                status_replicas: 1,
                ready_replicas: 1,
                offsets: Ok(vec![partition]),
                sink: None,
            };
            let decisions = law.tick(now_ms, &facts);
            let keda = decisions.into_iter().rfind(|decision| decision.active.is_some());
            keda.map(|decision| decision.binding)
        };
        at(0, 1_000_000);
        let told: Vec<String> = (1..10).filter_map(|poll| at(poll * 30_000, 0)).collect();
        let left_s = (cooldown_ms - 30_000) / 1000;
        assert!(told.contains(&format!("{left_s} s of the cooldown left")), "{told:?}");
    }
}
