//! Options of a group member, and the client settings they become.
//!
//! KIP-848 and the classic protocol take disjoint settings: a client that is
//! given one of the other's fails at creation. Pure.

use rdkafka::ClientConfig;
use serde::{Deserialize, Serialize};

use crate::{ConnectionOptions, Error};

/// How the group agrees on who reads what.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum GroupProtocol {
    /// KIP-848 where the broker offers it, else classic.
    #[default]
    Auto,
    /// Classic, cooperative-sticky.
    Classic,
    /// KIP-848: the broker assigns.
    Consumer,
}

/// Options of a group member. Times in milliseconds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct GroupOptions {
    /// How to reach the cluster.
    pub connection: ConnectionOptions,
    /// Consumer group.
    pub group: String,
    /// Topic.
    pub topic: String,
    /// Group protocol.
    pub protocol: GroupProtocol,
    /// Classic only: a silent member is declared dead after this.
    pub session_timeout_ms: u64,
    /// Classic only: at most a third of the session timeout.
    pub heartbeat_interval_ms: u64,
    /// A member that has not polled for this long is put out of the group.
    pub max_poll_interval_ms: u64,
    /// A fetch waits for this many bytes, or for one partition's share of an answer where that
    /// is less: a megabyte by the partitions that a broker leads, 128 KiB at least,
    pub fetch_min_bytes: u64,
    /// at most this long.
    pub fetch_wait_max_ms: u64,
    /// Delivered and not yet released records at which fetching waits. What each leader is
    /// answering meanwhile comes on top: a megabyte, or one batch where that is larger, and
    /// in memory as much as it is when it is not compressed.
    pub buffer_high_records: u64,
    /// Committed offsets follow at most this often.
    pub commit_interval_ms: u64,
    /// How long a revoke waits for the engine's answer.
    pub revoke_timeout_ms: u64,
    /// How long an assign waits for the engine's answer.
    pub assign_timeout_ms: u64,
    /// Rack of this client, for reading from a near replica.
    pub client_rack: Option<String>,
    /// Static membership.
    pub instance_id: Option<String>,
}

impl Default for GroupOptions {
    fn default() -> Self {
        Self {
            connection: ConnectionOptions::default(),
            group: "tx-trade-workers".into(),
            topic: "trade-tx".into(),
            protocol: GroupProtocol::Auto,
            session_timeout_ms: 10_000,
            heartbeat_interval_ms: 1_000,
            max_poll_interval_ms: 300_000,
            fetch_min_bytes: 50_000,
            fetch_wait_max_ms: 100,
            buffer_high_records: 100_000,
            commit_interval_ms: 200,
            revoke_timeout_ms: 10_000,
            assign_timeout_ms: 120_000,
            client_rack: None,
            instance_id: None,
        }
    }
}

impl GroupOptions {
    /// Checks ranges and the rules between fields.
    ///
    /// # Errors
    /// [`Error::Option`] naming the field, its value and what is allowed.
    pub fn validate(&self) -> Result<(), Error> {
        self.connection.validate()?;
        for (field, value) in [("group", &self.group), ("topic", &self.topic)] {
            if value.trim().is_empty() {
                return Err(Error::option(field, value, "a name is needed"));
            }
        }
        // The client would read one as a pattern; the positions are those of one topic.
        if self.topic.starts_with('^') || self.topic.contains(',') {
            return Err(Error::option("topic", &self.topic, "one topic, no pattern or list"));
        }
        let rules = [
            ("session_timeout_ms", self.session_timeout_ms, 300, 86_400_000),
            ("heartbeat_interval_ms", self.heartbeat_interval_ms, 100, self.session_timeout_ms / 3),
            (
                "max_poll_interval_ms",
                self.max_poll_interval_ms,
                self.session_timeout_ms,
                86_400_000,
            ),
            ("revoke_timeout_ms", self.revoke_timeout_ms, 0, self.max_poll_interval_ms / 2),
            ("assign_timeout_ms", self.assign_timeout_ms, 100, self.max_poll_interval_ms),
            ("buffer_high_records", self.buffer_high_records, 1, 100_000_000),
            ("commit_interval_ms", self.commit_interval_ms, 1, 3_600_000),
            ("fetch_min_bytes", self.fetch_min_bytes, 1, 100 << 20),
            ("fetch_wait_max_ms", self.fetch_wait_max_ms, 1, 60_000),
        ];
        for (field, value, low, high) in rules {
            if value < low || value > high {
                return Err(Error::option(field, value, format!("{low} to {high}")));
            }
        }
        Ok(())
    }

    /// The client's settings under a protocol that is decided (`Auto` counts as classic).
    pub(crate) fn client_config(&self, protocol: GroupProtocol) -> Result<ClientConfig, Error> {
        self.validate()?;
        let connection = self.connection.client_config()?;
        let mut config = ClientConfig::new();
        config
            .set_log_level(connection.log_level)
            // The client reads nothing (`fetch` does). What it asks for before its
            // partitions are paused shall be little.
            .set("queued.max.messages.kbytes", "64")
            .set("queued.min.messages", "1")
            .set("fetch.message.max.bytes", "1024")
            .set("statistics.interval.ms", "0")
            .set("topic.metadata.refresh.interval.ms", "300000");
        for (key, value) in connection.config_map() {
            config.set(key, value);
        }
        // The map shows secrets as stars.
        self.connection.security.apply(&mut config)?;
        config
            .set("group.id", &self.group)
            .set("enable.auto.commit", "false")
            .set("enable.auto.offset.store", "false")
            .set("auto.offset.reset", "earliest")
            .set("max.poll.interval.ms", self.max_poll_interval_ms.to_string());
        if let Some(rack) = &self.client_rack {
            config.set("client.rack", rack);
        }
        if let Some(id) = &self.instance_id {
            config.set("group.instance.id", id);
        }
        match protocol {
            GroupProtocol::Consumer => {
                config.set("group.protocol", "consumer").set("group.remote.assignor", "uniform");
            }
            GroupProtocol::Classic | GroupProtocol::Auto => {
                config
                    .set("group.protocol", "classic")
                    .set("partition.assignment.strategy", "cooperative-sticky")
                    .set("session.timeout.ms", self.session_timeout_ms.to_string())
                    .set("heartbeat.interval.ms", self.heartbeat_interval_ms.to_string());
            }
        }
        Ok(config)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The heartbeat's range follows from it, and would be 100 to 0.
    #[test]
    fn a_session_timeout_out_of_range_is_named_itself() {
        for session_timeout_ms in [0, 299, 86_400_001] {
            let options = GroupOptions { session_timeout_ms, ..GroupOptions::default() };
            let error = options.validate().expect_err("out of range").to_string();
            assert!(error.starts_with("session_timeout_ms = "), "{error}");
        }
    }
}
