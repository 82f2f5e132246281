//! What can go wrong in the local world: one clear line each.

use std::path::{Path, PathBuf};

/// An error of this crate.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A tool that is needed is not installed.
    #[error("{tool} is not installed: {advice}")]
    MissingTool {
        /// The program.
        tool: &'static str,
        /// What to install.
        advice: &'static str,
    },
    /// Java is older than Kafka needs.
    #[error("java {found} is too old for Kafka: install Java 17 or newer, or put it first on PATH")]
    OldJava {
        /// Its major version.
        found: u32,
    },
    /// Kafka could not be fetched.
    #[error("Kafka could not be downloaded by Maven: {reason}")]
    Download {
        /// Maven's last meaningful line.
        reason: String,
    },
    /// `KAFKA_HOME` holds no Kafka.
    #[error(
        "KAFKA_HOME = {home:?}: no libs/*.jar in it; point it at an unpacked Kafka, or unset it"
    )]
    KafkaHome {
        /// The directory.
        home: PathBuf,
    },
    /// The broker process ended or did not answer.
    #[error("the Kafka broker {what}: {last_line} (log: {})", log.display())]
    Broker {
        /// What happened.
        what: String,
        /// The last meaningful line of its log.
        last_line: String,
        /// Its log file.
        log: PathBuf,
    },
    /// Too little room for data.
    #[error("{}: only {free_mib} MiB free, at least {needed_mib} MiB are needed", directory.display())]
    DiskFull {
        /// Where.
        directory: PathBuf,
        /// Free, MiB.
        free_mib: u64,
        /// Needed, MiB.
        needed_mib: u64,
    },
    /// A file or directory could not be used.
    #[error("{}: {source}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The run directory is in use or not empty.
    #[error("{}: {reason}", path.display())]
    RunDirectory {
        /// Which.
        path: PathBuf,
        /// Why it cannot be used.
        reason: String,
    },
    /// A child process could not be started.
    #[error("{program} cannot be started: {source}")]
    Spawn {
        /// The program.
        program: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A replica schedule cannot be read.
    #[error(
        "{text:?}: expected SECOND:PODS pairs in rising order, for example 0:1,10:6,30:0 ({reason})"
    )]
    Path {
        /// What was given.
        text: String,
        /// Why not.
        reason: String,
    },
    /// The producer ended before the load was over.
    #[error("the producer ended with {status}; its log: {}", log.display())]
    Producer {
        /// Exit status.
        status: String,
        /// Its log file.
        log: PathBuf,
    },
    /// No world is running.
    #[error("no running world found under {}: start one with `tidegate up`", path.display())]
    NoWorld {
        /// Where was looked.
        path: PathBuf,
    },
    /// An option of the SLO law is outside its range.
    #[error("slo law: {0}")]
    Slo(#[from] tidegate_autoscale::law::SloOptionsError),
    /// Kafka's client reported an error.
    #[error(transparent)]
    Kafka(#[from] tidegate_kafka::Error),
}

impl Error {
    pub(crate) fn file(path: &Path) -> impl FnOnce(std::io::Error) -> Self + '_ {
        move |source| Self::File { path: path.to_owned(), source }
    }
}
