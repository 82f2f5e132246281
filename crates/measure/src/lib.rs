//! Measures what the simulator has to know of a consumer pod, on a real Kafka: batch
//! service curve, highest rate, ramp-up, start, rebalance.
//!
//! Contract: a broker is found or started, topics of its own are filled, pods are the same
//! processes that `tidegate up` starts; no pod is left when [`Measuring::run`] returns or its
//! future is dropped, and no broker or topic when [`Measuring`] is dropped. Bounded in time by the windows.
//!
//! Threads: the caller's current-thread runtime; a pod is a child process.
//!
//! Rejected: to measure a topic in use (its pods would have to give up their partitions),
//! and to derive a batch's time from throughput (it hides what waits for records).
//!
//! # Layout
//! - [`fit`]: the service curve, fixed + per record (pure)
//! - [`flow`]: when all partitions flow again after a join (pure); `watch`: what it looks at
//! - [`samples`]: reports of a pod as rates and times (pure)
//! - `bench`: broker, topics, pods
//! - `steps`: what is measured, one after the other
//! - [`scenario`]: the result as a scenario
#![deny(missing_docs)]

mod bench;
pub mod fit;
pub mod flow;
pub mod samples;
pub mod scenario;
mod steps;
mod watch;

pub use bench::{Measuring, Options};
pub use steps::Measured;

/// Why nothing was measured.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Broker, directory or process.
    #[error(transparent)]
    Local(#[from] tidegate_local::Error),
    /// The cluster.
    #[error(transparent)]
    Kafka(#[from] tidegate_kafka::Error),
    /// Records could not be sent.
    #[error(transparent)]
    Load(#[from] tidegate_load::Error),
    /// A pod ended before it was ever ready: it would do so again.
    #[error("{pod} ended by itself: {said}; its log is in {log}")]
    Ended {
        /// Name of the pod.
        pod: String,
        /// The last lines of its log.
        said: String,
        /// Directory of the pods' logs.
        log: String,
    },
    /// A pod did not do what it has to within its time.
    #[error("{what} not within {limit_s} s; its log is in {log}")]
    Late {
        /// What was waited for.
        what: String,
        /// For how long.
        limit_s: u64,
        /// Directory of the pods' logs.
        log: String,
    },
}
