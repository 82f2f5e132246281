//! When a batch closes, and what waits for it.
//!
//! A pod takes the same number of records from each of its partitions that has any.

use super::batches::Lane;
use super::pod::{Next, Pod};
use super::split::Taken;

/// A wake is never planned earlier than this, so that rounding cannot stop the time.
const LEAST_WAIT_US: i64 = 1_000;

/// What a pod could take.
#[derive(Debug, Clone, Copy)]
pub(super) struct Waiting {
    pub(super) records: u64,
    /// Of the partitions that have any, the least that one has.
    pub(super) least: u64,
    /// Where the curve of all records stands when the oldest record arrives that the pod has
    /// not read, or the next one.
    pub(super) oldest: f64,
}

impl Lane<'_> {
    /// Whether a batch closes now that takes all that waits: since when its first record
    /// waits. If not, plans when to look again.
    pub(super) fn closes(
        &self,
        pod: &mut Pod,
        full: u64,
        waiting: Waiting,
        now_us: i64,
        close: bool,
    ) -> Option<i64> {
        // Most often it arrived just after the last batch had taken all that was there.
        let near_us = if waiting.records > 0 { pod.started_us } else { now_us };
        let Some(first_us) = self.curve.reached_near_us(waiting.oldest, near_us) else {
            let closes = waiting.records == full || (close && waiting.records > 0);
            return closes.then_some(now_us);
        };
        let deadline_us = first_us.max(pod.joined_us) + self.timeout_us;
        let is_due = waiting.records == full || close || deadline_us <= now_us;
        if is_due && waiting.records > 0 {
            return Some(first_us);
        }
        if self.paused_us.is_none() {
            let from_us = first_us.max(now_us);
            let (at_us, close) = self.next_look(pod, waiting.records, full, from_us, deadline_us);
            pod.next = Next::Look { close };
            pod.next_us = at_us.max(now_us + LEAST_WAIT_US);
        }
        None
    }

    /// Fills the pod's batch with everything that waits, and says what that is. The next
    /// look begins with the next partition.
    pub(super) fn look_for_records(&mut self, pod: &mut Pod, now_us: i64) -> Waiting {
        // Producers wait while the broker does.
        let records = self.curve.records(self.paused_us.unwrap_or(now_us));
        pod.next_turn();
        let Pod { batch, partitions, turn, .. } = pod;
        batch.clear();
        let mut waiting = Waiting { records: 0, least: u64::MAX, oldest: f64::INFINITY };
        let mut at = *turn;
        for _ in 0..partitions.len() {
            let partition = partitions[at];
            at = if at + 1 < partitions.len() { at + 1 } else { 0 };
            let part = &self.partitions[partition as usize];
            let on_curve = part.on_curve(part.read);
            if on_curve < waiting.oldest {
                waiting.oldest = on_curve;
            }
            let available = part.end(records).saturating_sub(part.read);
            if available > 0 {
                batch.push(Taken { partition, epoch: part.epoch, records: available });
                waiting.records += available;
                waiting.least = waiting.least.min(available);
            }
        }
        waiting
    }

    /// When to look again: when the first record arrives, when the batch should be full,
    /// or when its time is over.
    fn next_look(
        &self,
        pod: &Pod,
        available: u64,
        full: u64,
        from_us: i64,
        deadline_us: i64,
    ) -> (i64, bool) {
        let later = self.available(pod, deadline_us.max(from_us));
        if later < full {
            return (deadline_us, true);
        }
        let share = (full - available) as f64 / (later - available) as f64;
        let at_us = from_us + ((deadline_us - from_us) as f64 * share).ceil() as i64;
        (at_us, at_us >= deadline_us)
    }

    /// Records that the pod could take at a time.
    fn available(&self, pod: &Pod, at_us: i64) -> u64 {
        let records = self.curve.records(at_us);
        let parts = pod.partitions.iter().map(|p| &self.partitions[*p as usize]);
        parts.map(|part| part.end(records).saturating_sub(part.read)).sum()
    }
}
