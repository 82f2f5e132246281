//! How others look at a running pipeline.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use tidegate_kafka::{GroupStatus, PodReport};

use crate::status::{Phase, Status};

/// Status and health of a [`Pipeline`](crate::Pipeline). Cheap to clone. It keeps nothing
/// running: a pipeline ends without its handles.
#[derive(Debug, Clone)]
pub struct PipelineHandle {
    status: Arc<Status>,
}

impl PipelineHandle {
    pub(crate) fn new(status: Arc<Status>) -> Self {
        Self { status }
    }

    /// Where the pipeline is in its life.
    pub fn phase(&self) -> Phase {
        self.status.phase()
    }

    /// Whether the process does its work at all.
    ///
    /// # Errors
    /// Why a restart would help, for humans.
    pub fn healthy(&self) -> Result<(), String> {
        let poll_thread_ended = self.group().is_some_and(|group| !group.alive);
        match self.phase() {
            Phase::Ended => Err("the pipeline has ended".into()),
            Phase::Running if poll_thread_ended => Err("the poll thread has ended".into()),
            _ => Ok(()),
        }
    }

    /// Whether records can be written now: member of the group, sink reachable,
    /// not draining.
    ///
    /// # Errors
    /// Why not, for humans.
    pub fn ready(&self) -> Result<(), String> {
        if let Some(failure) = self.status.sink_failure() {
            return Err(format!("sink: {failure}"));
        }
        match self.phase() {
            Phase::Starting => Err("starting: the group is not joined yet".into()),
            Phase::Draining => Err("draining".into()),
            Phase::Ended => Err("the pipeline has ended".into()),
            Phase::Running => match self.group() {
                Some(group) if !group.alive => Err("the poll thread has ended".into()),
                Some(group) if group.member_id.is_some() => group.unread.map_or(Ok(()), Err),
                _ => Err("joining the group".into()),
            },
        }
    }

    /// What a pod tells its supervisor, as of now.
    pub fn report(&self) -> PodReport {
        let status = &self.status;
        let sink = status.sink();
        let report = PodReport {
            t_ms: crate::clock::now_ms(),
            buffered_records: status.metrics.buffered_records.get().max(0) as u64,
            processed_total: status.rows.load(Relaxed),
            dead_lettered_total: status.dead_letters.load(Relaxed),
            oldest_age_ms: status.oldest_age_ms(),
            batches_total: status.batches.load(Relaxed),
            batch_seconds_total: status.batch_micros.load(Relaxed) as f64 / 1e6,
            sink_limited: sink.limited,
            sink_busy: sink.busy,
            sink_slowdown: sink.slowdown.max(1.0),
            sink_fixed_s: sink.fixed_s,
            sink_row_s: sink.row_s,
            batch_limit: sink.batch_limit as u64,
            writes_limit: sink.writes_limit as u64,
            fenced_total: status.fenced.load(Relaxed),
            ready: self.ready().is_ok(),
            ..PodReport::default()
        };
        let Some(group) = self.group() else { return report };
        PodReport {
            member_id: group.member_id,
            protocol: group.protocol,
            assigned: group.assigned.iter().map(|partition| partition.partition).collect(),
            rebalances_total: group.rebalances_total,
            commits_total: group.commits_total,
            commit_failures_total: group.commit_failures.values().sum(),
            ..report
        }
    }

    /// Makes the coming stop keep the place of a static member in its group, see
    /// [`GroupHandle::keep_place`](tidegate_kafka::GroupHandle::keep_place). Call it before the shutdown resolves.
    pub fn keep_place(&self) {
        self.status.keep_place();
    }

    fn group(&self) -> Option<GroupStatus> {
        self.status.group()
    }
}
