//! Batches: what a pod does by itself.
//!
//! A batch closes when it is full, or when its first record has waited for the timeout:
//! see `closing`. What it holds is written, and counted: see `writing`. With a stated
//! latency the size follows the time that batches took.

use super::ages::Ages;
use super::ahead::Ahead;
use super::partitions::Partition;
use super::pod::{Next, Pod};
use super::sink::Sink;
use super::{NEVER_US, World};
use crate::load::ArrivalCurve;
use crate::scenario;
use crate::summary::Counts;

/// What a pod touches as it goes on by itself, and what holds meanwhile.
pub(super) struct Lane<'w> {
    pub(super) curve: &'w ArrivalCurve,
    pub(super) options: &'w scenario::Pod,
    pub(super) partitions: &'w mut [Partition],
    pub(super) ages: &'w mut Ages,
    pub(super) counts: &'w mut Counts,
    pub(super) ahead: &'w mut Ahead,
    pub(super) sink: &'w mut Sink,
    pub(super) timeout_us: i64,
    /// Of the shared sink; 0 is without limit.
    pub(super) rows_per_s: f64,
    /// Of the draws of batches.
    pub(super) seed: u64,
    pub(super) slowdown: f64,
    pub(super) paused_us: Option<i64>,
    pub(super) stands_still: bool,
    pub(super) commits: bool,
    /// Readers of the lag see a commit at once.
    pub(super) shows: bool,
}

impl World<'_> {
    fn lane(&mut self) -> (&mut [Pod], &[usize], Lane<'_>) {
        let commits = !self.group.refuses_commits();
        let lane = Lane {
            curve: self.curve,
            options: &self.scenario.pod,
            partitions: &mut self.partitions,
            ages: &mut self.ages,
            counts: &mut self.counts,
            ahead: &mut self.ahead,
            sink: &mut self.sink,
            timeout_us: self.batch_timeout_us,
            rows_per_s: self.scenario.sink.rows_per_s,
            seed: self.random.batches,
            slowdown: self.troubles.slowdown,
            paused_us: self.troubles.paused_us,
            stands_still: self.group.stands_still(),
            commits,
            shows: commits && self.scenario.group.commit_interval_s <= 0.0,
        };
        (&mut self.pods, &self.present, lane)
    }

    /// Every pod goes on by itself until a time, inclusive.
    pub(super) fn pods_until(&mut self, until_us: i64) {
        if self.next_pod_us > until_us {
            return;
        }
        let (pods, present, mut lane) = self.lane();
        let mut next_us = NEVER_US;
        if lane.rows_per_s > 0.0 {
            while let Some(pod) = first_pod(pods, present, until_us) {
                lane.go_on(&mut pods[pod]);
            }
            for pod in present {
                next_us = next_us.min(pods[*pod].next_us);
            }
        } else {
            for pod in present {
                let pod = &mut pods[*pod];
                while pod.next_us <= until_us {
                    lane.go_on(pod);
                }
                next_us = next_us.min(pod.next_us);
            }
        }
        self.next_pod_us = next_us;
    }

    /// All pods look for records.
    pub(super) fn wake_all(&mut self) {
        for index in 0..self.present.len() {
            self.try_start_batch(self.present[index]);
        }
    }

    /// Starts a batch, or plans when to look again.
    pub(super) fn try_start_batch(&mut self, pod: usize) {
        let now_us = self.now_us;
        let (pods, _, mut lane) = self.lane();
        let pod = &mut pods[pod];
        lane.try_start_batch(pod, now_us, false);
        let next_us = pod.next_us;
        self.next_pod_us = self.next_pod_us.min(next_us);
    }

    /// A pod's batch is written.
    pub(super) fn end_batch(&mut self, pod: usize) {
        let now_us = self.now_us;
        let (pods, _, mut lane) = self.lane();
        lane.end_batch(&mut pods[pod], now_us);
    }
}

fn first_pod(pods: &[Pod], present: &[usize], until_us: i64) -> Option<usize> {
    let first = present.iter().copied().min_by_key(|pod| pods[*pod].next_us)?;
    (pods[first].next_us <= until_us).then_some(first)
}

impl Lane<'_> {
    /// A pod does what it does next.
    fn go_on(&mut self, pod: &mut Pod) {
        let now_us = std::mem::replace(&mut pod.next_us, NEVER_US);
        let close = match pod.next {
            Next::Look { close } => close,
            Next::BatchEnds => {
                self.end_batch(pod, now_us);
                false
            }
        };
        self.try_start_batch(pod, now_us, close);
    }

    fn try_start_batch(&mut self, pod: &mut Pod, now_us: i64, close: bool) {
        if pod.busy_until_us.is_some()
            || !pod.consumes()
            || pod.partitions.is_empty()
            || self.stands_still
        {
            return;
        }
        let full = if pod.short_batch { 1 } else { pod.batch_limit };
        let (mut records, mut first_us) = (full, now_us);
        if pod.has_evenly(full) {
            self.take_evenly(pod);
        } else {
            let waiting = self.look_for_records(pod, now_us);
            if waiting.records <= full {
                let closes = self.closes(pod, full, waiting, now_us, close);
                let Some(since_us) = closes else { return };
                (records, first_us) = (waiting.records, since_us);
            }
            self.take(pod, full, waiting, first_us);
        }
        self.start_batch(pod, records, first_us, now_us);
    }
}
