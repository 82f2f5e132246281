//! What can keep a scaler from working at all.

use std::path::PathBuf;

/// An error of this crate, one line each.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// An option has a value that cannot work.
    #[error("{field} = {value:?}: {allowed}")]
    Option {
        /// Name of the option.
        field: &'static str,
        /// What was given.
        value: String,
        /// What is allowed.
        allowed: String,
    },
    /// A file cannot be used.
    #[error("{}: {reason}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// An address cannot be listened on.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// Address.
        address: String,
        /// Why.
        source: std::io::Error,
    },
    /// A thread cannot be started.
    #[error("cannot start a thread: {0}")]
    Thread(std::io::Error),
    /// The gRPC server ended.
    #[error("the gRPC server ended: {0}")]
    Serve(String),
    /// Kafka's client refuses its options.
    #[error(transparent)]
    Kafka(#[from] tidegate_kafka::Error),
    /// The Kubernetes API cannot be used.
    #[error("Kubernetes API: {0}")]
    Kubernetes(String),
}

impl Error {
    pub(crate) fn file(path: impl Into<PathBuf>, reason: &impl ToString) -> Self {
        Self::File { path: path.into(), reason: reason.to_string() }
    }
}
