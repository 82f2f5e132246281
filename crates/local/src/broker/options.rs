//! What a broker does otherwise than by default: for tests, proxies and clusters of several.

use std::path::PathBuf;

/// What a broker does otherwise than by default.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BrokerOptions {
    /// The port of 127.0.0.1 that clients are sent to, for a proxy in between.
    pub advertised_port: Option<u16>,
    /// Lines of `server.properties` that replace the stock ones.
    pub settings: Vec<(String, String)>,
    /// Flags of the JVM in the place of the stock ones, which are for a fast start.
    pub jvm_flags: Option<Vec<String>>,
    /// Listeners besides the plain one.
    pub listeners: Vec<Listener>,
    /// Further arguments of the storage tool, for example users of SCRAM.
    pub format: Vec<String>,
    /// A directory of classes in front of Kafka's.
    pub classes: Option<PathBuf>,
    /// The cluster that this broker joins; none: it is one of its own.
    pub join: Option<Cluster>,
    /// A program that has `exec-guarded` ([`crate::process::exec_guarded`]) as its own
    /// command, for a caller that has not.
    pub guard: Option<PathBuf>,
}

/// A listener on 127.0.0.1 that names itself `localhost` to clients.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listener {
    /// Upper case, for example `TLS`.
    pub name: &'static str,
    /// `PLAINTEXT`, `SSL`, `SASL_PLAINTEXT` or `SASL_SSL`.
    pub protocol: &'static str,
    /// A free port.
    pub port: u16,
}

/// What a further broker has to know of the first one, and who it is itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cluster {
    /// Sixteen bytes in base64.
    pub id: String,
    /// Port of the first node's controller.
    pub controller_port: u16,
    /// Of the broker that joins, from 2.
    pub node_id: u16,
}
