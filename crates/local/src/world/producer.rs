//! The producer child.

use serde::{Deserialize, Serialize};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use crate::Error;
use crate::pods::{ChildEvent, ChildProcess, CommandTemplate};

/// What the producer prints about itself: one JSON object a line.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct ProducerReport {
    /// When, Unix milliseconds.
    pub t_ms: i64,
    /// Records handed to the client.
    pub sent: u64,
    /// Records acknowledged.
    pub acked: u64,
    /// Records given up.
    pub failed: u64,
    /// The profile's rate now, records a second.
    pub target_rate_per_s: f64,
    /// Everything is sent and acknowledged.
    pub done: bool,
}

/// The producer, from its start to its end.
#[derive(Debug)]
pub(super) struct ProducerChild {
    child: Option<ChildProcess>,
    events: UnboundedReceiver<((), ChildEvent)>,
    log: std::path::PathBuf,
    /// Its last report.
    pub(super) report: ProducerReport,
    stopping: bool,
}

impl ProducerChild {
    pub(super) fn spawn(
        template: &CommandTemplate,
        log: std::path::PathBuf,
    ) -> Result<Self, Error> {
        let (tell, events) = unbounded_channel();
        let child = ChildProcess::spawn(template, &log, (), tell)?;
        Ok(Self {
            child: Some(child),
            events,
            log,
            report: ProducerReport::default(),
            stopping: false,
        })
    }

    pub(super) fn pid(&self) -> Option<u32> {
        self.child.as_ref().map(ChildProcess::pid)
    }

    /// Nothing will be sent any more.
    pub(super) fn is_over(&self) -> bool {
        self.child.is_none()
    }

    pub(super) fn terminate(&mut self) {
        self.stopping = true;
        if let Some(child) = &self.child {
            child.terminate();
        }
    }

    pub(super) fn kill(&self) {
        if let Some(child) = &self.child {
            child.kill();
        }
    }

    /// Waits for its next event, for ever when it has ended. Cancel-safe.
    pub(super) async fn next(&mut self) -> Result<(), Error> {
        match self.events.recv().await {
            Some(((), ChildEvent::Line(line))) => {
                if let Ok(report) = serde_json::from_str(&line) {
                    self.report = report;
                }
                Ok(())
            }
            Some(((), ChildEvent::Exited(status))) => {
                self.child = None;
                if status.success() || self.stopping {
                    return Ok(());
                }
                Err(Error::Producer { status: status.to_string(), log: self.log.clone() })
            }
            None => std::future::pending().await,
        }
    }
}
