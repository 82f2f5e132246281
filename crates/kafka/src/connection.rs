//! How to reach a cluster, and which client settings are ours alone.
//!
//! Contract: a raw librdkafka setting passes through unless tidegate's promises
//! hang on it; then it is refused with the reason. Pure.

use std::collections::BTreeMap;

use rdkafka::ClientConfig;
use rdkafka::config::RDKafkaLogLevel;
use serde::{Deserialize, Serialize};

use crate::Error;

/// Settings the promises depend on, and why a user cannot set them.
const OWNED: &[(&str, &str)] = &[
    ("bootstrap.servers", "use the brokers option"),
    ("metadata.broker.list", "use the brokers option"),
    ("client.id", "use the client_id option"),
    ("group.id", "use the group option"),
    ("group.protocol", "use the protocol option"),
    ("group.instance.id", "use the instance_id option"),
    ("group.remote.assignor", "KIP-848 groups use the broker's uniform assignor, which is sticky"),
    (
        "partition.assignment.strategy",
        "always cooperative-sticky: eager assignment stops the world",
    ),
    ("enable.auto.commit", "offsets follow the database and are committed by tidegate"),
    ("enable.auto.offset.store", "offsets follow the database and are committed by tidegate"),
    ("auto.commit.interval.ms", "use the commit_interval_ms option"),
    ("auto.offset.reset", "always earliest: latest would skip unseen records"),
    ("session.timeout.ms", "use the session_timeout_ms option"),
    ("heartbeat.interval.ms", "use the heartbeat_interval_ms option"),
    ("max.poll.interval.ms", "use the max_poll_interval_ms option"),
    ("enable.idempotence", "always on: retries must not duplicate or reorder"),
    ("acks", "always all: an acknowledged record must survive a leader change"),
    ("request.required.acks", "always all: an acknowledged record must survive a leader change"),
    ("isolation.level", "always read_committed"),
    ("enable.partition.eof", "not needed, and it would look like a record"),
];

/// How to reach a cluster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ConnectionOptions {
    /// `host:port` list, comma separated.
    pub brokers: String,
    /// Shown in the brokers' logs and metrics.
    pub client_id: String,
    /// Raw librdkafka settings; owned keys are refused.
    pub librdkafka: BTreeMap<String, String>,
}

impl Default for ConnectionOptions {
    fn default() -> Self {
        Self {
            brokers: "127.0.0.1:9092".into(),
            client_id: "tidegate".into(),
            librdkafka: BTreeMap::new(),
        }
    }
}

impl ConnectionOptions {
    /// Options for a broker list, everything else by default.
    pub fn new(brokers: impl Into<String>) -> Self {
        Self { brokers: brokers.into(), ..Self::default() }
    }

    /// Checks the broker list and refuses owned settings.
    ///
    /// # Errors
    /// [`Error::Option`] naming the field, its value and what is allowed.
    pub fn validate(&self) -> Result<(), Error> {
        if self.brokers.split(',').any(|broker| !looks_like_address(broker.trim())) {
            return Err(Error::option(
                "brokers",
                &self.brokers,
                "a comma separated list of host:port",
            ));
        }
        for key in self.librdkafka.keys() {
            if let Some((_, reason)) = OWNED.iter().find(|(owned, _)| owned == key) {
                return Err(Error::option(
                    &format!("librdkafka.{key}"),
                    &self.librdkafka[key],
                    *reason,
                ));
            }
        }
        Ok(())
    }

    /// What every client of ours is created with. Ours first: the user's raw
    /// settings may change what is not owned.
    pub(crate) fn client_config(&self) -> Result<ClientConfig, Error> {
        self.validate()?;
        let mut config = ClientConfig::new();
        config
            .set("bootstrap.servers", &self.brokers)
            .set("client.id", &self.client_id)
            .set("enable.metrics.push", "false")
            // Bounds how long a synchronous request can hold the poll thread.
            .set("socket.timeout.ms", "10000")
            .set("socket.nagle.disable", "true")
            .set("reconnect.backoff.ms", "50")
            .set("reconnect.backoff.max.ms", "2000");
        for (key, value) in &self.librdkafka {
            config.set(key, value);
        }
        if self.librdkafka.contains_key("debug") {
            config.set_log_level(RDKafkaLogLevel::Debug);
        }
        Ok(config)
    }
}

fn looks_like_address(text: &str) -> bool {
    text.rsplit_once(':').is_some_and(|(host, port)| {
        !host.is_empty() && port.parse::<u16>().is_ok_and(|port| port > 0)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn owned_settings_are_refused_with_the_reason() {
        let mut options = ConnectionOptions::new("a:1,b:2");
        options.librdkafka.insert("socket.keepalive.enable".into(), "true".into());
        assert!(options.validate().is_ok());
        options.librdkafka.insert("auto.offset.reset".into(), "latest".into());
        let error = options.validate().expect_err("refused").to_string();
        assert!(error.contains("auto.offset.reset") && error.contains("skip"), "{error}");
    }

    #[test]
    fn a_broker_needs_a_port() {
        for brokers in ["", "a", "a:", "a:x", "a:0", "a:1,", ":9092"] {
            assert!(ConnectionOptions::new(brokers).validate().is_err(), "{brokers}");
        }
        assert!(ConnectionOptions::new("[::1]:9092").validate().is_ok());
    }
}
