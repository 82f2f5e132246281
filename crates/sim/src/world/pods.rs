//! Pods: created, placed on a node, joined, stopped, killed.

use std::cmp::Reverse;

use super::events::{Event, us};
use super::pod::{Pod, State};
use super::{NEVER_US, World, draw_us};
use crate::scenario::OnStop;

/// How often nodes are looked at for consolidation, seconds.
const CONSOLIDATION_CHECK_S: f64 = 10.0;

impl World<'_> {
    /// The pods of the beginning run, are Ready and own their partitions.
    pub(super) fn start_with_pods(&mut self) {
        for pod in 0..self.scenario.pod.replicas as usize {
            self.create_pod();
            self.pods[pod].node = Some(self.nodes.force());
            self.pods[pod].state = State::Running;
            self.pods[pod].ready = true;
            // Ramped up long ago.
            self.pods[pod].joined_us = -self.pods[pod].ramp_up_us;
            self.group.members.push(pod);
        }
        self.assign_at_start();
    }

    fn create_pod(&mut self) -> usize {
        let options = &self.scenario.pod;
        let ramps = options.ramp_up_s.max > 0.0;
        let ramp_up_us = if ramps { draw_us(options.ramp_up_s, &mut self.random.pods) } else { 0 };
        let id = self.pods.len();
        self.pods.push(Pod::new(id, ramp_up_us, u64::from(options.batch_size)));
        self.present.push(id);
        id
    }

    /// Those that are not gone, the oldest first.
    fn present(&self) -> impl Iterator<Item = &Pod> {
        self.present.iter().map(|pod| &self.pods[*pod])
    }

    pub(super) fn replicas(&self) -> i32 {
        self.present().filter(|pod| pod.counts()).count() as i32
    }

    /// Replicas, and those of them that are Ready.
    pub(super) fn replicas_and_ready(&mut self) -> (i32, i32) {
        let counted = self.counted.unwrap_or_else(|| {
            let counted = self.present().filter(|pod| pod.counts());
            counted.fold((0, 0), |(all, ready), pod| (all + 1, ready + i32::from(pod.ready)))
        });
        self.counted = Some(counted);
        counted
    }

    /// Creates or stops pods until the wanted number exists.
    pub(super) fn reconcile(&mut self) {
        let missing = self.control.spec_replicas - self.replicas();
        for _ in 0..missing {
            let pod = self.create_pod();
            self.place(pod);
        }
        if missing < 0 {
            for pod in self.victims(missing.unsigned_abs() as usize) {
                self.stop(pod);
            }
        }
    }

    /// As a ReplicaSet: first who does not run, then who is not Ready, then who shares a
    /// node with the most, then the newest. Source: `ActivePodsWithRanks` of Kubernetes.
    fn victims(&self, count: usize) -> Vec<usize> {
        let mut on_node = vec![0_u32; self.nodes.places()];
        for node in self.present().filter(|pod| pod.counts()).filter_map(|pod| pod.node) {
            on_node[node] += 1;
        }
        let mut victims: Vec<usize> =
            self.present.iter().copied().filter(|pod| self.pods[*pod].counts()).collect();
        victims.sort_by_key(|pod| {
            let Pod { state, ready, node, .. } = self.pods[*pod];
            let beside = node.map_or(0, |node| on_node[node]);
            (state == State::Running, ready, Reverse(beside), Reverse(*pod))
        });
        victims.truncate(count);
        victims
    }

    fn place(&mut self, pod: usize) {
        let Some(node) = self.nodes.place() else {
            let waiting = self.present().filter(|pod| pod.state == State::Pending).count() as u32;
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
        for index in 0..self.present.len() {
            let pod = self.present[index];
            if self.pods[pod].state == State::Pending && self.nodes.has_room() {
                self.place(pod);
            }
        }
    }

    /// Empties nodes whose pods fit elsewhere; their pods are stopped, and replaced there.
    pub(super) fn consolidate(&mut self) {
        let pending = self.present().any(|pod| pod.state == State::Pending);
        let after_us = us(self.scenario.nodes.consolidate_after_s);
        if let Some(node) = self.nodes.next_to_empty(self.now_us, after_us, pending) {
            let here = self.present.iter().copied();
            let moved: Vec<usize> = here
                .filter(|pod| self.pods[*pod].node == Some(node) && self.pods[*pod].counts())
                .collect();
            for pod in moved {
                self.stop(pod);
            }
            self.after(us(self.scenario.control.reconcile_s), Event::Reconcile);
        }
        self.after(us(CONSOLIDATION_CHECK_S), Event::Consolidate);
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
            OnStop::Drain => self.drain(pod),
        }
        let grace_us = draw_us(self.scenario.pod.grace_s, &mut self.random.pods);
        self.after(grace_us, Event::PodKilled(pod));
    }

    /// Writes what is in flight and takes no more.
    fn drain(&mut self, pod: usize) {
        let pod_state = &mut self.pods[pod];
        pod_state.state = State::Draining;
        pod_state.next_us = NEVER_US;
        if let Some(until_us) = pod_state.busy_until_us {
            self.queue.push(until_us, Event::PodDrained(pod));
        }
    }

    pub(super) fn pod_drained(&mut self, pod: usize) {
        if self.pods[pod].state == State::Draining {
            self.end_batch(pod);
            self.leave(pod);
        }
    }

    /// A clean end: nothing is in flight, the group knows.
    fn leave(&mut self, pod: usize) {
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
        let alive = self.present.iter().copied().filter(|pod| self.pods[*pod].is_alive());
        let victims: Vec<usize> = alive.take(pods as usize).collect();
        for pod in victims {
            self.kill(pod);
        }
        self.after(us(self.scenario.control.reconcile_s), Event::Reconcile);
    }

    fn end(&mut self, pod: usize) {
        let gone = &mut self.pods[pod];
        gone.state = State::Gone;
        gone.ready = false;
        gone.next_us = NEVER_US;
        gone.busy_until_us = None;
        gone.batch = Vec::new();
        gone.partitions = Vec::new();
        let node = gone.node.take();
        self.present.retain(|present| *present != pod);
        let Some(node) = node else { return };
        self.nodes.free(node);
        self.place_pending();
        self.remove_if_idle(node);
    }
}
