//! Keeps the wanted number of pods.

use std::path::PathBuf;
use std::process::ExitStatus;
use std::time::{Duration, Instant};

use serde::Serialize;
use tidegate_autoscale::law::{PodSink, SinkFacts};
use tidegate_kafka::{ConnectionOptions, PodReport, fence};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::child::{ChildEvent, ChildProcess, CommandTemplate};
use super::lifecycle::{Phase, Pod, PodState, PodView};
use super::victims;
use crate::Error;
use crate::events::{Event, EventLog};

/// Options of the supervisor.
#[derive(Debug, Clone)]
pub struct SupervisorOptions {
    /// What a pod runs.
    pub command: CommandTemplate,
    /// A pod's start is delayed by this.
    pub pod_start: Duration,
    /// From SIGTERM to SIGKILL.
    pub grace_period: Duration,
    /// Where the pods' logs go.
    pub log_dir: PathBuf,
    /// Kafka, for fencing dead pods out of the group.
    pub connection: ConnectionOptions,
    /// Consumer group.
    pub group: String,
}

/// Sums over all pods that ever ran.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct PodTotals {
    /// Pods started again after they died.
    pub restarts: u64,
    /// Dead pods fenced out of the group.
    pub fenced: u64,
    /// Pods that had to be killed after the grace period.
    pub killed: u64,
    /// Commit requests that the broker refused.
    pub commit_failures: u64,
    /// Writes refused because another owner was ahead.
    pub fenced_writes: u64,
}

/// Which process of which pod an event is about.
type Key = (u64, u32);

/// The pods.
#[derive(Debug)]
pub struct Supervisor {
    options: SupervisorOptions,
    pods: Vec<Pod>,
    next_number: u64,
    totals: PodTotals,
    tell: UnboundedSender<(Key, ChildEvent)>,
    told: UnboundedReceiver<(Key, ChildEvent)>,
    fenced_tell: UnboundedSender<Event>,
    fenced_told: UnboundedReceiver<Event>,
}

impl Supervisor {
    /// No pods yet.
    pub fn new(options: SupervisorOptions) -> Self {
        let (tell, told) = unbounded_channel();
        let (fenced_tell, fenced_told) = unbounded_channel();
        Self {
            options,
            pods: Vec::new(),
            next_number: 1,
            totals: PodTotals::default(),
            tell,
            told,
            fenced_tell,
            fenced_told,
        }
    }

    /// Pods that are not on their way out: what a Deployment calls `status.replicas`.
    pub fn replicas(&self) -> usize {
        self.pods.iter().filter(|pod| pod.state() != PodState::Draining).count()
    }

    /// Ready pods.
    pub fn ready(&self) -> usize {
        self.pods.iter().filter(|pod| pod.state() == PodState::Ready).count()
    }

    /// Whether nothing runs any more.
    pub fn is_empty(&self) -> bool {
        self.pods.is_empty()
    }

    /// All pods, oldest first.
    pub fn views(&self) -> Vec<PodView> {
        let now = Instant::now();
        self.pods.iter().map(|pod| pod.view(now)).collect()
    }

    /// Sums so far.
    pub fn totals(&self) -> PodTotals {
        let mut totals = self.totals;
        for report in self.pods.iter().filter_map(|pod| pod.report.as_ref()) {
            totals.commit_failures += report.commit_failures_total;
            totals.fenced_writes += report.fenced_total;
        }
        totals
    }

    /// What the pods that work report of their sink.
    pub fn sink(&self) -> Option<SinkFacts> {
        sink_facts(self.pods.iter().filter_map(|pod| pod.report.as_ref()))
    }

    /// Makes it this many pods.
    pub fn scale(&mut self, desired: usize, log: &mut EventLog) {
        let now = Instant::now();
        for _ in self.replicas()..desired {
            self.pods.push(Pod::new(self.next_number, now, now + self.options.pod_start));
            self.next_number += 1;
        }
        let states: Vec<(u64, PodState)> =
            self.pods.iter().map(|pod| (pod.number, pod.state())).collect();
        for number in victims::choose(&states, self.replicas().saturating_sub(desired)) {
            self.drain(number, log);
        }
        self.start_due(log);
    }

    fn drain(&mut self, number: u64, log: &mut EventLog) {
        let Some(index) = self.pods.iter().position(|pod| pod.number == number) else { return };
        let kill_at = Instant::now() + self.options.grace_period;
        let mut pod = self.pods.swap_remove(index);
        // swap_remove is fine: order is restored below.
        match pod.phase {
            Phase::Pending { .. } | Phase::BackingOff { .. } => {}
            Phase::Draining { .. } => self.pods.push(pod),
            Phase::Starting { child, .. } | Phase::Ready { child, .. } => {
                child.terminate();
                pod.phase = Phase::Draining { child, kill_at, killed: false };
                log.write(&Event::pod("draining", &pod.name()));
                self.pods.push(pod);
            }
        }
        self.pods.sort_by_key(|pod| pod.number);
    }

    /// Starts pods whose time has come, kills those whose grace is over. Call it
    /// about every 100 ms.
    pub fn tick(&mut self, log: &mut EventLog) {
        self.start_due(log);
        let now = Instant::now();
        for pod in &mut self.pods {
            let name = pod.name();
            if let Phase::Draining { child, kill_at, killed } = &mut pod.phase
                && !*killed
                && now >= *kill_at
            {
                tracing::warn!(pod = name, "killed: the grace period is over");
                child.kill();
                *killed = true;
                self.totals.killed += 1;
            }
        }
        while let Ok(event) = self.fenced_told.try_recv() {
            self.totals.fenced += u64::from(event.event == "fenced");
            log.write(&event);
        }
    }

    fn start_due(&mut self, log: &mut EventLog) {
        let now = Instant::now();
        for pod in &mut self.pods {
            let due = matches!(pod.phase, Phase::Pending { start_at } | Phase::BackingOff { start_at } if now >= start_at);
            if !due {
                continue;
            }
            let name = pod.name();
            let file = self.options.log_dir.join(format!("{name}.log"));
            let key = (pod.number, pod.restarts);
            match ChildProcess::spawn(&self.options.command, &file, key, self.tell.clone()) {
                Ok(child) => {
                    log.write(&Event::pod("started", &name).pid(child.pid()));
                    pod.phase = Phase::Starting { child, since: now };
                }
                Err(error) => {
                    tracing::warn!(pod = name, %error, "not started");
                    pod.phase = Phase::BackingOff {
                        start_at: now + pod.backoff.after_crash(Duration::ZERO),
                    };
                }
            }
        }
    }

    /// Waits for something to happen to a pod, and deals with it. Cancel-safe.
    pub async fn next(&mut self, log: &mut EventLog) {
        // The sender lives in self: the channel never closes.
        if let Some((key, event)) = self.told.recv().await {
            self.on_event(key, event, log);
        }
    }

    fn on_event(&mut self, (number, incarnation): Key, event: ChildEvent, log: &mut EventLog) {
        let Some(index) =
            self.pods.iter().position(|pod| pod.number == number && pod.restarts == incarnation)
        else {
            return;
        };
        match event {
            ChildEvent::Line(line) => match serde_json::from_str(&line) {
                Ok(report) => on_report(&mut self.pods[index], report, log),
                Err(error) => tracing::debug!(pod = number, %error, line, "not a report"),
            },
            ChildEvent::Exited(status) => self.on_exit(index, status, log),
        }
    }

    fn on_exit(&mut self, index: usize, status: ExitStatus, log: &mut EventLog) {
        let name = self.pods[index].name();
        log.write(&Event::pod("exited", &name).detail(status.to_string()));
        let report = self.pods[index].report.take();
        if let Some(report) = &report {
            self.totals.commit_failures += report.commit_failures_total;
            self.totals.fenced_writes += report.fenced_total;
        }
        // A clean exit has left the group by itself.
        if !status.success()
            && let Some(report) = report
        {
            self.fence(name.clone(), report);
        }
        let now = Instant::now();
        let ran = match self.pods[index].phase {
            Phase::Draining { .. } => {
                self.pods.remove(index);
                return;
            }
            Phase::Starting { since, .. } | Phase::Ready { since, .. } => now.duration_since(since),
            Phase::Pending { .. } | Phase::BackingOff { .. } => Duration::ZERO,
        };
        let pod = &mut self.pods[index];
        let delay = pod.backoff.after_crash(ran);
        tracing::warn!(pod = name, %status, delay_ms = delay.as_millis() as u64, "ended by itself, starting it again");
        pod.phase = Phase::BackingOff { start_at: now + delay };
        pod.restarts += 1;
        self.totals.restarts += 1;
    }

    fn fence(&self, name: String, report: PodReport) {
        let Some(member_id) = report.member_id else { return };
        let (connection, group) = (self.options.connection.clone(), self.options.group.clone());
        let tell = self.fenced_tell.clone();
        tokio::spawn(async move {
            let started = Instant::now();
            let outcome =
                fence::remove_member(&connection, &group, &member_id, report.protocol).await;
            let millis = started.elapsed().as_millis();
            let event = match outcome {
                Ok(()) => {
                    tracing::info!(
                        pod = name,
                        millis = millis as u64,
                        "dead pod fenced out of the group"
                    );
                    Event::pod("fenced", &name)
                        .detail(format!("{millis} ms"))
                        .partitions(&report.assigned)
                }
                Err(error) => {
                    tracing::warn!(pod = name, %error, "dead pod not fenced; its partitions wait for the session timeout");
                    Event::pod("fence_failed", &name).detail(error.to_string())
                }
            };
            let _ = tell.send(event);
        });
    }

    /// Ends every pod at once.
    pub fn kill_all(&mut self) {
        for child in self.pods.iter().filter_map(Pod::child) {
            child.kill();
        }
    }

    /// Errors that should end the world: none yet; pods are restarted for ever.
    ///
    /// # Errors
    /// [`Error::Spawn`] when the program does not exist.
    pub fn check_program(&self) -> Result<(), Error> {
        let program = &self.options.command.program;
        if program.components().count() > 1 && !program.exists() {
            let source = std::io::Error::from(std::io::ErrorKind::NotFound);
            return Err(Error::Spawn { program: program.display().to_string(), source });
        }
        Ok(())
    }
}

/// What the pods that work say.
fn sink_facts<'a>(reports: impl Iterator<Item = &'a PodReport>) -> Option<SinkFacts> {
    let working = reports.filter(|report| report.ready && !report.assigned.is_empty());
    SinkFacts::of(working.map(|report| PodSink {
        limited: report.sink_limited,
        batch_limit_records: report.batch_limit as f64,
        writes_limit: report.writes_limit as f64,
        fixed_s: report.sink_fixed_s,
        row_s: report.sink_row_s,
    }))
}

fn on_report(pod: &mut Pod, report: PodReport, log: &mut EventLog) {
    let name = pod.name();
    let changed = pod.report.as_ref().is_none_or(|last| last.assigned != report.assigned);
    if changed {
        log.write(&Event::pod("assigned", &name).at(report.t_ms).partitions(&report.assigned));
    }
    if report.ready && pod.state() == PodState::Starting {
        let phase = std::mem::replace(&mut pod.phase, Phase::Pending { start_at: Instant::now() });
        if let Phase::Starting { child, since } = phase {
            pod.phase = Phase::Ready { child, since };
            log.write(&Event::pod("ready", &name));
        }
    }
    pod.report = Some(report);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pod(ready: bool, sink_limited: bool) -> PodReport {
        PodReport { ready, sink_limited, assigned: vec![0], ..PodReport::default() }
    }

    #[test]
    fn only_pods_that_work_have_a_say() {
        let says = |pods: &[PodReport]| sink_facts(pods.iter()).is_some_and(|facts| facts.limited);
        assert_eq!(sink_facts([].iter()), None);
        assert!(says(&[pod(true, true), pod(true, false)]));
        assert!(says(&[pod(true, true), pod(false, false)]), "one that starts does not count");
        let idle = PodReport { assigned: Vec::new(), ..pod(true, true) };
        assert!(!says(&[idle, pod(true, false)]), "nor does one without partitions");
    }
}
