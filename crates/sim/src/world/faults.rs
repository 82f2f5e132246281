//! What goes wrong, and for how long.

use tidegate_autoscale::lag::PartitionOffsets;

use super::World;
use super::events::{Event, us};
use crate::scenario::Fault;

/// What holds now.
#[derive(Debug, Clone)]
pub(crate) struct Troubles {
    /// Batches take this many times as long.
    pub(crate) slowdown: f64,
    /// Since when the broker does not answer.
    pub(crate) paused_us: Option<i64>,
    /// The law cannot read the offsets.
    pub(crate) missing: bool,
    /// The law sees these.
    pub(crate) stale: Option<Vec<PartitionOffsets>>,
}

impl Troubles {
    pub(crate) fn none() -> Self {
        Self { slowdown: 1.0, paused_us: None, missing: false, stale: None }
    }
}

impl World<'_> {
    pub(super) fn plan_faults(&mut self) {
        for fault in &self.scenario.faults {
            if let Fault::PodCrash { at_s, pods } = *fault {
                self.queue.push(us(at_s), Event::Crash(pods));
            } else if let Some((at_s, duration_s)) = fault.window_s() {
                self.queue.push(us(at_s), Event::Fault);
                self.queue.push(us(at_s + duration_s), Event::Fault);
            }
        }
    }

    /// Some fault began or ended.
    pub(super) fn faults_change(&mut self) {
        let now_us = self.now_us;
        let holds = |fault: &&Fault| {
            let window_s = fault.window_s();
            window_s.is_some_and(|(at_s, for_s)| (us(at_s)..us(at_s + for_s)).contains(&now_us))
        };
        let (mut slowdown, mut paused, mut missing, mut stale) = (1.0, false, false, false);
        for fault in self.scenario.faults.iter().filter(holds) {
            match *fault {
                Fault::SlowSink { factor, .. } => slowdown *= factor,
                Fault::BrokerPause { .. } => paused = true,
                Fault::MissingMetric { .. } => missing = true,
                Fault::StaleMetric { .. } => stale = true,
                Fault::PodCrash { .. } => {}
            }
        }
        self.troubles.slowdown = slowdown;
        self.troubles.missing = missing;
        if stale && self.troubles.stale.is_none() {
            self.troubles.stale = Some(self.offsets());
        } else if !stale {
            self.troubles.stale = None;
        }
        let was_paused = self.troubles.paused_us.is_some();
        if paused && !was_paused {
            self.troubles.paused_us = Some(now_us);
        } else if !paused && was_paused {
            self.troubles.paused_us = None;
            self.broker_answers();
        }
    }

    fn broker_answers(&mut self) {
        for (at_us, event) in std::mem::take(&mut self.waiting) {
            self.queue.push(at_us.max(self.now_us), event);
        }
        self.wake_all();
    }

    /// Until when the log holds what arrived: producers wait while the broker does.
    pub(super) fn log_us(&self) -> i64 {
        self.troubles.paused_us.unwrap_or(self.now_us)
    }
}
