//! What the SLO law is told: the promise, the bounds, and guesses to start from.

use serde::{Deserialize, Serialize};

use crate::scaled_object::ScaledObject;

/// An option outside its range.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{field} = {value}: allowed is {allowed}")]
pub struct SloOptionsError {
    /// Name of the option.
    pub field: &'static str,
    /// What was given.
    pub value: String,
    /// What may be given.
    pub allowed: String,
}

/// Options of the SLO law. Times in seconds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SloOptions {
    /// Name of the autoscaler, as a table of autoscalers shows it.
    pub name: String,
    /// What it scales, for example `Deployment/trade-tx-consumer`.
    pub reference: String,
    /// Pods that stay when there is nothing to do; 0 allows scale to zero.
    pub min_replicas: i32,
    /// Most pods.
    pub max_replicas: i32,
    /// The promise: 99 % of the records are committed before they are this old.
    pub target_age_s: f64,
    /// Most that all pods together may cost, in the unit of `pod_cost`; `None` is no
    /// such bound.
    pub max_cost: Option<f64>,
    /// What one pod costs, for example an hour's price; 1 makes `max_cost` pods.
    pub pod_cost: f64,
    /// A backlog is to be gone within this time of the pods being ready; `None` is
    /// what the promise leaves.
    pub drain_s: Option<f64>,
    /// Guess: records a second one busy pod does. Replaced by evidence. A guess too
    /// high is corrected in seconds; one too low only when there is a backlog.
    pub pod_rate_per_s: f64,
    /// Guess: from the decision to a ready pod. Replaced by evidence.
    pub pod_start_s: f64,
    /// Guess: how long a rebalance holds up the partitions it moves. Replaced by
    /// evidence.
    pub rebalance_s: f64,
    /// How long a record waits in a pod that keeps up: batch, write, commit.
    pub in_flight_s: f64,
    /// Pods that may join the group a second; five seconds' worth are ordered at once,
    /// the rest as time passes. 20 is what a broker of Amazon MSK takes of new
    /// connections with IAM.
    pub joins_per_s: f64,
    /// Share of a pod's rate that steady traffic may use, 0.5 to 0.95.
    pub headroom: f64,
    /// So many times the present arrivals the pods that run are kept able to take, at full
    /// use and without one more; 1 keeps what `headroom` leaves.
    pub overprovisioning: f64,
    /// Fewer pods are taken only when fewer would have done for this long, and
    /// this long after the last change.
    pub hold_s: f64,
    /// To zero after this time without arrivals and without lag.
    pub cooldown_s: f64,
    /// Least time between two evaluations, milliseconds.
    pub period_ms: i64,
    /// Unreadable facts are waited out for this long, then the fallback counts.
    pub stale_after_s: f64,
    /// The fallback; `None` is the most that was needed within `hold_s` before.
    pub fallback_replicas: Option<i32>,
}

impl Default for SloOptions {
    fn default() -> Self {
        Self {
            name: "tidegate-slo".into(),
            reference: "Deployment/consumer".into(),
            min_replicas: 0,
            max_replicas: 100,
            target_age_s: 30.0,
            max_cost: None,
            pod_cost: 1.0,
            drain_s: None,
            pod_rate_per_s: 100.0,
            pod_start_s: 30.0,
            rebalance_s: 2.0,
            in_flight_s: 1.0,
            joins_per_s: 20.0,
            headroom: 0.85,
            overprovisioning: 1.0,
            hold_s: 60.0,
            cooldown_s: 300.0,
            period_ms: 1000,
            stale_after_s: 60.0,
            fallback_replicas: None,
        }
    }
}

impl SloOptions {
    /// Names, bounds, cooldown and fallback of a ScaledObject; the rest are defaults.
    pub fn for_object(object: &ScaledObject) -> Self {
        Self {
            name: format!("keda-hpa-{}", object.name),
            reference: format!("{}/{}", object.target_kind, object.target_name),
            min_replicas: object.min_replica_count,
            max_replicas: object.max_replica_count,
            cooldown_s: object.cooldown_ms as f64 / 1000.0,
            fallback_replicas: object.fallback.map(|fallback| fallback.replicas),
            ..Self::default()
        }
    }

    /// Most pods that both bounds allow, at least 1 and the fewest.
    pub fn most_replicas(&self) -> i32 {
        // 0.3 / 0.1 is a little less than 3.
        const ROUNDING: f64 = 1.0 + 1e-9;
        let affordable = self.max_cost.map_or(f64::MAX, |cost| cost / self.pod_cost * ROUNDING);
        // Rounded down; a float beyond the range of `i32` becomes its end.
        self.max_replicas.min(affordable as i32).max(self.min_replicas).max(1)
    }

    /// # Errors
    /// The first option outside its range.
    pub fn check(&self) -> Result<(), SloOptionsError> {
        whole("min_replicas", self.min_replicas, 0, 100_000)?;
        whole("max_replicas", self.max_replicas, self.min_replicas.max(1), 100_000)?;
        real("target_age_s", self.target_age_s, 0.1, 86_400.0)?;
        real("pod_cost", self.pod_cost, 1e-9, 1e9)?;
        if let Some(max_cost) = self.max_cost {
            let least = self.pod_cost * f64::from(self.min_replicas.max(1));
            real("max_cost", max_cost, least, 1e15)?;
        }
        if let Some(drain_s) = self.drain_s {
            real("drain_s", drain_s, 0.1, 86_400.0)?;
        }
        real("pod_rate_per_s", self.pod_rate_per_s, 0.001, 1e9)?;
        real("pod_start_s", self.pod_start_s, 0.0, 3600.0)?;
        real("rebalance_s", self.rebalance_s, 0.0, 3600.0)?;
        real("in_flight_s", self.in_flight_s, 0.0, 600.0)?;
        real("joins_per_s", self.joins_per_s, 0.1, 10_000.0)?;
        real("headroom", self.headroom, 0.5, 0.95)?;
        real("overprovisioning", self.overprovisioning, 1.0, 20.0)?;
        real("hold_s", self.hold_s, 0.0, 86_400.0)?;
        real("cooldown_s", self.cooldown_s, 0.0, 86_400.0)?;
        real("stale_after_s", self.stale_after_s, 0.0, 86_400.0)?;
        if let Some(replicas) = self.fallback_replicas {
            whole("fallback_replicas", replicas, 0, 100_000)?;
        }
        if (100..=60_000).contains(&self.period_ms) {
            return Ok(());
        }
        Err(error("period_ms", &self.period_ms, "100 to 60000"))
    }
}

fn whole(field: &'static str, value: i32, low: i32, high: i32) -> Result<(), SloOptionsError> {
    if (low..=high).contains(&value) {
        return Ok(());
    }
    Err(error(field, &value, &format!("{low} to {high}")))
}

fn real(field: &'static str, value: f64, low: f64, high: f64) -> Result<(), SloOptionsError> {
    if (low..=high).contains(&value) {
        return Ok(());
    }
    Err(error(field, &value, &format!("{low} to {high}")))
}

fn error(field: &'static str, value: &impl ToString, allowed: &str) -> SloOptionsError {
    SloOptionsError { field, value: value.to_string(), allowed: allowed.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_allowed() {
        assert_eq!(SloOptions::default().check(), Ok(()));
    }

    #[test]
    fn a_cost_is_a_bound_on_pods() {
        let options = SloOptions { max_cost: Some(2.5), pod_cost: 0.1, ..SloOptions::default() };
        assert_eq!((options.check(), options.most_replicas()), (Ok(()), 25));
        let rich = SloOptions { max_cost: Some(1e14), ..options.clone() };
        assert_eq!(rich.most_replicas(), 100);
        let poor = SloOptions { max_cost: Some(0.25), min_replicas: 3, ..options };
        let error = poor.check().expect_err("refused").to_string();
        assert!(error.starts_with("max_cost = 0.25: allowed is 0.3"), "{error}");
    }

    #[test]
    fn a_cost_that_pays_for_so_many_pods_to_the_cent_allows_them() {
        for pods in 1..=100 {
            for cents in 1..=30 {
                let options = SloOptions {
                    min_replicas: pods,
                    pod_cost: f64::from(cents) / 100.0,
                    max_cost: Some(f64::from(pods * cents) / 100.0),
                    ..SloOptions::default()
                };
                if options.check().is_ok() {
                    assert_eq!(options.most_replicas(), pods, "{cents} cents");
                }
                let options = SloOptions { min_replicas: 0, ..options };
                assert_eq!((options.check(), options.most_replicas()), (Ok(()), pods));
            }
        }
    }

    #[test]
    fn a_value_out_of_range_is_named_with_its_range() {
        let options = SloOptions { headroom: 1.2, ..SloOptions::default() };
        let error = options.check().expect_err("refused").to_string();
        assert_eq!(error, "headroom = 1.2: allowed is 0.5 to 0.95");
        let options = SloOptions { target_age_s: f64::NAN, ..SloOptions::default() };
        assert!(options.check().is_err());
        let options = SloOptions { min_replicas: 5, max_replicas: 4, ..SloOptions::default() };
        let error = options.check().expect_err("refused").to_string();
        assert_eq!(error, "max_replicas = 4: allowed is 5 to 100000");
    }
}
