//! How to reach a cluster, raw client settings included.
//!
//! Contract: a raw librdkafka setting passes through unless tidegate's promises
//! hang on it; then it is refused with the reason. Pure.

use std::collections::BTreeMap;
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::config::RDKafkaLogLevel;
use serde::{Deserialize, Serialize};

use crate::{Error, SecurityOptions, Tokens, owned};

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
                "a comma separated list of host:port, an IPv6 address in [brackets]; \
                 security_protocol says what is spoken there",
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
            if let Some(reason) = owned::reason(key) {
                // The value may be a secret that was put in the wrong place.
                return Err(Error::option(&format!("librdkafka.{key}"), "...", reason));
            }
        }
        self.check_raw_settings()
    }

    /// What the library says of each, long before a client is made of them.
    fn check_raw_settings(&self) -> Result<(), Error> {
        for (key, value) in &self.librdkafka {
            let mut alone = ClientConfig::new();
            if let Err(error) = alone.set(key, value).create_native_config() {
                let why = Error::client("", &error);
                let why = if let Error::Client { reason, .. } = why { reason } else { continue };
                return Err(Error::option(&format!("librdkafka.{key}"), "...", why));
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

/// Neither a URL nor an IPv6 address whose last group might be the port.
fn looks_like_address(text: &str) -> bool {
    text.rsplit_once(':').is_some_and(|(host, port)| {
        let is_bracketed = host.starts_with('[') && host.ends_with(']');
        !host.is_empty()
            && (is_bracketed || !host.contains([':', '/']))
            && port.parse::<u16>().is_ok_and(|port| port > 0)
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
    fn what_is_refused_says_what_to_use_or_that_there_is_nothing() {
        for (key, expected) in [
            ("client.id", "no option for it: a consumer is named after its pod, by POD_NAME"),
            ("session.timeout.ms", "use session_timeout_ms"),
            ("sasl.oauthbearer.method", "use sasl_token_file or oidc_token_url"),
            ("ssl.key.pem", "a secret: use tls_key"),
        ] {
            let mut options = ConnectionOptions::new("a:1");
            options.librdkafka.insert(key.into(), "x".into());
            let error = options.validate().expect_err("refused").to_string();
            assert!(error.contains(expected), "{error}");
        }
    }

    #[test]
    fn a_secret_in_a_raw_setting_is_refused_and_not_shown() {
        let mut options = ConnectionOptions::new("a:1");
        options.librdkafka.insert("sasl.password".into(), "hunter2".into());
        let error = options.validate().expect_err("refused").to_string();
        assert!(error.contains("variable or file") && !error.contains("hunter2"), "{error}");
    }

    /// The library repeats what it does not take; it may be a password under a wrong key.
    #[test]
    fn a_raw_setting_that_the_library_refuses_is_bad_input_and_its_value_is_not_shown() {
        for (key, value, expected) in [
            ("socket.keepalive.enable", "hunter2", "true or false"),
            ("no.such.key", "hunter2", "No such configuration property"),
            ("sasl.oauthbearer.client.credentials.client.secret", "hunter2", "KAFKA_OIDC_CLIENT_"),
            ("sasl.oauthbearer.assertion.private.key.passphrase", "hunter2", "oidc_token_url"),
            ("https.ca.pem", "hunter2", "not supported in this build"),
        ] {
            let mut options = ConnectionOptions::new("a:1");
            options.librdkafka.insert(key.into(), value.into());
            let error = options.validate().expect_err("refused").to_string();
            assert!(error.starts_with(&format!("librdkafka.{key}")), "{error}");
            assert!(error.contains(expected) && !error.contains("hunter2"), "{error}");
        }
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
        let urls = ["SASL_SSL://a:9092", "http://a:9092", "a:1,SSL://b:2", "a/b:1"];
        let no_addresses = ["", "a", "a:", "a:x", "a:0", "a:1,", ":9092", "::1:9092"];
        for brokers in no_addresses.into_iter().chain(urls) {
            assert!(ConnectionOptions::new(brokers).validate().is_err(), "{brokers}");
        }
        assert!(ConnectionOptions::new("[::1]:9092").validate().is_ok());
    }
}
