//! What can go wrong while a cluster is read, in words that an operator can act on.

use kafka_protocol::ResponseError;

/// Why a group's progress on a topic could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ClusterError {
    /// No broker answered, or one that is needed did not.
    #[error("Kafka does not answer at {broker}: {reason}")]
    Unreachable {
        /// Address or bootstrap list.
        broker: String,
        /// The last words.
        reason: String,
    },
    /// A broker and the scaler do not trust each other: certificate, password, token.
    #[error("no secured connection to Kafka at {broker}: {reason}")]
    Untrusted {
        /// Address.
        broker: String,
        /// What was refused, by whom; never a secret.
        reason: String,
    },
    /// The topic does not exist, or may not be seen.
    #[error("topic {topic} does not exist")]
    UnknownTopic {
        /// Topic.
        topic: String,
    },
    /// An ACL is missing.
    #[error("Kafka denies {what}: the scaler needs Describe on the topic and on the group")]
    Denied {
        /// For example `access to topic trade-tx`.
        what: String,
    },
    /// A partition has no leader now.
    #[error("partition {partition} of topic {topic} has no leader")]
    NoLeader {
        /// Topic.
        topic: String,
        /// Partition.
        partition: i32,
    },
    /// A leader or a coordinator is being moved, or is new: soon it is known.
    #[error("{what}: {reason}")]
    Moving {
        /// What was asked about.
        what: String,
        /// The broker's reason.
        reason: String,
    },
    /// Anything else a broker says.
    #[error("{what}: {reason}")]
    Refused {
        /// What was asked about.
        what: String,
        /// The broker's reason.
        reason: String,
    },
    /// The broker is older than what is needed.
    #[error("{broker} is older than Kafka 3.0: it does not know {what}")]
    TooOld {
        /// Address.
        broker: String,
        /// Missing request.
        what: &'static str,
    },
}

impl ClusterError {
    /// Whether it is likely to be over in a moment.
    pub(super) fn is_transient(&self) -> bool {
        matches!(self, Self::Moving { .. } | Self::NoLeader { .. })
    }

    pub(super) fn topic(topic: &str, code: i16) -> Self {
        match ResponseError::try_from_code(code) {
            Some(ResponseError::UnknownTopicOrPartition) => {
                Self::UnknownTopic { topic: topic.to_owned() }
            }
            Some(ResponseError::TopicAuthorizationFailed) => {
                Self::Denied { what: format!("access to topic {topic}") }
            }
            _ => Self::other(format!("topic {topic}"), code),
        }
    }

    pub(super) fn group(group: &str, code: i16) -> Self {
        match ResponseError::try_from_code(code) {
            Some(ResponseError::GroupAuthorizationFailed) => {
                Self::Denied { what: format!("access to group {group}") }
            }
            _ => Self::other(format!("group {group}"), code),
        }
    }

    fn other(what: String, code: i16) -> Self {
        let reason = reason(code);
        match ResponseError::try_from_code(code) {
            Some(
                ResponseError::LeaderNotAvailable
                | ResponseError::NotLeaderOrFollower
                | ResponseError::CoordinatorLoadInProgress
                | ResponseError::CoordinatorNotAvailable
                | ResponseError::NotCoordinator,
            ) => Self::Moving { what, reason },
            _ => Self::Refused { what, reason },
        }
    }
}

fn reason(code: i16) -> String {
    ResponseError::try_from_code(code)
        .map_or_else(|| format!("error code {code}"), |error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_become_sentences() {
        let said = |error: ClusterError| error.to_string();
        assert_eq!(said(ClusterError::topic("t", 3)), "topic t does not exist");
        assert!(said(ClusterError::topic("t", 29)).starts_with("Kafka denies access to topic t"));
        assert!(said(ClusterError::group("g", 30)).starts_with("Kafka denies access to group g"));
        assert!(said(ClusterError::group("g", 14)).starts_with("group g: "));
    }

    #[test]
    fn leaders_and_coordinators_that_move_are_asked_again() {
        for code in [5, 6] {
            assert!(ClusterError::topic("t", code).is_transient(), "{code}");
        }
        for code in [14, 15, 16] {
            assert!(ClusterError::group("g", code).is_transient(), "{code}");
        }
        assert!(!ClusterError::topic("t", 3).is_transient(), "a missing topic stays missing");
        assert!(!ClusterError::group("g", 30).is_transient(), "and so does an ACL");
    }
}
