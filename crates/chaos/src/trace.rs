//! What happened, as JSON lines and as counts.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use anyhow::Context as _;
use serde::Serialize;
use serde_json::{Value, json};

use crate::faults::Outcome;
use crate::plan::{Planned, Round};

/// Faults of a kind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Count {
    /// That took effect.
    pub(crate) done: u64,
    /// That found nobody, or were not seen to have an effect: they do not count.
    pub(crate) void: u64,
}

/// The raw result of a run: `faults.jsonl`, `rounds.jsonl`, `summary.json`.
pub(crate) struct Trace {
    directory: PathBuf,
    state: Mutex<State>,
}

struct State {
    faults: File,
    rounds: File,
    counts: BTreeMap<&'static str, Count>,
}

impl Trace {
    pub(crate) fn create(directory: &Path) -> anyhow::Result<Self> {
        let create = |name: &str| {
            let path = directory.join(name);
            File::create(&path).with_context(|| path.display().to_string())
        };
        std::fs::create_dir_all(directory).with_context(|| directory.display().to_string())?;
        let state = State {
            faults: create("faults.jsonl")?,
            rounds: create("rounds.jsonl")?,
            counts: BTreeMap::new(),
        };
        Ok(Self { directory: directory.to_owned(), state: Mutex::new(state) })
    }

    /// Notes a fault that is over; times since the round's start, ms.
    pub(crate) fn fault(
        &self,
        round: &Round,
        planned: &Planned,
        (began_ms, ended_ms): (u64, u64),
        outcome: &Outcome,
    ) -> anyhow::Result<()> {
        let mut line = json!({
            "round": round.number, "began_ms": began_ms, "ended_ms": ended_ms,
            "effect": outcome.took_effect, "seen": outcome.seen,
        });
        merge(&mut line, serde_json::to_value(planned)?);
        let mut state = self.state();
        let count = state.counts.entry(planned.fault.name()).or_default();
        *(if outcome.took_effect { &mut count.done } else { &mut count.void }) += 1;
        writeln!(state.faults, "{line}").context("faults.jsonl")
    }

    /// Notes a round that is over.
    pub(crate) fn round(&self, result: &Value) -> anyhow::Result<()> {
        writeln!(self.state().rounds, "{result}").context("rounds.jsonl")
    }

    /// Faults that took effect.
    pub(crate) fn done(&self) -> u64 {
        self.state().counts.values().map(|count| count.done).sum()
    }

    pub(crate) fn counts(&self) -> BTreeMap<&'static str, Count> {
        self.state().counts.clone()
    }

    pub(crate) fn summary(&self, summary: &Value) -> anyhow::Result<()> {
        let path = self.directory.join("summary.json");
        std::fs::write(&path, format!("{summary:#}\n")).with_context(|| path.display().to_string())
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn merge(into: &mut Value, more: Value) {
    if let (Value::Object(into), Value::Object(more)) = (into, more) {
        into.extend(more);
    }
}
