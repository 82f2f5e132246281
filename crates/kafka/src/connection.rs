//! How to reach a cluster, and which client settings are ours alone.
//!
//! Contract: a raw librdkafka setting passes through unless tidegate's promises
//! hang on it; then it is refused with the reason. Pure.

use std::collections::BTreeMap;
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::config::RDKafkaLogLevel;
use serde::{Deserialize, Serialize};

use crate::{Error, SecurityOptions, Tokens};

const READS_ITSELF: &str = "without effect: librdkafka joins the group, tidegate reads the log";

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
    ("fetch.min.bytes", "use the fetch_min_bytes option"),
    ("fetch.wait.max.ms", "use the fetch_wait_max_ms option"),
    ("fetch.max.bytes", READS_ITSELF),
    ("fetch.message.max.bytes", READS_ITSELF),
    ("max.partition.fetch.bytes", READS_ITSELF),
    ("fetch.error.backoff.ms", READS_ITSELF),
    ("fetch.queue.backoff.ms", READS_ITSELF),
    ("queued.min.messages", READS_ITSELF),
    ("queued.max.messages.kbytes", READS_ITSELF),
    ("check.crcs", "checksums are always checked"),
    ("enable.partition.eof", "not needed, and it would look like a record"),
    ("client.rack", "use the client_rack option"),
    ("reconnect.backoff.ms", "use the reconnect_backoff_ms option"),
    ("reconnect.backoff.max.ms", "use the reconnect_backoff_max_ms option"),
    ("security.protocol", "use the security_protocol option"),
    ("sasl.mechanism", "use the sasl_mechanism option"),
    ("sasl.mechanisms", "use the sasl_mechanism option"),
    ("sasl.username", "use the sasl_username option"),
    ("sasl.password", "a secret: give it by variable or file"),
    ("sasl.oauthbearer.method", "use the sasl_token or the oidc options"),
    ("sasl.oauthbearer.client.id", "use the oidc options"),
    ("sasl.oauthbearer.client.secret", "a secret: give it by variable or file"),
    ("sasl.oauthbearer.token.endpoint.url", "use the oidc options"),
    ("enable.sasl.oauthbearer.unsecure.jwt", "unsigned tokens are for a broker's own tests"),
    ("ssl.ca.location", "use the tls_ca option"),
    ("ssl.ca.pem", "use the tls_ca option"),
    ("ssl.certificate.location", "use the tls_certificate option"),
    ("ssl.certificate.pem", "use the tls_certificate option"),
    ("ssl.key.location", "use the tls_key option"),
    ("ssl.key.pem", "a secret: use the tls_key option"),
    ("ssl.key.password", "a secret: give it by variable or file"),
    ("ssl.keystore.password", "a secret: use the tls_key option"),
    ("enable.ssl.certificate.verification", "always on: an unverified broker can be anybody"),
    ("ssl.endpoint.identification.algorithm", "always https: a certificate must be the host's"),
];

/// How to reach a cluster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ConnectionOptions {
    /// `host:port` list, comma separated.
    pub brokers: String,
    /// Shown in the brokers' logs and metrics.
    pub client_id: String,
    /// TLS, SASL and tokens.
    pub security: SecurityOptions,
    /// A process that starts waits for a random part of this before it connects,
    /// ms: pods that start together spread their connections. 0 to 600,000.
    pub start_jitter_ms: u64,
    /// First wait before a lost connection is made again, ms, 1 to 60,000. Doubles
    /// up to the maximum; jittered by the client, -25 % to +50 %.
    pub reconnect_backoff_ms: u64,
    /// Longest wait, ms, `reconnect_backoff_ms` to 600,000.
    pub reconnect_backoff_max_ms: u64,
    /// Raw librdkafka settings; owned keys are refused.
    pub librdkafka: BTreeMap<String, String>,
}

impl Default for ConnectionOptions {
    fn default() -> Self {
        Self {
            brokers: "127.0.0.1:9092".into(),
            client_id: "tidegate".into(),
            security: SecurityOptions::default(),
            start_jitter_ms: 0,
            reconnect_backoff_ms: 50,
            reconnect_backoff_max_ms: 2_000,
            librdkafka: BTreeMap::new(),
        }
    }
}

impl ConnectionOptions {
    /// Options for a broker list, everything else by default.
    pub fn new(brokers: impl Into<String>) -> Self {
        Self { brokers: brokers.into(), ..Self::default() }
    }

    /// The same for another cluster, with tokens of its own: they may depend on the brokers.
    #[must_use]
    pub fn for_cluster(&self, brokers: impl Into<String>) -> Self {
        let security = SecurityOptions { tokens: Tokens::default(), ..self.security.clone() };
        Self { brokers: brokers.into(), security, ..self.clone() }
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
        let ranges = [
            ("start_jitter_ms", self.start_jitter_ms, 0, 600_000),
            ("reconnect_backoff_ms", self.reconnect_backoff_ms, 1, 60_000),
            (
                "reconnect_backoff_max_ms",
                self.reconnect_backoff_max_ms,
                self.reconnect_backoff_ms,
                600_000,
            ),
        ];
        for (field, value, low, high) in ranges {
            if value < low || value > high {
                return Err(Error::option(field, value, format!("{low} to {high}")));
            }
        }
        self.security.validate()?;
        for key in self.librdkafka.keys() {
            if let Some((_, reason)) = OWNED.iter().find(|(owned, _)| owned == key) {
                // The value may be a secret that was put in the wrong place.
                return Err(Error::option(&format!("librdkafka.{key}"), "...", *reason));
            }
        }
        Ok(())
    }

    /// How long this process should wait before its first connection: a random
    /// part of `start_jitter_ms`.
    pub fn start_delay(&self) -> Duration {
        Duration::from_millis(fastrand::u64(0..=self.start_jitter_ms))
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
            .set("reconnect.backoff.ms", self.reconnect_backoff_ms.to_string())
            .set("reconnect.backoff.max.ms", self.reconnect_backoff_max_ms.to_string());
        self.security.apply(&mut config)?;
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
    fn a_secret_in_a_raw_setting_is_refused_and_not_shown() {
        let mut options = ConnectionOptions::new("a:1");
        options.librdkafka.insert("sasl.password".into(), "hunter2".into());
        let error = options.validate().expect_err("refused").to_string();
        assert!(error.contains("variable or file") && !error.contains("hunter2"), "{error}");
    }

    #[test]
    fn starts_are_spread_over_the_jitter() {
        let mut options = ConnectionOptions::new("a:1");
        assert_eq!(options.start_delay(), Duration::ZERO);
        options.start_jitter_ms = 1_000;
        let delays: Vec<Duration> = (0..100).map(|_| options.start_delay()).collect();
        assert!(delays.iter().all(|delay| *delay <= Duration::from_secs(1)));
        assert!(delays.iter().max() > delays.iter().min(), "{delays:?}");
    }

    #[test]
    fn a_broker_needs_a_port() {
        for brokers in ["", "a", "a:", "a:x", "a:0", "a:1,", ":9092"] {
            assert!(ConnectionOptions::new(brokers).validate().is_err(), "{brokers}");
        }
        assert!(ConnectionOptions::new("[::1]:9092").validate().is_ok());
    }
}
