//! What a ScaledObject says about itself: `scalerMetadata`, read and checked.
//!
//! Pure. Unknown keys are refused, since a misspelt promise is a broken one. KEDA
//! passes on all metadata of the trigger, so its own connection keys are among them.

use std::collections::{BTreeMap, HashMap};
use std::fmt;

use crate::law::SloOptions;

/// A key, its range and what it means; the reference of `docs/scaler.md`.
pub const KEYS: &[(&str, &str, &str)] = &[
    ("consumerGroup", "text", "the group whose pods are scaled"),
    ("topic", "text", "the topic it reads"),
    ("bootstrapServers", "one of the scaler's clusters", "default: its first"),
    ("law", "slo, stock", "default: slo"),
    ("minReplicas", "0 to 100000", "slo: as minReplicaCount; default 0"),
    ("maxReplicas", "1 to 100000", "slo: as maxReplicaCount; default 100"),
    (
        "targetAgeSeconds",
        "0.1 to 86400",
        "slo: 99 % of the records are stored before this age; default 30",
    ),
    ("maxCost", "podCost to 1e15", "slo: most that all pods may cost; default: no such bound"),
    ("podCost", "1e-9 to 1e9", "slo: what a pod costs, in the same unit; default 1"),
    ("joinsPerSecond", "0.1 to 10000", "slo: pods that may join the group a second; default 20"),
    (
        "drainSeconds",
        "0.1 to 86400",
        "slo: a backlog is gone this long after its pods are ready; default: what the promise leaves",
    ),
    ("podRatePerSecond", "0.001 to 1e9", "slo: first guess of what a busy pod does; default 100"),
    (
        "podStartSeconds",
        "0 to 3600",
        "slo: first guess, from the decision to a pod that reads; default 30",
    ),
    (
        "rebalanceSeconds",
        "0 to 3600",
        "slo: how long a rebalance holds up what it moves; default 2",
    ),
    (
        "inFlightSeconds",
        "0 to 600",
        "slo: how long a record takes in a pod that keeps up; default 1",
    ),
    ("headroom", "0.5 to 0.95", "slo: share of a pod that steady load may use; default 0.85"),
    (
        "overprovisioning",
        "1 to 20",
        "slo: so many times the present load the pods that run can take, without one more; default 1",
    ),
    (
        "holdSeconds",
        "0 to 86400",
        "slo: fewer pods only when fewer would have done for this long; default 60",
    ),
    (
        "cooldownSeconds",
        "0 to 86400",
        "slo: to zero after this time with nothing to do; default 300",
    ),
    (
        "staleAfterSeconds",
        "0 to 86400",
        "while Kafka cannot be read the count is held this long; default 60",
    ),
    (
        "fallbackReplicas",
        "0 to 100000",
        "and then is at least this; default: an error, so that KEDA's fallback counts",
    ),
    (
        "hpaTolerance",
        "0 to 0.5",
        "slo: tolerance of the HPA: 0 as the recommended behavior sets it, 0.1 where it cannot be set; default 0",
    ),
    (
        "podMetricsPort",
        "1 to 65535",
        "slo: port of the pods' /metrics, asked whether the sink is the limit; default: not asked",
    ),
    ("lagThreshold", "1 to 1e15", "stock: records a pod; default 10"),
    ("activationLagThreshold", "0 to 1e15", "stock: active above this many records; default 0"),
];

/// Keys of the trigger that are KEDA's own.
const KEDA_KEYS: &[&str] = &[
    "scalerAddress",
    "enableTLS",
    "unsafeSsl",
    "caCert",
    "tlsCertFile",
    "tlsClientCert",
    "tlsClientKey",
];

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
                LawSettings::Slo(Box::new(reader.slo(name, stale_after_s, fallback_replicas)?))
            }
            Some("stock") => LawSettings::Stock {
                lag_threshold: reader.count("lagThreshold", 1)?.unwrap_or(10),
                activation_lag_threshold: reader.count("activationLagThreshold", 0)?.unwrap_or(0),
            },
            Some(other) => return Err(reader.wrong("law", other, "slo, stock")),
        };
        Ok(Self {
            bootstrap_servers: reader.text("bootstrapServers").map(str::to_owned),
            group: reader.required("consumerGroup", "the group whose pods are scaled")?,
            topic: reader.required("topic", "the topic that the group reads")?,
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

struct Reader<'a> {
    given: BTreeMap<&'a str, &'a str>,
}

impl Reader<'_> {
    fn text(&self, key: &str) -> Option<&str> {
        self.given.get(key).copied().filter(|value| !value.is_empty())
    }

    fn required(&self, key: &str, what: &str) -> Result<String, BadMetadata> {
        self.text(key).map(str::to_owned).ok_or_else(|| BadMetadata {
            key: key.to_owned(),
            value: None,
            allowed: what.to_owned(),
        })
    }

    fn wrong(&self, key: &str, value: &str, allowed: &str) -> BadMetadata {
        BadMetadata { key: key.into(), value: Some(value.into()), allowed: allowed.into() }
    }

    /// Keys of the other law would be ignored: say so.
    fn only_of(&self, law: &str, keys: &[&str]) -> Result<(), BadMetadata> {
        match keys.iter().find_map(|key| Some((key, self.text(key)?))) {
            Some((key, value)) => {
                Err(self.wrong(key, value, &format!("only together with law: {law}")))
            }
            None => Ok(()),
        }
    }

    fn real(&self, key: &str, low: f64, high: f64) -> Result<Option<f64>, BadMetadata> {
        let Some(value) = self.text(key) else { return Ok(None) };
        match value.parse::<f64>() {
            Ok(number) if (low..=high).contains(&number) => Ok(Some(number)),
            _ => Err(self.wrong(key, value, &format!("{low} to {high}"))),
        }
    }

    fn whole(&self, key: &str, low: i32, high: i32) -> Result<Option<i32>, BadMetadata> {
        let Some(value) = self.text(key) else { return Ok(None) };
        match value.parse::<i32>() {
            Ok(number) if (low..=high).contains(&number) => Ok(Some(number)),
            _ => Err(self.wrong(key, value, &format!("a whole number from {low} to {high}"))),
        }
    }

    fn count(&self, key: &str, low: i64) -> Result<Option<i64>, BadMetadata> {
        const HIGH: i64 = 1_000_000_000_000_000;
        let Some(value) = self.text(key) else { return Ok(None) };
        match value.parse::<i64>() {
            Ok(number) if (low..=HIGH).contains(&number) => Ok(Some(number)),
            _ => Err(self.wrong(key, value, &format!("a whole number from {low} to {HIGH}"))),
        }
    }

    fn slo(
        &self,
        name: &str,
        stale_after_s: f64,
        fallback_replicas: Option<i32>,
    ) -> Result<SloOptions, BadMetadata> {
        let default = SloOptions::default();
        let min_replicas = self.whole("minReplicas", 0, 100_000)?.unwrap_or(default.min_replicas);
        let max_replicas = self
            .whole("maxReplicas", min_replicas.max(1), 100_000)?
            .unwrap_or(default.max_replicas);
        let real = |key: &str, low: f64, high: f64, default: f64| {
            self.real(key, low, high).map(|given| given.unwrap_or(default))
        };
        let options = SloOptions {
            name: format!("keda-hpa-{name}"),
            reference: format!("ScaledObject/{name}"),
            min_replicas,
            max_replicas: max_replicas.max(min_replicas),
            target_age_s: real("targetAgeSeconds", 0.1, 86_400.0, default.target_age_s)?,
            max_cost: self.real("maxCost", 0.0, 1e15)?,
            pod_cost: real("podCost", 1e-9, 1e9, default.pod_cost)?,
            joins_per_s: real("joinsPerSecond", 0.1, 10_000.0, default.joins_per_s)?,
            drain_s: self.real("drainSeconds", 0.1, 86_400.0)?,
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
        options.check().map_err(|error| self.wrong(error.field, &error.value, &error.allowed))?;
        Ok(options)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pairs: &[(&str, &str)]) -> Result<Settings, String> {
        let mut given: HashMap<String, String> = HashMap::from([
            ("scalerAddress".into(), "tidegate-scaler:6000".into()),
            ("consumerGroup".into(), "g".into()),
            ("topic".into(), "t".into()),
        ]);
        given.extend(pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())));
        Settings::read("so", &given).map_err(|error| error.to_string())
    }

    fn error(pairs: &[(&str, &str)]) -> String {
        read(pairs).expect_err("refused")
    }

    #[test]
    fn the_least_metadata_is_group_and_topic() {
        let settings = read(&[]).expect("allowed");
        assert_eq!((settings.group.as_str(), settings.topic.as_str()), ("g", "t"));
        let LawSettings::Slo(options) = settings.law else { panic!("slo is the default") };
        assert_eq!(options.target_age_s, 30.0);
        let missing = Settings::read("so", &HashMap::new()).expect_err("refused").to_string();
        assert_eq!(missing, "metadata.consumerGroup is missing: the group whose pods are scaled");
    }

    #[test]
    fn every_key_is_read() {
        let settings = read(&[
            ("targetAgeSeconds", "7.5"),
            ("maxReplicas", "40"),
            ("minReplicas", "2"),
            ("drainSeconds", "9"),
            ("podRatePerSecond", "250"),
            ("podStartSeconds", "60"),
            ("rebalanceSeconds", "3"),
            ("inFlightSeconds", "2"),
            ("headroom", "0.7"),
            ("overprovisioning", "2.5"),
            ("holdSeconds", "90"),
            ("cooldownSeconds", "120"),
            ("staleAfterSeconds", "45"),
            ("fallbackReplicas", "6"),
            ("hpaTolerance", "0.1"),
            ("law", "slo"),
            ("maxCost", "12.5"),
            ("podCost", "0.25"),
            ("joinsPerSecond", "4"),
            ("bootstrapServers", "b:9092"),
            ("podMetricsPort", "8000"),
        ])
        .expect("allowed");
        let LawSettings::Slo(options) = settings.law else { panic!("slo") };
        let expected = SloOptions {
            name: "keda-hpa-so".into(),
            reference: "ScaledObject/so".into(),
            target_age_s: 7.5,
            max_replicas: 40,
            min_replicas: 2,
            drain_s: Some(9.0),
            pod_rate_per_s: 250.0,
            pod_start_s: 60.0,
            rebalance_s: 3.0,
            in_flight_s: 2.0,
            headroom: 0.7,
            overprovisioning: 2.5,
            hold_s: 90.0,
            cooldown_s: 120.0,
            max_cost: Some(12.5),
            pod_cost: 0.25,
            joins_per_s: 4.0,
            stale_after_s: 45.0,
            fallback_replicas: Some(6),
            ..SloOptions::default()
        };
        assert_eq!(*options, expected);
        assert_eq!((settings.hpa_tolerance, settings.stale_after_s), (0.1, 45.0));
        assert_eq!(settings.bootstrap_servers.as_deref(), Some("b:9092"));
        assert_eq!(settings.pod_metrics_port, Some(8000));
        let stock =
            read(&[("law", "stock"), ("lagThreshold", "500"), ("activationLagThreshold", "3")]);
        let stock = stock.expect("allowed").law;
        assert_eq!(stock, LawSettings::Stock { lag_threshold: 500, activation_lag_threshold: 3 });
    }

    #[test]
    fn a_mistake_is_one_line_with_key_value_and_range() {
        assert_eq!(
            error(&[("targetAgeSeconds", "soon")]),
            "metadata.targetAgeSeconds = \"soon\": allowed is 0.1 to 86400"
        );
        assert_eq!(
            error(&[("minReplicas", "5"), ("maxReplicas", "4")]),
            "metadata.maxReplicas = \"4\": allowed is a whole number from 5 to 100000"
        );
        assert!(error(&[("headroom", "nan")]).contains("0.5 to 0.95"));
        assert!(error(&[("overprovisioning", "0.9")]).contains("1 to 20"));
        assert!(error(&[("law", "pid")]).ends_with("allowed is slo, stock"));
        assert!(error(&[("lagThreshold", "10")]).ends_with("only together with law: stock"));
        let unknown = error(&[("targetAgeSecond", "3")]);
        assert!(unknown.contains("targetAgeSecond (unknown key)"), "{unknown}");
        assert!(unknown.contains("targetAgeSeconds"), "the right one is offered: {unknown}");
    }
}
