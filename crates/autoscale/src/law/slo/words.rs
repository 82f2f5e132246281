//! What [`SloLaw`] says of a decision: its numbers, and why in words.

use super::estimate::Estimate;
use super::load::Short;
use super::plan::Plan;
use super::verdict::Verdict;
use super::{SloLaw, SloTerms};
use crate::law::Facts;
use crate::law::decision::{Decider, Decision};

impl SloLaw {
    /// A verdict on facts that could be read.
    pub(super) fn decision(
        &self,
        now_ms: i64,
        facts: &Facts,
        verdict: Verdict,
        estimate: &Estimate,
        plan: &Plan,
    ) -> Decision {
        let partitions = estimate.situation.rates.len();
        let after = usize::try_from(verdict.to).unwrap_or(0);
        let most = if after > 0 { partitions.div_ceil(after) } else { 0 };
        let pod_rate_per_s = estimate.situation.pod_rate_per_s;
        let mean_per_s = estimate.level.rate_per_s / partitions.max(1) as f64;
        let backlog = estimate.backlog as i64;
        let terms = SloTerms {
            term: verdict.term,
            arrival_per_s: estimate.level.rate_per_s,
            arrival_noise_per_s: estimate.level.noise_per_s,
            trend_per_s2: estimate.level.trend_per_s2,
            pod_rate_per_s,
            pod_start_s: estimate.situation.pod_start_s,
            backlog,
            oldest_age_s: estimate.oldest_age_s,
            target_age_s: self.options.target_age_s,
            drain_s: plan.drain_s,
            steady_replicas: plan.steady,
            wanted_replicas: plan.target,
            enough_replicas: plan.enough,
            partitions: i32::try_from(partitions).unwrap_or(i32::MAX),
            partitions_per_pod: i32::try_from(most).unwrap_or(i32::MAX),
            utilisation: most as f64 * mean_per_s / pod_rate_per_s,
            overprovisioning: self.options.overprovisioning,
        };
        let binding = self.binding(verdict.note, &terms, plan);
        Decision {
            to: verdict.to,
            lag: Some(backlog),
            metric: Some(backlog),
            active: Some(estimate.arrived > 0 || backlog > 0),
            proposal: Some(plan.target),
            binding,
            terms: Some(terms),
            ..self.blank(now_ms, facts)
        }
    }

    /// The term in words, and what cannot be helped.
    fn binding(&self, note: Option<String>, terms: &SloTerms, plan: &Plan) -> String {
        let mut binding = note.unwrap_or_else(|| terms.reason());
        if let Some(hot) = plan.hot {
            binding.push_str(&format!(
                "; partition {} alone needs {:.1} pods; more pods cannot help",
                hot.partition, hot.pods
            ));
        }
        if let Some(short) = plan.short {
            let what = match short {
                Short::Arrivals => "the arrivals",
                Short::Backlog => "the backlog, to be gone in time,",
                Short::Reserve => &format!("{} times the arrivals", terms.overprovisioning),
            };
            let max = self.options.most_replicas();
            let bound = if max < self.options.max_replicas.min(terms.partitions) {
                format!("the {max} that may be paid")
            } else if max < terms.partitions {
                format!("the {max} allowed")
            } else {
                "one a partition".into()
            };
            binding.push_str(&format!("; {what} would need more than {bound}"));
        } else if terms.overprovisioning > 1.0 && terms.partitions_per_pod > 0 {
            binding
                .push_str(&format!("; kept ready for {} times the load", terms.overprovisioning));
        }
        binding
    }

    /// What every decision says, whatever was known.
    pub(super) fn blank(&self, at_ms: i64, facts: &Facts) -> Decision {
        Decision {
            at_ms,
            decided_by: Decider::Slo,
            from: facts.spec_replicas,
            to: facts.spec_replicas,
            status_replicas: Some(facts.status_replicas),
            ready_replicas: Some(facts.ready_replicas),
            lag: None,
            metric: None,
            target: self.estimator.pod_rate_per_s().round() as i64,
            active: None,
            proposal: None,
            stabilized: None,
            reason: None,
            binding: String::new(),
            terms: None,
            alternative: None,
        }
    }
}
