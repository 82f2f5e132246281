//! States of a pod, and how they are shown.

use std::time::Instant;

use serde::{Deserialize, Serialize};
use tidegate_kafka::PodReport;

use super::backoff::Backoff;
use super::child::ChildProcess;

/// Where a pod is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PodState {
    /// Its start is delayed, as a cluster would.
    Pending,
    /// The process runs and has not joined yet.
    Starting,
    /// It crashed and waits to be started again.
    BackingOff,
    /// It works.
    Ready,
    /// It was told to stop.
    Draining,
}

/// A pod as others see it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PodView {
    /// Name, unique in the world.
    pub name: String,
    /// State.
    pub state: PodState,
    /// Process id, while there is a process.
    pub pid: Option<u32>,
    /// How often it was started again.
    pub restarts: u32,
    /// Seconds since it was created.
    pub age_s: f64,
    /// Its last report.
    pub report: Option<PodReport>,
}

/// A pod.
#[derive(Debug)]
pub(super) struct Pod {
    pub(super) number: u64,
    pub(super) phase: Phase,
    pub(super) created: Instant,
    pub(super) restarts: u32,
    pub(super) backoff: Backoff,
    pub(super) report: Option<PodReport>,
}

#[derive(Debug)]
pub(super) enum Phase {
    Pending { start_at: Instant },
    Starting { child: ChildProcess, since: Instant },
    BackingOff { start_at: Instant },
    Ready { child: ChildProcess, since: Instant },
    Draining { child: ChildProcess, kill_at: Instant, killed: bool },
}

impl Pod {
    pub(super) fn new(number: u64, now: Instant, start_at: Instant) -> Self {
        Self {
            number,
            phase: Phase::Pending { start_at },
            created: now,
            restarts: 0,
            backoff: Backoff::default(),
            report: None,
        }
    }

    pub(super) fn name(&self) -> String {
        format!("consumer-{}", self.number)
    }

    pub(super) fn state(&self) -> PodState {
        match self.phase {
            Phase::Pending { .. } => PodState::Pending,
            Phase::Starting { .. } => PodState::Starting,
            Phase::BackingOff { .. } => PodState::BackingOff,
            Phase::Ready { .. } => PodState::Ready,
            Phase::Draining { .. } => PodState::Draining,
        }
    }

    pub(super) fn child(&self) -> Option<&ChildProcess> {
        match &self.phase {
            Phase::Starting { child, .. }
            | Phase::Ready { child, .. }
            | Phase::Draining { child, .. } => Some(child),
            Phase::Pending { .. } | Phase::BackingOff { .. } => None,
        }
    }

    pub(super) fn view(&self, now: Instant) -> PodView {
        PodView {
            name: self.name(),
            state: self.state(),
            pid: self.child().map(ChildProcess::pid),
            restarts: self.restarts,
            age_s: now.duration_since(self.created).as_secs_f64(),
            report: self.report.clone(),
        }
    }
}
