//! `world.json`: the live state of a world, for others to look at and to clean up after.

use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::Error;
use crate::pods::PodView;
use crate::process::Identity;

/// File name in the run directory.
const FILE: &str = "world.json";

/// A process of the world.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessState {
    /// Process id.
    pub pid: u32,
    /// Start time, clock ticks since boot.
    pub start_ticks: u64,
}

impl ProcessState {
    pub(crate) fn of(pid: u32) -> Option<Self> {
        Identity::of(pid).map(|identity| Self { pid, start_ticks: identity.start_ticks })
    }

    /// As an identity that can be verified.
    pub fn identity(self) -> Identity {
        Identity { pid: self.pid, start_ticks: self.start_ticks }
    }
}

/// What `get hpa` shows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HpaState {
    /// Name of the HPA object that KEDA would create.
    pub name: String,
    /// What it scales.
    pub reference: String,
    /// Metric and target.
    pub targets: String,
    /// Lower bound.
    pub min_replicas: i32,
    /// Upper bound.
    pub max_replicas: i32,
    /// Current replicas.
    pub replicas: i32,
}

/// A running world.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WorldState {
    /// `tidegate up` itself.
    pub up: ProcessState,
    /// When it began, Unix milliseconds.
    pub created_at_ms: i64,
    /// When the load began, Unix milliseconds; 0 before.
    pub load_started_at_ms: i64,
    /// Kafka.
    pub bootstrap: String,
    /// Topic.
    pub topic: String,
    /// Consumer group.
    pub group: String,
    /// The broker, when it is ours.
    pub broker: Option<ProcessState>,
    /// The producer, while it runs.
    pub producer: Option<ProcessState>,
    /// The pods.
    pub pods: Vec<PodView>,
    /// The autoscaler; `None` under a schedule.
    pub hpa: Option<HpaState>,
}

impl WorldState {
    /// The state in a run directory.
    ///
    /// # Errors
    /// [`Error::NoWorld`] when there is none or it cannot be read.
    pub fn read(run_dir: &Path) -> Result<Self, Error> {
        fs::read_to_string(run_dir.join(FILE))
            .ok()
            .and_then(|text| serde_json::from_str(&text).ok())
            .ok_or_else(|| Error::NoWorld { path: run_dir.to_owned() })
    }

    /// Replaces the file in one step: a reader never sees half of it.
    pub(super) fn write(&self, run_dir: &Path) -> Result<(), Error> {
        let path = run_dir.join(FILE);
        let fresh = run_dir.join(".world.json");
        let text =
            serde_json::to_vec(self).map_err(std::io::Error::from).map_err(Error::file(&path))?;
        fs::write(&fresh, text).map_err(Error::file(&fresh))?;
        fs::rename(&fresh, &path).map_err(Error::file(&path))
    }

    /// A world that ended properly has nothing to clean up.
    pub(super) fn put_away(run_dir: &Path) {
        let _ = fs::rename(run_dir.join(FILE), run_dir.join("world-ended.json"));
    }

    /// Whether `tidegate up` still runs.
    pub fn is_alive(&self) -> bool {
        self.up.identity().is_alive()
    }

    /// Ids of all child processes that are known to be what they were: those
    /// without a start time (pods) are taken by id and command name.
    pub(super) fn children(&self) -> Vec<Identity> {
        let known = [self.broker, self.producer].into_iter().flatten().map(ProcessState::identity);
        let pods = self.pods.iter().filter_map(|pod| pod.pid).filter_map(Identity::of);
        known.chain(pods.filter(|identity| is_ours(identity.pid))).collect()
    }
}

fn is_ours(pid: u32) -> bool {
    fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|line| {
        let mut words = line.split(|byte| *byte == 0);
        let program = words.next().unwrap_or_default();
        program.ends_with(b"tidegate") && words.next() == Some(b"consume")
    })
}
