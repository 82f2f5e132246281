//! The consumer group: members, assignments, and what a change of them costs.
//!
//! A partition that moves is read no more by its old owner, who still writes what it has
//! in flight and commits it. Its new owner begins at the committed position when both that
//! is done and the protocol's settle time is over. Partitions that stay are not disturbed,
//! except with the eager protocol.
//!
//! Members that do not poll while they write (`cooperative-blind`) go through generations:
//! one lasts until the slowest member has written its batch; commits in it are refused; a
//! partition is revoked in one and assigned in the next; members that answer too late lose
//! everything and cause one more.

use rand::RngExt as _;

use super::assign::{NOBODY, range, sticky};
use super::events::{Event, us};
use super::{World, draw_us};
use crate::scenario::{Assignor, Blind, Protocol};

/// The group's memory.
#[derive(Debug, Clone, Default)]
pub(crate) struct GroupState {
    /// Pods in the order in which they joined, dead ones included until they are noticed.
    pub(crate) members: Vec<usize>,
    /// A rebalance is planned.
    planned: bool,
    /// A generation of blind members is being formed.
    in_round: bool,
    /// Nobody starts a batch until it is complete.
    idle: bool,
    /// It will not be the last.
    again: bool,
    /// Partitions that changed their owner.
    pub(crate) moves: u64,
    /// Rebalances, or generations.
    pub(crate) rebalances: u64,
}

impl GroupState {
    /// Whether a commit fails because a generation is being formed.
    pub(crate) fn refuses_commits(&self) -> bool {
        self.in_round
    }

    /// Whether members stand still because a generation is being formed.
    pub(crate) fn stands_still(&self) -> bool {
        self.in_round && self.idle
    }
}

impl World<'_> {
    /// The first assignment, made before the time begins.
    pub(super) fn assign_at_start(&mut self) {
        for (partition, target) in self.targets(&[]).into_iter().enumerate() {
            self.partitions[partition].heir = target;
            let claim = self.partitions[partition].claim;
            self.queue.push(0, Event::Assign { partition, claim });
        }
    }

    pub(super) fn members_changed(&mut self) {
        if self.group.in_round {
            self.group.again = true;
        } else if !self.group.planned {
            self.group.planned = true;
            self.after(us(self.times.detect_s), Event::Rebalance);
        }
    }

    /// Kafka's committed offsets follow what was written.
    pub(super) fn commit(&mut self) {
        if self.troubles.paused_us.is_none() {
            for part in &mut self.partitions {
                part.visible = part.committed;
            }
        }
        self.after(us(self.scenario.group.commit_interval_s), Event::Commit);
    }

    /// The group knows that a member is gone.
    pub(super) fn leave_group(&mut self, pod: usize) {
        let before = self.group.members.len();
        self.group.members.retain(|member| *member != pod);
        if self.group.members.len() < before {
            for part in self.partitions.iter_mut().filter(|part| part.owner == Some(pod)) {
                part.owner = None;
            }
            self.members_changed();
        }
    }

    pub(super) fn rebalance(&mut self) {
        self.group.planned = false;
        self.group.rebalances += 1;
        if let Some(blind) = self.scenario.group.blindness() {
            self.begin_round(blind);
            return;
        }
        let eager = self.scenario.group.protocol == Protocol::Eager;
        for (partition, target) in self.targets(&[]).into_iter().enumerate() {
            if eager || self.partitions[partition].heir != target {
                self.move_partition(partition, target);
            }
        }
    }

    /// Whose each partition is to be; members in `without` get nothing.
    fn targets(&self, without: &[usize]) -> Vec<Option<usize>> {
        let members: Vec<usize> =
            self.group.members.iter().copied().filter(|pod| !without.contains(pod)).collect();
        let target = match self.scenario.group.assignor {
            Assignor::Range => range(self.partitions.len(), members.len()),
            Assignor::Sticky => {
                let mut place = vec![NOBODY; self.pods.len()];
                for (index, member) in members.iter().enumerate() {
                    place[*member] = index;
                }
                let owners: Vec<usize> = self
                    .partitions
                    .iter()
                    .map(|part| part.heir.map_or(NOBODY, |pod| place[pod]))
                    .collect();
                sticky(&owners, members.len())
            }
        };
        target.into_iter().map(|member| members.get(member).copied()).collect()
    }

    fn move_partition(&mut self, partition: usize, target: Option<usize>) {
        self.revoke(partition);
        let settle_us = draw_us(self.times.settle_s, &mut self.random.group);
        let part = &mut self.partitions[partition];
        part.heir = target;
        part.claim += 1;
        let claim = part.claim;
        self.group.moves += 1;
        if target.is_some() {
            // After its old owner's batch, not beside it.
            let released_us = self.partitions[partition].released_us + 1;
            let at_us = released_us.max(self.now_us + settle_us);
            self.queue.push(at_us, Event::Assign { partition, claim });
        }
    }

    /// Takes a partition from its owner, who may have some of it in flight.
    fn revoke(&mut self, partition: usize) {
        let part = &mut self.partitions[partition];
        let Some(owner) = part.owner.take() else { return };
        let pod = &mut self.pods[owner];
        pod.partitions.retain(|owned| *owned as usize != partition);
        pod.at_least = 0;
        if let Some(until_us) = pod.busy_until_us {
            part.released_us = until_us;
        }
    }

    /// A partition reaches its new owner, who begins at the committed position.
    pub(super) fn assign(&mut self, partition: usize, claim: u32) {
        let part = &mut self.partitions[partition];
        if part.claim != claim {
            return;
        }
        self.counts.duplicated += part.go_back();
        self.counts.expired += part.delete_before(0);
        part.owner = part.heir;
        let Some(pod) = part.heir else { return };
        if self.pods[pod].is_alive() {
            self.pods[pod].partitions.push(partition as u32);
            self.pods[pod].at_least = 0;
            self.try_start_batch(pod);
        }
    }

    fn begin_round(&mut self, blind: Blind) {
        self.group.in_round = true;
        self.group.idle = blind.idle_in_round;
        self.group.again = false;
        let busy = self.group.members.iter().filter_map(|pod| self.pods[*pod].busy_until_us);
        let answered_us = busy.max().unwrap_or(self.now_us).max(self.dead_noticed_us());
        self.queue.push(answered_us + us(blind.round_s), Event::RoundEnds);
    }

    /// When the group will have noticed all members that are dead now.
    fn dead_noticed_us(&self) -> i64 {
        let dead = self.group.members.iter().filter_map(|pod| self.pods[*pod].expires_us);
        dead.max().unwrap_or(self.now_us)
    }

    pub(super) fn end_round(&mut self) {
        let Some(blind) = self.scenario.group.blindness() else { return };
        let noticed_us = self.dead_noticed_us();
        if noticed_us > self.now_us {
            // Somebody died meanwhile.
            self.queue.push(noticed_us, Event::RoundEnds);
            return;
        }
        self.group.in_round = false;
        let late = self.late_members(blind.late_probability);
        for partition in 0..self.partitions.len() {
            let owner = self.partitions[partition].owner;
            if owner.is_some_and(|pod| late.contains(&pod)) {
                self.lose(partition);
            }
        }
        let mut again = self.group.again || !late.is_empty();
        for (partition, target) in self.targets(&late).into_iter().enumerate() {
            if self.partitions[partition].heir == target {
                continue;
            }
            if self.partitions[partition].owner.is_some() {
                self.lose(partition);
                again = true;
            } else {
                let part = &mut self.partitions[partition];
                part.heir = target;
                part.claim += 1;
                let claim = part.claim;
                self.group.moves += 1;
                self.assign(partition, claim);
            }
        }
        self.shorten_batches(blind.short_batch_probability);
        if again {
            self.members_changed();
        }
        for member in 0..self.group.members.len() {
            self.try_start_batch(self.group.members[member]);
        }
    }

    fn late_members(&mut self, probability: f64) -> Vec<usize> {
        let random = &mut self.random.group;
        let members = self.group.members.iter().copied();
        members.filter(|_| random.random::<f64>() < probability).collect()
    }

    /// Its owner loses a partition: what is in flight counts no more.
    fn lose(&mut self, partition: usize) {
        self.revoke(partition);
        let part = &mut self.partitions[partition];
        part.heir = None;
        self.counts.duplicated += part.go_back();
        self.counts.expired += part.delete_before(0);
    }

    fn shorten_batches(&mut self, probability: f64) {
        for member in 0..self.group.members.len() {
            let pod = self.group.members[member];
            if self.random.group.random::<f64>() < probability {
                self.pods[pod].short_batch = true;
            }
        }
    }
}
