//! The consumer group: protocols, and what a rebalance costs with each.

use serde::{Deserialize, Serialize};

use super::Range;

/// The consumer group. What is left out comes from the protocol.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Group {
    /// Its protocol.
    pub protocol: Protocol,
    /// Who gets which partition.
    pub assignor: Assignor,
    /// From a change of the members until the new assignment, seconds.
    pub detect_s: Option<f64>,
    /// A partition that changes its owner rests this long, seconds.
    pub settle_s: Option<Range>,
    /// A member that died is noticed after this, seconds.
    pub session_timeout_s: Option<f64>,
    /// Kafka's committed offsets follow this often, seconds, 0 to 60; 0 is with every
    /// batch. Only who reads the lag sees it: a new owner begins where the old one wrote.
    pub commit_interval_s: f64,
    /// With `cooperative-blind`: what not polling during a write costs.
    pub blind: Option<Blind>,
}

/// The group's protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Protocol {
    /// KIP-848 as tidegate provisions it: heartbeat 300 ms, assignment interval 0.
    #[default]
    Kip848Tuned,
    /// KIP-848 with the broker's defaults: heartbeat 5 s.
    Kip848,
    /// Classic cooperative-sticky, members that poll while they write.
    Cooperative,
    /// Classic cooperative-sticky, members that do not poll while they write: each
    /// generation waits for the slowest, refuses commits, and may lose members that
    /// answer too late, which makes one more generation.
    CooperativeBlind,
    /// Classic eager: every partition rests at every change.
    Eager,
    /// No group: partitions change hands at once and for nothing (emulated consumers).
    None,
}

/// Who gets which partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Assignor {
    /// Even, and as few moves as possible (`uniform` of KIP-848, `cooperative-sticky`).
    #[default]
    Sticky,
    /// Contiguous ranges in the order in which members joined.
    Range,
}

/// Members that do not poll while they write.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Blind {
    /// Chance of each member in each generation to answer too late, 0 to 0.5: it loses
    /// its partitions and joins again.
    pub late_probability: f64,
    /// Chance that a member's next batch after a generation holds one record and takes
    /// its full time, 0 to 1.
    pub short_batch_probability: f64,
    /// The broker's and the network's part of a generation, seconds, 0 to 60.
    pub round_s: f64,
    /// Whether members that answered stand still until the generation is complete.
    pub idle_in_round: bool,
}

impl Default for Blind {
    fn default() -> Self {
        Self {
            late_probability: 0.038,
            short_batch_probability: 0.5,
            round_s: 1.0,
            idle_in_round: false,
        }
    }
}

/// Times of a rebalance after the protocol's own were filled in, seconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct GroupTimes {
    /// From a change of the members until the new assignment.
    pub detect_s: f64,
    /// Rest of a partition that changes its owner.
    pub settle_s: Range,
    /// Until a dead member is noticed.
    pub session_timeout_s: f64,
}

impl Protocol {
    /// Measured settle times: KIP-848 with heartbeat 300 ms 0.3 to 0.5 s, with the defaults
    /// 3 to 10 s, cooperative-sticky 0.6 to 2.2 s, eager 1.1 to 2.0 s.
    fn times(self) -> GroupTimes {
        let times = |detect_s, min, max, session_timeout_s| GroupTimes {
            detect_s,
            settle_s: Range { min, max },
            session_timeout_s,
        };
        match self {
            Self::Kip848Tuned => times(0.1, 0.2, 0.4, 6.0),
            Self::Kip848 => times(0.1, 3.0, 10.0, 45.0),
            Self::Cooperative => times(0.1, 0.5, 2.1, 10.0),
            Self::CooperativeBlind => times(0.1, 0.0, 0.0, 10.0),
            Self::Eager => times(0.1, 1.0, 1.9, 10.0),
            Self::None => times(0.0, 0.0, 0.0, 0.0),
        }
    }
}

impl Group {
    /// The times that hold.
    pub fn times(&self) -> GroupTimes {
        let preset = self.protocol.times();
        GroupTimes {
            detect_s: self.detect_s.unwrap_or(preset.detect_s),
            settle_s: self.settle_s.unwrap_or(preset.settle_s),
            session_timeout_s: self.session_timeout_s.unwrap_or(preset.session_timeout_s),
        }
    }

    /// What blindness costs; `None` with members that poll.
    pub fn blindness(&self) -> Option<Blind> {
        (self.protocol == Protocol::CooperativeBlind).then(|| self.blind.unwrap_or_default())
    }
}
