//! Batches: when they close, what they hold, what becomes of them.
//!
//! A batch closes when it is full, or when its first record has waited for the timeout. A
//! pod takes the same number of records from each of its partitions that has any.

use rand::RngExt as _;

use super::World;
use super::events::{Event, us};
use super::pods::State;
use crate::scenario::Fault;

/// Records of one partition in a batch.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Taken {
    partition: usize,
    records: u64,
    epoch: u32,
}

/// A wake is never planned earlier than this, so that rounding cannot stop the time.
const LEAST_WAIT_US: i64 = 1_000;

impl World<'_> {
    /// Starts a batch, or plans when to look again.
    pub(super) fn try_start_batch(&mut self, pod: usize, close: bool) {
        if self.pods[pod].busy_until_us.is_some()
            || !self.pods[pod].consumes()
            || self.pods[pod].partitions.is_empty()
            || self.group.stands_still()
        {
            return;
        }
        let full =
            if self.pods[pod].short_batch { 1 } else { u64::from(self.scenario.pod.batch_size) };
        let available = self.available(pod, self.now_us);
        if available >= full || (close && available > 0) {
            self.start_batch(pod, full.min(available));
            return;
        }
        let Some(first_us) = self.first_arrival_us(pod) else { return };
        let deadline_us =
            first_us.max(self.pods[pod].joined_us) + us(self.scenario.pod.batch_timeout_s);
        if available > 0 && deadline_us <= self.now_us {
            self.start_batch(pod, available);
            return;
        }
        let (at_us, close) = self.next_look(pod, available, full, first_us, deadline_us);
        self.wake(pod, at_us, close);
    }

    /// When to look again: when the first record arrives, when the batch should be full,
    /// or when its time is over.
    fn next_look(
        &self,
        pod: usize,
        available: u64,
        full: u64,
        first_us: i64,
        deadline_us: i64,
    ) -> (i64, bool) {
        let from_us = first_us.max(self.now_us);
        let later = self.available(pod, deadline_us.max(from_us));
        if later < full {
            return (deadline_us, true);
        }
        let share = (full - available) as f64 / (later - available) as f64;
        let at_us = from_us + ((deadline_us - from_us) as f64 * share).ceil() as i64;
        (at_us, at_us >= deadline_us)
    }

    fn wake(&mut self, pod: usize, at_us: i64, close: bool) {
        let at_us = at_us.max(self.now_us + LEAST_WAIT_US);
        self.pods[pod].token += 1;
        let token = self.pods[pod].token;
        self.queue.push(at_us, Event::Wake { pod, token, close });
    }

    /// Records that the pod could take at a time.
    fn available(&self, pod: usize, at_us: i64) -> u64 {
        let records = self.curve.records(at_us);
        let parts = self.pods[pod].partitions.iter().map(|p| &self.partitions[*p]);
        parts.map(|part| part.end(records) - part.read).sum()
    }

    /// Arrival of the oldest record that the pod has not read, or of the next one.
    fn first_arrival_us(&mut self, pod: usize) -> Option<i64> {
        let on_curve = |p: &usize| {
            let part = &self.partitions[*p];
            part.on_curve(part.read)
        };
        let first =
            *self.pods[pod].partitions.iter().min_by(|a, b| on_curve(a).total_cmp(&on_curve(b)))?;
        let part = &mut self.partitions[first];
        part.arrival_us(part.read, &self.curve)
    }

    fn start_batch(&mut self, pod: usize, records: u64) {
        self.take(pod, records);
        let options = &self.scenario.pod;
        let mut service_s = options.batch_s + options.record_s * records as f64;
        if options.jitter > 0.0 {
            let swing = 2.0 * self.random.batches.random::<f64>() - 1.0;
            service_s *= 1.0 + options.jitter * swing;
        }
        service_s *= self.slowdown() / self.speed(pod);
        let until_us = self.now_us + us(service_s).max(1);
        let pod_state = &mut self.pods[pod];
        pod_state.short_batch = false;
        pod_state.busy_until_us = Some(until_us);
        pod_state.token += 1;
        let token = pod_state.token;
        self.queue.push(until_us, Event::BatchEnds { pod, token });
    }

    /// Share of full speed while the pod ramps up.
    fn speed(&self, pod: usize) -> f64 {
        let (ramp_s, from) = (self.scenario.pod.ramp_up_s, self.scenario.pod.ramp_up_from);
        let age_s = (self.now_us - self.pods[pod].joined_us) as f64 / 1e6;
        if age_s >= ramp_s { 1.0 } else { from + (1.0 - from) * age_s / ramp_s }
    }

    fn slowdown(&self) -> f64 {
        let factors = self.scenario.faults.iter().filter_map(|fault| match *fault {
            Fault::SlowSink { at_s, duration_s, factor } => {
                (us(at_s)..us(at_s + duration_s)).contains(&self.now_us).then_some(factor)
            }
            _ => None,
        });
        factors.product()
    }

    /// Moves records into the pod's batch: from each partition the same number, where it
    /// has them.
    fn take(&mut self, pod: usize, wanted: u64) {
        let records = self.curve.records(self.now_us);
        let pod = &mut self.pods[pod];
        pod.batch.clear();
        pod.turn += 1;
        let count = pod.partitions.len();
        let order = (0..count).map(|step| pod.partitions[(step + pod.turn) % count]);
        for partition in order {
            let part = &self.partitions[partition];
            let waiting = part.end(records) - part.read;
            if waiting > 0 {
                pod.batch.push(Taken { partition, records: waiting, epoch: part.epoch });
            }
        }
        share_out(&mut pod.batch, wanted);
        for taken in &pod.batch {
            self.partitions[taken.partition].read += taken.records;
        }
    }

    pub(super) fn end_batch(&mut self, pod: usize) {
        self.pods[pod].busy_until_us = None;
        let mut batch = std::mem::take(&mut self.pods[pod].batch);
        for taken in &batch {
            self.end_part(*taken);
        }
        batch.clear();
        self.pods[pod].batch = batch;
        if self.pods[pod].state == State::Draining {
            self.leave(pod);
        } else {
            self.try_start_batch(pod, false);
        }
    }

    fn end_part(&mut self, taken: Taken) {
        let part = &mut self.partitions[taken.partition];
        self.counts.processed += taken.records;
        if part.epoch != taken.epoch {
            // It was lost meanwhile, and is read again by somebody.
            self.counts.duplicated += taken.records;
            return;
        }
        let last = part.written + taken.records - 1;
        let first_us = part.arrival_us(part.written, &self.curve).unwrap_or(self.now_us);
        let last_us = part.arrival_us(last, &self.curve).unwrap_or(self.now_us);
        part.written = last + 1;
        if !self.group.refuses_commits() {
            part.committed = part.written;
            if self.scenario.group.commit_interval_s <= 0.0 {
                part.visible = part.committed;
            }
        }
        let age_s = |at_us: i64| (self.now_us - at_us).max(0) as f64 / 1e6;
        self.ages.add(taken.records, age_s(first_us), age_s(last_us));
    }
}

/// Cuts what waits down to `wanted` records in all, the same number from each as far as it
/// goes; whoever comes first gets one more.
fn share_out(batch: &mut Vec<Taken>, wanted: u64) {
    let total: u64 = batch.iter().map(|taken| taken.records).sum();
    if total <= wanted {
        return;
    }
    // The level to which everybody is filled.
    let (mut left, mut level) = (wanted, 0);
    let mut sizes: Vec<u64> = batch.iter().map(|taken| taken.records).collect();
    sizes.sort_unstable();
    for (index, size) in sizes.iter().enumerate() {
        let open = (sizes.len() - index) as u64;
        if (size - level) * open > left {
            level += left / open;
            left %= open;
            break;
        }
        left -= (size - level) * open;
        level = *size;
    }
    for taken in batch.iter_mut() {
        let more = u64::from(left > 0 && taken.records > level);
        taken.records = taken.records.min(level + more);
        left -= more;
    }
    batch.retain(|taken| taken.records > 0);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sizes(waiting: &[u64], wanted: u64) -> Vec<u64> {
        let mut batch: Vec<Taken> = waiting
            .iter()
            .enumerate()
            .map(|(partition, records)| Taken { partition, records: *records, epoch: 0 })
            .collect();
        share_out(&mut batch, wanted);
        batch.iter().map(|taken| taken.records).collect()
    }

    #[test]
    fn everybody_gets_the_same_as_far_as_it_goes() {
        assert_eq!(sizes(&[500, 500], 100), [50, 50]);
        assert_eq!(sizes(&[10, 500, 500], 101), [10, 46, 45]);
        assert_eq!(sizes(&[3, 3], 100), [3, 3]);
        assert_eq!(sizes(&[5, 5, 5], 2), [1, 1]);
    }

    proptest! {
        #[test]
        fn a_batch_is_as_large_as_wanted(
            waiting in prop::collection::vec(1..300_u64, 1..30), wanted in 1..2000_u64
        ) {
            let total: u64 = waiting.iter().sum();
            let taken = sizes(&waiting, wanted);
            prop_assert_eq!(taken.iter().sum::<u64>(), total.min(wanted));
        }
    }
}
