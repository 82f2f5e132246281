//! Apache Kafka on this machine: found, or fetched once, and run for one world.
//!
//! Contract: an external cluster is only used, never started or stopped. Else
//! `KAFKA_HOME`, else a cache under the user's cache directory that Maven fills
//! once (`provision`); then a KRaft node on free ports of 127.0.0.1, its
//! data in the run directory (`run`). Blocking: called before the loop starts.

mod java;
mod options;
mod properties;
mod provision;
mod run;

pub use options::{BrokerOptions, Cluster, Listener};
pub use provision::{Distribution, KAFKA_VERSION};
pub use run::Broker;
