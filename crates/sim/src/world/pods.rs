//! Pods: created, placed on a node, joined, stopped, killed.

use super::World;
use super::batches::Taken;
use super::draw_us;
use super::events::{Event, us};
use crate::scenario::OnStop;

/// Where a pod is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    /// Waits for a node.
    Pending,
    /// Has a node; its process is not up.
    Starting,
    /// Consumes.
    Running,
    /// Writes its last batch.
    Draining,
    /// Was told to stop and does not listen: consumes until it is killed.
    Deaf,
    /// Is gone.
    Gone,
}

/// A pod. Ids are never used again.
#[derive(Debug)]
pub(crate) struct Pod {
    pub(crate) state: State,
    pub(crate) ready: bool,
    pub(crate) joined_us: i64,
    node: Option<usize>,
    /// What it reads.
    pub(crate) partitions: Vec<usize>,
    /// Records in flight.
    pub(crate) batch: Vec<Taken>,
    /// When the batch in flight is written; `None` when idle.
    pub(crate) busy_until_us: Option<i64>,
    /// When the group notices its death; `None` while it lives.
    pub(crate) expires_us: Option<i64>,
    /// Changes when a planned wake or batch end is void.
    pub(crate) token: u32,
    /// The next batch holds one record.
    pub(crate) short_batch: bool,
    /// Where the next batch begins to take records, for fairness.
    pub(crate) turn: usize,
}

impl Pod {
    fn new() -> Self {
        Self {
            state: State::Pending,
            ready: false,
            joined_us: 0,
            node: None,
            partitions: Vec::new(),
            batch: Vec::new(),
            busy_until_us: None,
            expires_us: None,
            token: 0,
            short_batch: false,
            turn: 0,
        }
    }

    /// Counts as a replica: exists and was not told to stop.
    pub(crate) fn counts(&self) -> bool {
        matches!(self.state, State::Pending | State::Starting | State::Running)
    }

    /// Starts batches.
    pub(crate) fn consumes(&self) -> bool {
        matches!(self.state, State::Running | State::Deaf)
    }

    /// Its process is up and a member of the group.
    pub(crate) fn is_alive(&self) -> bool {
        matches!(self.state, State::Running | State::Draining | State::Deaf)
    }
}

impl World<'_> {
    /// The pods of the beginning run, are Ready and own their partitions.
    pub(super) fn start_with_pods(&mut self) {
        for pod in 0..self.scenario.pod.replicas as usize {
            self.pods.push(Pod::new());
            self.pods[pod].node = Some(self.nodes.force());
            self.pods[pod].state = State::Running;
            self.pods[pod].ready = true;
            // Ramped up long ago.
            self.pods[pod].joined_us = -us(self.scenario.pod.ramp_up_s);
            self.group.members.push(pod);
        }
        self.assign_at_start();
    }

    pub(super) fn replicas(&self) -> i32 {
        self.pods.iter().filter(|pod| pod.counts()).count() as i32
    }

    pub(super) fn ready_replicas(&self) -> i32 {
        self.pods.iter().filter(|pod| pod.counts() && pod.ready).count() as i32
    }

    /// Creates or stops pods until the wanted number exists.
    pub(super) fn reconcile(&mut self) {
        let missing = self.control.spec_replicas - self.replicas();
        for _ in 0..missing {
            self.pods.push(Pod::new());
            self.place(self.pods.len() - 1);
        }
        // As a ReplicaSet: first who does not run, then who is not Ready, then the newest.
        let mut victims: Vec<usize> =
            (0..self.pods.len()).filter(|pod| self.pods[*pod].counts()).collect();
        victims.sort_by_key(|pod| {
            let Pod { state, ready, .. } = self.pods[*pod];
            (state == State::Running, ready, std::cmp::Reverse(*pod))
        });
        for pod in victims.into_iter().take((-missing).max(0) as usize) {
            self.stop(pod);
        }
    }

    fn place(&mut self, pod: usize) {
        let Some(node) = self.nodes.place() else {
            let waiting = self.pods.iter().filter(|pod| pod.state == State::Pending).count() as u32;
            for _ in 0..self.nodes.order(waiting) {
                let delay_us = draw_us(self.scenario.nodes.provision_s, &mut self.random.pods);
                self.after(delay_us, Event::NodeReady);
            }
            return;
        };
        self.pods[pod].node = Some(node);
        self.pods[pod].state = State::Starting;
        let delay_us = draw_us(self.scenario.pod.start_s, &mut self.random.pods);
        self.after(delay_us, Event::PodJoins(pod));
    }

    pub(super) fn node_ready(&mut self) {
        let node = self.nodes.add();
        self.place_pending();
        self.remove_if_idle(node);
    }

    fn remove_if_idle(&mut self, node: usize) {
        if let Some(stamp) = self.nodes.idle_stamp(node) {
            let delay_us = us(self.scenario.nodes.remove_after_s);
            self.after(delay_us, Event::NodeExpires { node, stamp });
        }
    }

    fn place_pending(&mut self) {
        for pod in 0..self.pods.len() {
            if self.pods[pod].state == State::Pending && self.nodes.has_room() {
                self.place(pod);
            }
        }
    }

    pub(super) fn pod_joins(&mut self, pod: usize) {
        if self.pods[pod].state != State::Starting {
            return;
        }
        self.pods[pod].state = State::Running;
        self.pods[pod].joined_us = self.now_us;
        self.after(us(self.scenario.pod.ready_s), Event::PodReady(pod));
        self.group.members.push(pod);
        self.members_changed();
    }

    fn stop(&mut self, pod: usize) {
        if self.pods[pod].state != State::Running {
            self.end(pod);
            return;
        }
        match self.scenario.pod.on_stop {
            OnStop::Vanish => {
                self.end(pod);
                self.leave_group(pod);
                return;
            }
            OnStop::Ignore => self.pods[pod].state = State::Deaf,
            OnStop::Drain if self.pods[pod].busy_until_us.is_none() => {
                self.leave(pod);
                return;
            }
            OnStop::Drain => self.pods[pod].state = State::Draining,
        }
        let grace_us = draw_us(self.scenario.pod.grace_s, &mut self.random.pods);
        self.after(grace_us, Event::PodKilled(pod));
    }

    /// A clean end: nothing is in flight, the group knows.
    pub(super) fn leave(&mut self, pod: usize) {
        self.end(pod);
        self.leave_group(pod);
    }

    /// The process ends without a word; what was in flight was never written.
    pub(super) fn kill(&mut self, pod: usize) {
        if !self.pods[pod].is_alive() {
            return;
        }
        self.end(pod);
        let timeout_us = us(self.times.session_timeout_s);
        self.pods[pod].expires_us = Some(self.now_us + timeout_us);
        self.after(timeout_us, Event::MemberExpires(pod));
    }

    pub(super) fn crash(&mut self, pods: u32) {
        let victims: Vec<usize> = (0..self.pods.len())
            .filter(|pod| self.pods[*pod].is_alive())
            .take(pods as usize)
            .collect();
        for pod in victims {
            self.kill(pod);
        }
        self.after(us(self.scenario.control.reconcile_s), Event::Reconcile);
    }

    fn end(&mut self, pod: usize) {
        let gone = &mut self.pods[pod];
        gone.state = State::Gone;
        gone.ready = false;
        gone.token += 1;
        gone.busy_until_us = None;
        gone.batch = Vec::new();
        gone.partitions = Vec::new();
        let Some(node) = gone.node.take() else { return };
        self.nodes.free(node);
        self.place_pending();
        self.remove_if_idle(node);
    }
}
