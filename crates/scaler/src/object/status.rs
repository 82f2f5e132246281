//! What an object answers, and why it has no answer.

use tidegate_kafka::ClusterError;

use crate::kubernetes::HpaFacts;

/// Why an object has no answer.
#[derive(Debug, Clone, PartialEq)]
pub enum Trouble {
    /// Kafka has not been read yet.
    NotRead,
    /// Members are still being counted.
    Settling {
        /// At most for this long, seconds.
        left_s: f64,
    },
    /// Kafka cannot be read.
    Kafka {
        /// Why.
        error: ClusterError,
        /// For how long, seconds.
        for_s: f64,
        /// How many pods were held meanwhile; `None` when it could never be read.
        held: Option<i32>,
    },
    /// The law ended a look before its time: a defect of the scaler's own.
    Law {
        /// Its last words.
        why: String,
    },
}

/// What an object answers now.
#[derive(Debug, Clone, PartialEq)]
pub struct Status {
    /// When, milliseconds; 0 is never.
    pub at_ms: i64,
    /// When Kafka was read successfully, or else when the object came, milliseconds.
    pub facts_ms: i64,
    /// Pods wanted.
    pub wanted: i32,
    /// Whether there should be any.
    pub active: bool,
    /// Records not yet committed (stock: the metric).
    pub lag: i64,
    /// Members of the group; `None` is unknown.
    pub members: Option<i32>,
    /// What the HPA says, where it may be asked.
    pub hpa: Option<HpaFacts>,
    /// Why there is no metric.
    pub trouble: Option<Trouble>,
    /// Why facts are missing, also while the last good answer is given.
    pub error: Option<String>,
    /// Whether `fallbackReplicas` is what is wanted.
    pub is_fallback: bool,
    /// What the stock law would do on the same facts (shadow).
    pub stock_wanted: Option<i32>,
}
