//! What can go wrong between us and a broker.

use rdkafka::error::{KafkaError, RDKafkaErrorCode};

/// An error of this crate, one line each.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// An option has a value that cannot work.
    #[error("{field} = {value:?}: {allowed}")]
    Option {
        /// Name of the option.
        field: String,
        /// What was given.
        value: String,
        /// What is allowed, or why it is refused.
        allowed: String,
    },
    /// No broker answered.
    #[error("no Kafka broker answers at {brokers}: {reason}")]
    Unreachable {
        /// Bootstrap list that was tried.
        brokers: String,
        /// The client's last words.
        reason: String,
    },
    /// A broker and we do not trust each other: certificate, host name, password,
    /// token, or one side speaks TLS and the other does not. No retry helps.
    #[error("no secured connection to {brokers}: {reason}")]
    Security {
        /// Bootstrap list.
        brokers: String,
        /// What was refused, by whom; never a secret.
        reason: String,
    },
    /// The topic does not exist.
    #[error("topic {topic} does not exist on {brokers}")]
    UnknownTopic {
        /// Topic asked for.
        topic: String,
        /// Bootstrap list.
        brokers: String,
    },
    /// The engine did not answer an assignment in time.
    #[error(
        "no start position for {partitions} partitions within {timeout_ms} ms: is the database reachable?"
    )]
    AssignTimeout {
        /// How many partitions were assigned.
        partitions: usize,
        /// How long was waited.
        timeout_ms: u64,
    },
    /// The client library reported an error; `fatal` ends the client.
    #[error("{action}: {reason}")]
    Client {
        /// What was being done.
        action: &'static str,
        /// The library's text.
        reason: String,
        /// The library's code, for callers that branch.
        code: Option<RDKafkaErrorCode>,
    },
    /// A plain-TCP exchange with the coordinator failed.
    #[error("{action} at {broker}: {reason}")]
    Wire {
        /// What was being done.
        action: &'static str,
        /// Broker address.
        broker: String,
        /// Why it failed.
        reason: String,
    },
    /// The client thread is gone.
    #[error("the client thread has ended")]
    Ended,
}

impl Error {
    /// Whether trying again with the same options cannot help.
    pub fn is_permanent(&self) -> bool {
        matches!(self, Self::Option { .. } | Self::Security { .. })
    }

    /// Whether a record is larger than the client or the topic takes.
    pub fn is_too_large(&self) -> bool {
        matches!(self, Self::Client { code: Some(RDKafkaErrorCode::MessageSizeTooLarge), .. })
    }

    /// Whether the cluster refuses what was asked for, whenever it is asked again.
    pub fn is_refusal(&self) -> bool {
        use RDKafkaErrorCode as Code;
        let Self::Client { code: Some(code), .. } = self else { return self.is_permanent() };
        matches!(
            code,
            Code::TopicAuthorizationFailed
                | Code::ClusterAuthorizationFailed
                | Code::PolicyViolation
                | Code::InvalidTopic
                | Code::InvalidRecord
                | Code::MessageSizeTooLarge
        )
    }

    pub(crate) fn client(action: &'static str, error: &KafkaError) -> Self {
        let reason = match error {
            // It goes on with key and value, which may be a secret.
            KafkaError::ClientConfig(_, why, key, _) => format!("{key}: {why}"),
            other => other.to_string(),
        };
        Self::Client { action, reason, code: error.rdkafka_error_code() }
    }

    #[allow(clippy::needless_pass_by_value)] // numbers and text alike, at the call site
    pub(crate) fn option(
        field: &str,
        value: impl std::fmt::Display,
        allowed: impl Into<String>,
    ) -> Self {
        Self::Option { field: field.into(), value: value.to_string(), allowed: allowed.into() }
    }
}
