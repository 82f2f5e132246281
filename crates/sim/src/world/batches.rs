//! Batches: when they close, what they hold, what becomes of them.
//!
//! A batch closes when it is full, or when its first record has waited for the timeout. A
//! pod takes the same number of records from each of its partitions that has any. With a
//! stated latency the size follows the time that batches took.
//!
//! Ages: a batch that took all that was there holds records that arrived evenly since the
//! pod's last batch; only its oldest is looked up. Where partitions wait for different
//! times, the middle record of each is, and its others at the rate of that moment.

use super::World;
use super::events::us;
use super::pods::{Next, Pod, State};

/// Records of one partition in a batch.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Taken {
    partition: u32,
    epoch: u32,
    records: u64,
}

/// How a batch of so many records divides among so many partitions; kept because it
/// rarely changes and a division takes as long as all else.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Split {
    records: u64,
    partitions: usize,
    each: u64,
    /// So many get one more.
    more: usize,
}

impl Split {
    fn of(self, records: u64, partitions: usize) -> Self {
        if (self.records, self.partitions) == (records, partitions) {
            return self;
        }
        let count = partitions.max(1) as u64;
        Self { records, partitions, each: records / count, more: (records % count) as usize }
    }
}

/// A wake is never planned earlier than this, so that rounding cannot stop the time.
const LEAST_WAIT_US: i64 = 1_000;

/// What a pod could take.
#[derive(Debug, Clone, Copy)]
struct Waiting {
    records: u64,
    /// Of the partitions that have any, the least that one has.
    least: u64,
}

impl World<'_> {
    /// Every pod goes on by itself until a time, inclusive.
    pub(super) fn pods_until(&mut self, until_us: i64) {
        if self.next_pod_us > until_us {
            return;
        }
        if self.scenario.sink.rows_per_s > 0.0 {
            while let Some(pod) = self.first_pod(until_us) {
                self.go_on(pod);
            }
        } else {
            let mut next_us = super::NEVER_US;
            for index in 0..self.present.len() {
                let pod = self.present[index];
                while self.pods[pod].next_us <= until_us {
                    self.go_on(pod);
                }
                next_us = next_us.min(self.pods[pod].next_us);
            }
            self.next_pod_us = next_us;
            return;
        }
        let next = self.present.iter().map(|pod| self.pods[*pod].next_us);
        self.next_pod_us = next.min().unwrap_or(super::NEVER_US);
    }

    fn first_pod(&self, until_us: i64) -> Option<usize> {
        let first = self.present.iter().copied().min_by_key(|pod| self.pods[*pod].next_us)?;
        (self.pods[first].next_us <= until_us).then_some(first)
    }

    fn go_on(&mut self, pod: usize) {
        let Pod { next, next_us, .. } = self.pods[pod];
        self.now_us = next_us;
        self.pods[pod].next_us = super::NEVER_US;
        match next {
            Next::Look { close } => self.try_start_batch(pod, close),
            Next::BatchEnds => {
                self.end_batch(pod);
                self.try_start_batch(pod, false);
            }
        }
    }

    fn plan(&mut self, pod: usize, at_us: i64, next: Next) {
        let pod = &mut self.pods[pod];
        pod.next = next;
        pod.next_us = at_us;
        self.next_pod_us = self.next_pod_us.min(at_us);
    }

    /// All pods look for records.
    pub(super) fn wake_all(&mut self) {
        for index in 0..self.present.len() {
            self.try_start_batch(self.present[index], false);
        }
    }

    /// Starts a batch, or plans when to look again.
    pub(super) fn try_start_batch(&mut self, pod: usize, close: bool) {
        let state = &self.pods[pod];
        if state.busy_until_us.is_some()
            || !state.consumes()
            || state.partitions.is_empty()
            || self.group.stands_still()
        {
            return;
        }
        let full = if state.short_batch { 1 } else { state.batch_limit };
        let joined_us = state.joined_us;
        let waiting = self.look_for_records(pod);
        if waiting.records > full {
            self.start_batch(pod, full, waiting, self.now_us);
            return;
        }
        let Some(first_us) = self.first_arrival_us(pod) else {
            if waiting.records == full || (close && waiting.records > 0) {
                self.start_batch(pod, full, waiting, self.now_us);
            }
            return;
        };
        let deadline_us = first_us.max(joined_us) + us(self.scenario.pod.batch_timeout_s);
        let is_due = waiting.records == full || close || deadline_us <= self.now_us;
        if is_due && waiting.records > 0 {
            self.start_batch(pod, full, waiting, first_us);
            return;
        }
        if self.troubles.paused_us.is_some() {
            return;
        }
        let (at_us, close) = self.next_look(pod, waiting.records, full, first_us, deadline_us);
        self.plan(pod, at_us.max(self.now_us + LEAST_WAIT_US), Next::Look { close });
    }

    /// Fills the pod's batch with everything that waits, and says what that is. The next
    /// look begins with the next partition.
    fn look_for_records(&mut self, pod: usize) -> Waiting {
        let records = self.curve.records(self.log_us());
        let Pod { batch, partitions, turn, .. } = &mut self.pods[pod];
        batch.clear();
        *turn = if *turn + 1 < partitions.len() { *turn + 1 } else { 0 };
        let (last, first) = partitions.split_at(*turn);
        let mut waiting = Waiting { records: 0, least: u64::MAX };
        let mut look = |owned: &[usize]| {
            for partition in owned {
                let part = &self.partitions[*partition];
                let available = part.end(records).saturating_sub(part.read);
                if available > 0 {
                    let partition = *partition as u32;
                    batch.push(Taken { partition, epoch: part.epoch, records: available });
                    waiting.records += available;
                    waiting.least = waiting.least.min(available);
                }
            }
        };
        look(first);
        look(last);
        waiting
    }

    /// Arrival of the oldest record that the pod has not read, or of the next one, by the
    /// order of the look before.
    fn first_arrival_us(&mut self, pod: usize) -> Option<i64> {
        let Pod { partitions, turn, .. } = &self.pods[pod];
        let (last, first) = partitions.split_at(*turn);
        let mut oldest = (f64::INFINITY, 0);
        for partition in first.iter().chain(last) {
            let part = &self.partitions[*partition];
            let on_curve = part.on_curve(part.read);
            if on_curve < oldest.0 {
                oldest = (on_curve, *partition);
            }
        }
        let place = &mut self.partitions[oldest.1].place;
        self.curve.reached_us(oldest.0, place)
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

    /// Records that the pod could take at a time.
    fn available(&self, pod: usize, at_us: i64) -> u64 {
        let records = self.curve.records(at_us);
        let parts = self.pods[pod].partitions.iter().map(|p| &self.partitions[*p]);
        parts.map(|part| part.end(records).saturating_sub(part.read)).sum()
    }

    /// Starts what [`Self::look_for_records`] filled, cut down to `full`.
    fn start_batch(&mut self, pod: usize, full: u64, waiting: Waiting, first_us: i64) {
        let records = waiting.records.min(full);
        let state = &mut self.pods[pod];
        if waiting.records > full {
            state.split = state.split.of(full, state.batch.len());
            share_out(&mut state.batch, state.split, waiting.least);
        }
        for taken in &state.batch {
            self.partitions[taken.partition as usize].read += taken.records;
        }
        state.even = waiting.records <= full && first_us >= state.started_us;
        state.first_us = first_us;
        state.started_us = self.now_us;
        state.short_batch = false;
        let until_us = self.until_us(pod, records);
        let state = &mut self.pods[pod];
        state.busy_until_us = Some(until_us);
        if state.state != State::Draining {
            self.plan(pod, until_us, Next::BatchEnds);
        }
    }

    /// When a batch that starts now will be written.
    fn until_us(&mut self, pod: usize, records: u64) -> i64 {
        let options = &self.scenario.pod;
        let state = &mut self.pods[pod];
        let mut service_s = options.batch_s + options.record_s * records as f64;
        if options.jitter > 0.0 {
            state.batches += 1;
            let swing =
                2.0 * unit(self.random.batches ^ ((pod as u64) << 40 | state.batches)) - 1.0;
            service_s *= 1.0 + options.jitter * swing;
        }
        service_s *= self.troubles.slowdown;
        let ramped_s = state.ramp_up_us;
        let age_us = self.now_us - state.joined_us;
        if age_us < ramped_s {
            let from = options.ramp_up_from;
            service_s /= from + (1.0 - from) * age_us as f64 / ramped_s as f64;
        }
        let alone_us = self.now_us + us(service_s).max(1);
        if self.scenario.sink.rows_per_s <= 0.0 {
            return alone_us;
        }
        let rows_s = records as f64 / self.scenario.sink.rows_per_s * self.troubles.slowdown;
        self.sink.write(self.now_us, alone_us, us(rows_s))
    }

    /// A pod's batch is written.
    pub(super) fn end_batch(&mut self, pod: usize) {
        let state = &mut self.pods[pod];
        state.busy_until_us = None;
        let even = state.even;
        let (first_us, started_us) = (state.first_us, state.started_us);
        let batch = std::mem::take(&mut state.batch);
        let commits = !self.group.refuses_commits();
        let shows = commits && self.scenario.group.commit_interval_s <= 0.0;
        let now_us = self.now_us as f64;
        let (mut total, mut lost) = (0, 0);
        for taken in &batch {
            total += taken.records;
            let part = &mut self.partitions[taken.partition as usize];
            if part.epoch != taken.epoch {
                // It was lost meanwhile, and is read again by somebody.
                lost += taken.records;
                continue;
            }
            if !even {
                let (middle_us, spread_us) = part.arrivals_us(taken.records, self.curve);
                let age_s = |at_us: f64| (now_us - at_us).max(0.0) / 1e6;
                let half_us = spread_us / 2.0;
                let (oldest_s, youngest_s) =
                    (age_s(middle_us - half_us), age_s(middle_us + half_us));
                self.ages.add(taken.records, oldest_s, youngest_s);
            }
            self.counts.expired += part.write(taken.records);
            if commits {
                part.committed = part.written();
            }
            if shows {
                part.visible = part.committed;
            }
        }
        self.counts.processed += total;
        self.counts.duplicated += lost;
        if even && total > lost {
            let age_s = |at_us: i64| (self.now_us - at_us).max(0) as f64 / 1e6;
            self.ages.add(total - lost, age_s(first_us), age_s(started_us));
        }
        self.pods[pod].batch = batch;
        self.adapt(pod, total);
    }

    /// With a stated latency the next batch may be as large as keeps it, judged by the time
    /// of this one; at most twice or half as large.
    fn adapt(&mut self, pod: usize, records: u64) {
        let latency_s = self.scenario.pod.batch_latency_s;
        if latency_s <= 0.0 {
            return;
        }
        let most = u64::from(self.scenario.pod.batch_size);
        let state = &mut self.pods[pod];
        let took_s = (self.now_us - state.started_us) as f64 / 1e6;
        let room = (latency_s / took_s.max(1e-6)).clamp(0.5, 2.0);
        if room < 1.0 || records >= state.batch_limit {
            state.batch_limit = ((records as f64 * room) as u64).clamp(1, most);
        }
    }
}

/// 0 to 1, a hash (splitmix64).
fn unit(number: u64) -> f64 {
    let mut hash = number.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    hash = (hash ^ (hash >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    hash = (hash ^ (hash >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    hash ^= hash >> 31;
    (hash >> 11) as f64 / (1_u64 << 53) as f64
}

/// Cuts what waits, which is more, down to what a split holds: the same number from each
/// as far as it goes, `least` being the least that one has; whoever comes first gets one
/// more.
fn share_out(batch: &mut Vec<Taken>, split: Split, least: u64) {
    let Split { records: wanted, each, more, .. } = split;
    if each > 0 && least > each {
        for (index, taken) in batch.iter_mut().enumerate() {
            taken.records = each + u64::from(index < more);
        }
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
            .map(|(partition, records)| Taken {
                partition: partition as u32,
                records: *records,
                epoch: 0,
            })
            .collect();
        if waiting.iter().sum::<u64>() > wanted {
            let least = waiting.iter().copied().min().unwrap_or(0);
            share_out(&mut batch, Split::default().of(wanted, waiting.len()), least);
        }
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
