//! Run directories: a new one a world, and what dead worlds left behind.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use etcetera::BaseStrategy;
use rustix::process::Signal;

use super::WorldState;
use crate::Error;

/// How long a child of a dead world gets to drain before it is killed.
const LEFTOVER_GRACE: Duration = Duration::from_secs(5);

/// Where run directories are made when none is given.
///
/// # Errors
/// [`Error::RunDirectory`] without a home directory.
pub fn runs_root() -> Result<PathBuf, Error> {
    let strategy = etcetera::choose_base_strategy().map_err(|_| Error::RunDirectory {
        path: PathBuf::from("$HOME"),
        reason: "not set, so there is no user state directory; use --run-dir".into(),
    })?;
    let base = strategy.state_dir().unwrap_or_else(|| strategy.data_dir());
    Ok(base.join("tidegate").join("runs"))
}

/// Run directories.
#[derive(Debug)]
pub struct RunDir;

impl RunDir {
    /// Makes a new one named by the time, or takes the given one if it is empty.
    ///
    /// # Errors
    /// [`Error::RunDirectory`] when it is in use or holds something.
    pub fn prepare(given: Option<PathBuf>) -> Result<PathBuf, Error> {
        let path = match given {
            Some(path) => path,
            None => Self::unused_name(&runs_root()?),
        };
        if let Ok(world) = WorldState::read(&path) {
            let reason = if world.is_alive() {
                format!("a world runs in it (process {})", world.up.pid)
            } else {
                "it holds an earlier run; name another directory, or remove it".into()
            };
            return Err(Error::RunDirectory { path, reason });
        }
        fs::create_dir_all(&path).map_err(Error::file(&path))?;
        let mut entries = fs::read_dir(&path).map_err(Error::file(&path))?;
        if entries.next().is_some() {
            return Err(Error::RunDirectory {
                path,
                reason: "it is not empty; name a new directory".into(),
            });
        }
        Ok(path)
    }

    fn unused_name(root: &Path) -> PathBuf {
        let stamp = jiff::Timestamp::now().strftime("%Y%m%dT%H%M%SZ").to_string();
        let first = root.join(&stamp);
        let more = (2..).map(|number| root.join(format!("{stamp}-{number}")));
        std::iter::once(first).chain(more).find(|path| !path.exists()).unwrap_or_default()
    }

    /// Ends what a dead world in one of the directories left running: SIGTERM,
    /// then SIGKILL. Returns how many processes there were.
    pub fn clean_up_dead_worlds(root: &Path) -> usize {
        let leftovers: Vec<_> = worlds(root)
            .into_iter()
            .filter(|(_, world)| !world.is_alive())
            .flat_map(|(_, world)| world.children())
            .filter(|identity| identity.is_alive())
            .collect();
        for identity in &leftovers {
            identity.signal(Signal::TERM);
        }
        let deadline = Instant::now() + LEFTOVER_GRACE;
        while leftovers.iter().any(|identity| identity.is_alive()) && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(50));
        }
        for identity in &leftovers {
            identity.signal(Signal::KILL);
        }
        leftovers.len()
    }

    /// The newest world that runs.
    ///
    /// # Errors
    /// [`Error::NoWorld`].
    pub fn newest_running() -> Result<(PathBuf, WorldState), Error> {
        let root = runs_root()?;
        worlds(&root)
            .into_iter()
            .filter(|(_, world)| world.is_alive())
            .max_by_key(|(_, world)| world.created_at_ms)
            .ok_or(Error::NoWorld { path: root })
    }
}

fn worlds(root: &Path) -> Vec<(PathBuf, WorldState)> {
    fs::read_dir(root)
        .into_iter()
        .flatten()
        .filter_map(|entry| {
            let path = entry.ok()?.path();
            let world = WorldState::read(&path).ok()?;
            Some((path, world))
        })
        .collect()
}
