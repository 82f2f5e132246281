//! What others see of a running world, once a second: whoever watches, the series of the
//! report, and `world.json` for `get`.

use super::Running;
use crate::Error;
use crate::pods::PodState;
use crate::series::Second;
use crate::world::Snapshot;
use crate::world::state::{HpaState, ProcessState, WorldState};

impl<W: FnMut(&Snapshot)> Running<W> {
    /// Of the second that is over.
    pub(super) fn record(&mut self, elapsed_s: f64, load_over: bool) -> Result<(), Error> {
        let views = self.pods.views();
        let second = Second {
            t_s: elapsed_s.round() as u64,
            lag_metric: self.meter.lag_records(),
            replicas_desired: self.spec_replicas,
            replicas_current: self.pods.replicas() as i32,
            pods_ready: self.pods.ready() as i32,
            nodes: 1,
            reason: self.why.clone(),
            ..self.meter.rates()
        };
        self.meter.push(second.clone());
        let rates = self.meter.rates();
        let phase = match (self.stopping, self.producer.is_over(), load_over) {
            (true, _, _) => "stopping",
            (false, false, _) => "load",
            (false, true, false) => "working off the backlog",
            (false, true, true) => "waiting for zero pods",
        };
        (self.watch)(&Snapshot {
            elapsed_s,
            target_rate_per_s: (!self.producer.is_over())
                .then_some(self.producer.report.target_rate_per_s),
            rate_in_per_s: rates.arrival_per_s,
            rate_out_per_s: rates.processed_per_s,
            lag_records: rates.backlog,
            oldest_age_s: rates.oldest_age_s,
            desired: self.spec_replicas,
            current: self.pods.replicas() as i32,
            ready: self.pods.ready() as i32,
            draining: views.iter().filter(|pod| pod.state == PodState::Draining).count() as i32,
            sent: self.producer.report.acked,
            processed: self.meter.processed(),
            last_change: self.last_change.clone(),
            phase,
            second,
        });
        self.state(views).write(&self.world.options.run_dir)
    }

    fn state(&self, pods: Vec<crate::pods::PodView>) -> WorldState {
        let own = crate::process::Identity::current();
        WorldState {
            up: ProcessState { pid: own.pid, start_ticks: own.start_ticks },
            created_at_ms: self.world.created_at_ms,
            load_started_at_ms: self.load_began_ms,
            bootstrap: self.world.connection.brokers.clone(),
            topic: self.world.options.topic.clone(),
            group: self.world.options.group.clone(),
            broker: self.world.broker.as_ref().and_then(|broker| ProcessState::of(broker.pid())),
            producer: self.producer.pid().and_then(ProcessState::of),
            pods,
            hpa: self.hpa(),
        }
    }

    fn hpa(&self) -> Option<HpaState> {
        let view = self.law.hpa_view()?;
        Some(HpaState {
            name: view.name,
            reference: view.reference,
            targets: view.targets,
            min_replicas: view.min,
            max_replicas: view.max,
            replicas: self.pods.replicas() as i32,
        })
    }
}
