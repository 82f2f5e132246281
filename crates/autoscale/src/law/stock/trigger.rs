//! The trigger: from offsets, or their sums, to what the executor and the HPA are told.

use std::borrow::Cow;

use super::StockLaw;
use crate::keda::{Current, after_evaluation};
use crate::lag::{LagSums, PartitionOffsets, TotalLag, total_lag};
use crate::law::Facts;

/// One evaluation of the trigger.
#[derive(Debug, Clone, Copy)]
pub(super) struct Evaluation {
    pub(super) lag: Option<TotalLag>,
    /// What the HPA is told, milli records; `None` is an error.
    pub(super) metric_milli: Option<i64>,
    pub(super) active: bool,
    pub(super) error: bool,
}

impl Evaluation {
    /// Nobody asked.
    pub(super) const NOTHING: Self =
        Self { lag: None, metric_milli: None, active: false, error: false };
}

impl StockLaw {
    /// Evaluates the trigger: counts failures, trips the fallback.
    pub(super) fn evaluate(
        &mut self,
        facts: &Facts,
        sums: Option<LagSums>,
        current: i32,
    ) -> Evaluation {
        let sums = sums.filter(|_| self.object.metric_is_of_sums());
        let result = facts.offsets.as_ref().map(|offsets| {
            if let Some(sums) = sums {
                return sums.total_lag(&self.object.trigger.lag);
            }
            let counted = limited(offsets, self.object.trigger.lag.partition_limitation.as_deref());
            total_lag(&counted, &self.object.trigger.lag, &mut self.previous)
        });
        if result.is_err() {
            // An error rebuilds the scaler, and what it remembered is gone.
            self.previous.clear();
        }
        let target = self.object.lag_threshold();
        let ready = self.object.trigger.is_value_target.then_some(facts.ready_replicas);
        let current = Current { replicas: current, ready };
        let (failures, fallback_milli) =
            after_evaluation(self.failures, result.is_ok(), self.object.fallback, current, target);
        self.failures = failures;
        self.cached = Some(result.map_err(Clone::clone));
        match self.cached {
            Some(Ok(lag)) => Evaluation {
                lag: Some(lag),
                metric_milli: Some(published_milli(lag.total)),
                active: lag.active,
                error: false,
            },
            _ => Evaluation {
                lag: None,
                metric_milli: fallback_milli,
                active: fallback_milli.is_some(),
                error: fallback_milli.is_none(),
            },
        }
    }

    pub(super) fn metric_for_hpa(
        &mut self,
        facts: &Facts,
        sums: Option<LagSums>,
        spec: i32,
    ) -> Evaluation {
        match &self.cached {
            Some(Ok(lag)) if self.object.trigger.use_cached_metrics => Evaluation {
                lag: Some(*lag),
                metric_milli: Some(published_milli(lag.total)),
                active: lag.active,
                error: false,
            },
            _ => self.evaluate(facts, sums, spec),
        }
    }
}

fn limited<'a>(
    offsets: &'a [PartitionOffsets],
    only: Option<&[i32]>,
) -> Cow<'a, [PartitionOffsets]> {
    let Some(only) = only else { return Cow::Borrowed(offsets) };
    let counted = offsets.iter().filter(|partition| only.contains(&partition.partition));
    Cow::Owned(counted.copied().collect())
}

/// A negative total is published as 0.
fn published_milli(total: i64) -> i64 {
    total.max(0).saturating_mul(1000)
}
