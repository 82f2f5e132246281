//! What happened to pods, one JSON object a line in `events.jsonl`.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::{Error, clock};

/// Something that happened to a pod.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// When, Unix milliseconds.
    pub t_ms: i64,
    /// `started`, `ready`, `assigned`, `draining`, `exited`, `fenced`, `fence_failed`, `scaled`.
    pub event: String,
    /// Pod, or the workload for `scaled`.
    pub subject: String,
    /// Process id, where one is new.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pid: Option<u32>,
    /// Partitions it now owns, or owned when it died.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub partitions: Option<Vec<i32>>,
    /// In words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

impl Event {
    pub(crate) fn pod(event: &str, subject: &str) -> Self {
        Self {
            t_ms: clock::now_ms(),
            event: event.into(),
            subject: subject.into(),
            pid: None,
            partitions: None,
            detail: None,
        }
    }

    pub(crate) fn at(mut self, t_ms: i64) -> Self {
        self.t_ms = t_ms;
        self
    }

    pub(crate) fn pid(mut self, pid: u32) -> Self {
        self.pid = Some(pid);
        self
    }

    pub(crate) fn partitions(mut self, partitions: &[i32]) -> Self {
        self.partitions = Some(partitions.to_vec());
        self
    }

    pub(crate) fn detail(mut self, detail: String) -> Self {
        self.detail = Some(detail);
        self
    }
}

/// Appends JSON lines to a file; a full disk is warned of once.
#[derive(Debug)]
pub struct EventLog {
    path: PathBuf,
    file: BufWriter<File>,
    failed: bool,
}

impl EventLog {
    /// A new file.
    ///
    /// # Errors
    /// [`Error::File`].
    pub fn create(path: &Path) -> Result<Self, Error> {
        let file = File::create(path).map_err(Error::file(path))?;
        Ok(Self { path: path.to_owned(), file: BufWriter::new(file), failed: false })
    }

    /// Appends one object.
    pub fn write<T: Serialize>(&mut self, value: &T) {
        let written = serde_json::to_writer(&mut self.file, value)
            .map_err(std::io::Error::from)
            .and_then(|()| self.file.write_all(b"\n"))
            .and_then(|()| self.file.flush());
        if let Err(error) = written
            && !std::mem::replace(&mut self.failed, true)
        {
            tracing::warn!(path = %self.path.display(), %error, "not written");
        }
    }
}
