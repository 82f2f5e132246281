//! KEDA's `ScaledObject`, as far as it decides replicas.
//!
//! Contract: real manifests are read; unknown fields are refused, since a
//! misspelt window is a production incident. Each error is one line: source,
//! field path, value, what is allowed. Fields that belong to other controllers
//! (`authenticationRef`, connection settings of the trigger) are accepted.

mod manifest;
mod read;
#[cfg(test)]
mod tests;

use crate::hpa::{Behavior, Bounds, Tolerance};
use crate::keda::Fallback;
use crate::lag::LagOptions;

/// A manifest that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{source_name}: {reason}")]
pub struct ScaledObjectError {
    /// Where it was read from.
    pub source_name: String,
    /// Field path, value and what is allowed.
    pub reason: String,
}

/// A checked ScaledObject.
#[derive(Debug, Clone, PartialEq)]
pub struct ScaledObject {
    pub(crate) name: String,
    pub(crate) target_kind: String,
    pub(crate) target_name: String,
    pub(crate) polling_interval_ms: i64,
    pub(crate) cooldown_ms: i64,
    pub(crate) initial_cooldown_ms: i64,
    pub(crate) min_replica_count: i32,
    pub(crate) max_replica_count: i32,
    pub(crate) idle_replica_count: Option<i32>,
    pub(crate) fallback: Option<Fallback>,
    pub(crate) behavior: Option<Behavior>,
    pub(crate) trigger: Trigger,
    pub(crate) annotations: Annotations,
}

/// The Kafka trigger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Trigger {
    pub(crate) topic: Option<String>,
    pub(crate) group: String,
    pub(crate) use_cached_metrics: bool,
    pub(crate) is_value_target: bool,
    pub(crate) lag: LagOptions,
}

/// Annotations that KEDA obeys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Annotations {
    pub(crate) paused: bool,
    /// Set once, then paused.
    pub(crate) paused_replicas: Option<i32>,
    pub(crate) pause_scale_in: bool,
    pub(crate) pause_scale_out: bool,
    pub(crate) force_activation: bool,
}

impl ScaledObject {
    /// Reads the first ScaledObject of a YAML text with one or more documents.
    ///
    /// # Errors
    /// [`ScaledObjectError`], one line.
    pub fn from_yaml(text: &str, source_name: &str) -> Result<Self, ScaledObjectError> {
        read::scaled_object(text)
            .map_err(|reason| ScaledObjectError { source_name: source_name.to_owned(), reason })
    }

    /// One of which only this much is known: KEDA's Kafka trigger, everything else as KEDA
    /// and the HPA have it where nothing is said.
    pub fn of_group(name: &str, group: &str, topic: &str, min: i32, max: i32) -> Self {
        Self {
            name: name.to_owned(),
            target_kind: "Deployment".into(),
            target_name: name.to_owned(),
            polling_interval_ms: read::POLLING_INTERVAL_S * 1000,
            cooldown_ms: read::COOLDOWN_S * 1000,
            initial_cooldown_ms: 0,
            min_replica_count: min,
            max_replica_count: max,
            idle_replica_count: None,
            fallback: None,
            behavior: None,
            trigger: Trigger {
                topic: Some(topic.to_owned()),
                group: group.to_owned(),
                use_cached_metrics: false,
                is_value_target: false,
                lag: LagOptions::default(),
            },
            annotations: Annotations::default(),
        }
    }

    /// Name of the object.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// `minReplicaCount`: pods that stay when there is nothing to do.
    pub fn min_replicas(&self) -> i32 {
        self.min_replica_count
    }

    /// `maxReplicaCount`.
    pub fn max_replicas(&self) -> i32 {
        self.max_replica_count
    }

    /// Topic of the trigger, where it names one.
    pub fn topic(&self) -> Option<&str> {
        self.trigger.topic.as_deref()
    }

    /// Consumer group of the trigger.
    pub fn group(&self) -> &str {
        &self.trigger.group
    }

    /// `pollingInterval`, milliseconds.
    pub fn polling_interval_ms(&self) -> i64 {
        self.polling_interval_ms
    }

    /// Whether the metric follows from the sum of the lags, the number of partitions, and
    /// how many of them have a lag, as long as all have committed.
    pub fn metric_is_of_sums(&self) -> bool {
        let lag = &self.trigger.lag;
        !lag.exclude_persistent_lag && lag.partition_limitation.is_none()
    }

    /// Records a replica.
    pub fn lag_threshold(&self) -> i64 {
        self.trigger.lag.lag_threshold
    }

    /// Replaces the records a replica.
    ///
    /// # Errors
    /// What is allowed, when it is not.
    pub fn set_lag_threshold(&mut self, records: u64) -> Result<(), String> {
        match i64::try_from(records) {
            Ok(records) if records > 0 => {
                self.trigger.lag.lag_threshold = records;
                Ok(())
            }
            _ => Err(format!("{records}: allowed is 1 to {}", i64::MAX)),
        }
    }

    /// Bounds of the HPA that KEDA creates: at least one.
    pub fn hpa_bounds(&self) -> Bounds {
        Bounds { min: self.min_replica_count.max(1), max: self.max_replica_count }
    }

    /// Tolerances of the HPA.
    pub fn tolerance(&self) -> Tolerance {
        let default = Tolerance::default();
        let rules = self.behavior.as_ref();
        Tolerance {
            up: rules.and_then(|rules| rules.scale_up.tolerance).unwrap_or(default.up),
            down: rules.and_then(|rules| rules.scale_down.tolerance).unwrap_or(default.down),
        }
    }
}
