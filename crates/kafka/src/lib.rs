//! The only user of librdkafka: group consumer, producer, lag reader, admin, fencing.
//!
//! Everything that has to do with threads and callbacks of the client library
//! stays in here; other crates see channels, handles and plain types.
//!
//! # Layout
//! - [`Record`], [`Records`], [`TopicPartition`], [`Position`]: what travels (`record`)
//! - [`ConnectionOptions`]: brokers and raw settings, owned keys refused (`connection`, `owned`)
//! - [`SecurityOptions`]: TLS, SASL, tokens, for every client of the process (`security`)
//! - [`GroupConsumer`]: one poll thread, one ordered channel (`group`)
//! - `fetch`: reads the logs, without the library
//! - [`Producer`]: idempotent, deliveries told one by one (`producer`)
//! - [`LagReader`]: committed and end offsets without joining (`lag`)
//! - [`ClusterReader`]: many groups on many topics, one request a broker (`cluster`)
//! - [`Admin`]: topics, start offsets (`admin`)
//! - [`fence`]: ends a dead pod's membership, on the wire
//! - [`cluster()`]: which cluster it is, or why there is no connection to it (`probe`)
//! - `wire`: a connection without the library
//! - [`PodReport`]: what a pod prints about itself (`report`)
#![deny(missing_docs)]

mod admin;
mod batch;
mod chunk;
mod cluster;
mod connection;
mod error;
pub mod fence;
mod fetch;
mod group;
mod lag;
mod log;
mod member_id;
mod owned;
mod probe;
mod producer;
mod record;
mod report;
mod said;
mod security;
mod wire;

pub use admin::{Admin, TopicCreation};
pub use chunk::Records;
pub use cluster::{ClusterError, ClusterReader, GroupMember, GroupTopic};
pub use connection::ConnectionOptions;
pub use error::Error;
pub use fetch::{LogPart, read_log};
pub use group::{
    AssignReply, GroupConsumer, GroupEvent, GroupHandle, GroupOptions, GroupProtocol, GroupStatus,
    RevokeReply,
};
pub use lag::{LagReader, PartitionOffsets};
pub use owned::refused_settings;
pub use probe::{Cluster, cluster};
pub use producer::{Delivery, OutgoingRecord, Producer, ProducerOptions, SendError};
pub use record::{Header, Position, Record, StartPosition, TopicPartition};
pub use report::PodReport;
pub use security::{
    OidcOptions, SaslMechanism, Secret, SecurityOptions, SecurityProtocol, TokenStatus, Tokens,
};
