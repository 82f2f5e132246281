//! What can go wrong while making load or auditing it.

use std::path::{Path, PathBuf};

/// An error of this crate, one line each.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A profile cannot be read.
    #[error(transparent)]
    Profile(#[from] tidegate_profile::ProfileError),
    /// A file could not be used.
    #[error("{}: {source}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The ledger's directory is in use, or is no ledger.
    #[error("ledger {}: {reason}", path.display())]
    Ledger {
        /// Which.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// The database cannot be audited.
    #[error("database {name}: {reason}")]
    Database {
        /// Which: its URL without a password.
        name: String,
        /// Why.
        reason: String,
    },
    /// Kafka's client reported an error.
    #[error(transparent)]
    Kafka(#[from] tidegate_kafka::Error),
}

impl Error {
    pub(crate) fn file(path: &Path) -> impl FnOnce(std::io::Error) -> Self + '_ {
        move |source| Self::File { path: path.to_owned(), source }
    }
}
