//! What a ScaledObject says about itself: `scalerMetadata`, read and checked.
//!
//! Pure. Unknown keys are refused, since a misspelt promise is a broken one. KEDA
//! passes on all metadata of the trigger, so its own connection keys are among them.
//!
//! # Layout
//! - here: what the keys mean
//! - `keys`: the keys there are, with range and meaning
//! - `reader`: a value of a key, inside its range

mod keys;
mod reader;

use std::collections::{BTreeMap, HashMap};
use std::fmt;

use self::keys::KEDA_KEYS;
use self::reader::Reader;
use crate::law::SloOptions;

pub use self::keys::KEYS;

/// What a ScaledObject asks for.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// Brokers as given; `None` is the scaler's first cluster.
    pub bootstrap_servers: Option<String>,
    /// Consumer group.
    pub group: String,
    /// Topic.
    pub topic: String,
    /// Who decides.
    pub law: LawSettings,
    /// Port of the pods' `/metrics`; `None` is not asked.
    pub pod_metrics_port: Option<u16>,
    /// Tolerance of the HPA.
    pub hpa_tolerance: f64,
    /// Facts that cannot be read are waited out for this long.
    pub stale_after_s: f64,
    /// Pods after that; `None` is an error.
    pub fallback_replicas: Option<i32>,
}

/// Which law, with its options.
#[derive(Debug, Clone, PartialEq)]
pub enum LawSettings {
    /// The least pods that keep a promised age.
    Slo(Box<SloOptions>),
    /// KEDA's Kafka trigger: the lag is the metric, the HPA decides.
    Stock {
        /// Records a pod.
        lag_threshold: i64,
        /// Active above this many records.
        activation_lag_threshold: i64,
        /// What the other law is told, which is only asked.
        slo: Box<SloOptions>,
    },
}

/// A key that cannot be used. One line: key, value, what is allowed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct BadMetadata {
    /// Key.
    pub key: String,
    /// What was given; `None` is nothing.
    pub value: Option<String>,
    /// What is allowed.
    pub allowed: String,
}

impl fmt::Display for BadMetadata {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { key, value, allowed } = self;
        match value {
            Some(value) => write!(f, "metadata.{key} = {value:?}: allowed is {allowed}"),
            None => write!(f, "metadata.{key} is missing: {allowed}"),
        }
    }
}

impl Settings {
    /// Reads the metadata of the object `name`.
    ///
    /// # Errors
    /// The first key that cannot be used.
    pub fn read(name: &str, given: &HashMap<String, String>) -> Result<Self, BadMetadata> {
        // Sorted, so that of several mistakes the same one is named each time.
        let given: BTreeMap<&str, &str> =
            given.iter().map(|(key, value)| (key.as_str(), value.trim())).collect();
        let known =
            |key: &str| KEYS.iter().any(|(known, ..)| *known == key) || KEDA_KEYS.contains(&key);
        if let Some((key, value)) = given.iter().find(|(key, _)| !known(key)) {
            let names: Vec<&str> = KEYS.iter().map(|(key, ..)| *key).collect();
            return Err(BadMetadata {
                key: format!("{key} (unknown key)"),
                value: Some((*value).to_owned()),
                allowed: format!("one of the keys {}", names.join(", ")),
            });
        }
        let reader = Reader { given };
        let stale_after_s = reader.real("staleAfterSeconds", 0.0, 86_400.0)?.unwrap_or(60.0);
        let fallback_replicas = reader.whole("fallbackReplicas", 0, 100_000)?;
        let law = match reader.text("law") {
            None | Some("slo") => {
                reader.only_of("stock", &["lagThreshold", "activationLagThreshold"])?;
                let options = slo_options(&reader, name, stale_after_s, fallback_replicas)?;
                let most = options.max_replicas;
                if let Some(more) = fallback_replicas.filter(|fallback| *fallback > most) {
                    let allowed = format!("at most maxReplicas, {most}");
                    return Err(reader.wrong("fallbackReplicas", &more.to_string(), &allowed));
                }
                LawSettings::Slo(Box::new(options))
            }
            Some("stock") => LawSettings::Stock {
                lag_threshold: reader.count("lagThreshold", 1)?.unwrap_or(10),
                activation_lag_threshold: reader.count("activationLagThreshold", 0)?.unwrap_or(0),
                slo: Box::new(slo_options(&reader, name, stale_after_s, fallback_replicas)?),
            },
            Some(other) => return Err(reader.wrong("law", other, "slo, stock")),
        };
        Ok(Self {
            bootstrap_servers: reader.text("bootstrapServers").map(str::to_owned),
            group: reader.required("consumerGroup", "the group whose pods are scaled")?,
            topic: reader.topic("topic", "the topic that the group reads")?,
            law,
            pod_metrics_port: reader
                .whole("podMetricsPort", 1, 65_535)?
                .and_then(|port| u16::try_from(port).ok()),
            hpa_tolerance: reader.real("hpaTolerance", 0.0, 0.5)?.unwrap_or(0.0),
            stale_after_s,
            fallback_replicas,
        })
    }
}

/// What the SLO law is told, over its defaults.
fn slo_options(
    reader: &Reader<'_>,
    name: &str,
    stale_after_s: f64,
    fallback_replicas: Option<i32>,
) -> Result<SloOptions, BadMetadata> {
    let default = SloOptions::default();
    let min_replicas = reader.whole("minReplicas", 0, 100_000)?.unwrap_or(default.min_replicas);
    let max_replicas =
        reader.whole("maxReplicas", min_replicas.max(1), 100_000)?.unwrap_or(default.max_replicas);
    let real = |key: &str, low: f64, high: f64, default: f64| {
        reader.real(key, low, high).map(|given| given.unwrap_or(default))
    };
    let options = SloOptions {
        name: format!("keda-hpa-{name}"),
        reference: format!("ScaledObject/{name}"),
        min_replicas,
        max_replicas: max_replicas.max(min_replicas),
        target_age_s: real("targetAgeSeconds", 0.1, 86_400.0, default.target_age_s)?,
        max_cost: reader.real("maxCost", 0.0, 1e15)?,
        pod_cost: real("podCost", 1e-9, 1e9, default.pod_cost)?,
        joins_per_s: real("joinsPerSecond", 0.1, 10_000.0, default.joins_per_s)?,
        drain_s: reader.real("drainSeconds", 0.1, 86_400.0)?,
        pod_rate_per_s: real("podRatePerSecond", 0.001, 1e9, default.pod_rate_per_s)?,
        pod_start_s: real("podStartSeconds", 0.0, 3600.0, default.pod_start_s)?,
        rebalance_s: real("rebalanceSeconds", 0.0, 3600.0, default.rebalance_s)?,
        in_flight_s: real("inFlightSeconds", 0.0, 600.0, default.in_flight_s)?,
        headroom: real("headroom", 0.5, 0.95, default.headroom)?,
        overprovisioning: real("overprovisioning", 1.0, 20.0, default.overprovisioning)?,
        hold_s: real("holdSeconds", 0.0, 86_400.0, default.hold_s)?,
        cooldown_s: real("cooldownSeconds", 0.0, 86_400.0, default.cooldown_s)?,
        stale_after_s,
        fallback_replicas,
        ..default
    };
    options.check().map_err(|error| reader.wrong(error.field, &error.value, &error.allowed))?;
    Ok(options)
}

#[cfg(test)]
mod tests;
