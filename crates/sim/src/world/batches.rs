//! Batches: when they close, what they hold, what becomes of them.
//!
//! A batch closes when it is full, or when its first record has waited for the timeout. A
//! pod takes the same number of records from each of its partitions that has any. With a
//! stated latency the size follows the time that batches took.
//!
//! Ages: a batch that took all that was there holds records that arrived evenly since the
//! pod's last batch; only its oldest is looked up. Where partitions wait for different
//! times, the middle record of each is, and its others at the rate of that moment.

use super::ages::Ages;
use super::events::us;
use super::partitions::Partition;
use super::pods::{Next, Pod, State};
use super::sink::Sink;
use super::split::{Taken, share_out};
use super::{NEVER_US, World};
use crate::load::ArrivalCurve;
use crate::scenario;
use crate::summary::Counts;

/// A wake is never planned earlier than this, so that rounding cannot stop the time.
const LEAST_WAIT_US: i64 = 1_000;

/// What a pod could take.
#[derive(Debug, Clone, Copy)]
struct Waiting {
    records: u64,
    /// Of the partitions that have any, the least that one has.
    least: u64,
    /// Where the curve of all records stands when the oldest record arrives that the pod has
    /// not read, or the next one.
    oldest: f64,
}

/// What a pod touches as it goes on by itself, and what holds meanwhile.
struct Lane<'w> {
    curve: &'w ArrivalCurve,
    options: &'w scenario::Pod,
    partitions: &'w mut [Partition],
    ages: &'w mut Ages,
    counts: &'w mut Counts,
    sink: &'w mut Sink,
    timeout_us: i64,
    /// Of the shared sink; 0 is without limit.
    rows_per_s: f64,
    /// Of the draws of batches.
    seed: u64,
    slowdown: f64,
    paused_us: Option<i64>,
    stands_still: bool,
    commits: bool,
    /// Readers of the lag see a commit at once.
    shows: bool,
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
        let waiting = self.look_for_records(pod, now_us);
        let first_us = if waiting.records > full {
            now_us
        } else if let Some(first_us) = self.closes(pod, full, waiting, now_us, close) {
            first_us
        } else {
            return;
        };
        self.start_batch(pod, full, waiting, first_us, now_us);
    }

    /// Whether a batch closes now that takes all that waits: since when its first record
    /// waits. If not, plans when to look again.
    fn closes(
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
    fn look_for_records(&mut self, pod: &mut Pod, now_us: i64) -> Waiting {
        // Producers wait while the broker does.
        let records = self.curve.records(self.paused_us.unwrap_or(now_us));
        let Pod { batch, partitions, turn, .. } = pod;
        batch.clear();
        *turn = if *turn + 1 < partitions.len() { *turn + 1 } else { 0 };
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

    /// Starts what [`Self::look_for_records`] filled, cut down to `full`.
    fn start_batch(
        &mut self,
        pod: &mut Pod,
        full: u64,
        waiting: Waiting,
        first_us: i64,
        now_us: i64,
    ) {
        if waiting.records > full {
            pod.split = pod.split.of(full, pod.batch.len());
            share_out(&mut pod.batch, pod.split, waiting.least);
        }
        for taken in &pod.batch {
            self.partitions[taken.partition as usize].read += taken.records;
        }
        pod.even = waiting.records <= full && first_us >= pod.started_us;
        pod.first_us = first_us;
        pod.started_us = now_us;
        pod.short_batch = false;
        let until_us = self.until_us(pod, waiting.records.min(full), now_us);
        pod.busy_until_us = Some(until_us);
        if pod.state != State::Draining {
            pod.next = Next::BatchEnds;
            pod.next_us = until_us;
        }
    }

    /// When a batch that starts now will be written.
    fn until_us(&mut self, pod: &mut Pod, records: u64, now_us: i64) -> i64 {
        let options = self.options;
        let mut service_s = options.batch_s + options.record_s * records as i64 as f64;
        if options.jitter > 0.0 {
            pod.batches += 1;
            let swing = 2.0 * unit(self.seed ^ (pod.id << 40 | pod.batches)) - 1.0;
            service_s *= 1.0 + options.jitter * swing;
        }
        service_s *= self.slowdown;
        let age_us = now_us - pod.joined_us;
        if age_us < pod.ramp_up_us {
            let from = options.ramp_up_from;
            service_s /= from + (1.0 - from) * age_us as f64 / pod.ramp_up_us as f64;
        }
        let alone_us = now_us + us(service_s).max(1);
        if self.rows_per_s <= 0.0 {
            return alone_us;
        }
        let rows_s = records as f64 / self.rows_per_s * self.slowdown;
        self.sink.write(now_us, alone_us, us(rows_s))
    }

    fn end_batch(&mut self, pod: &mut Pod, now_us: i64) {
        pod.busy_until_us = None;
        let (mut total, mut lost) = (0, 0);
        for taken in &pod.batch {
            total += taken.records;
            let part = &mut self.partitions[taken.partition as usize];
            if part.epoch != taken.epoch {
                // It was lost meanwhile, and is read again by somebody.
                lost += taken.records;
                continue;
            }
            if !pod.even {
                let (middle_us, spread_us) = part.arrivals_us(taken.records, self.curve);
                let age_s = |at_us: f64| (now_us as f64 - at_us).max(0.0) / 1e6;
                let half_us = spread_us / 2.0;
                let (oldest_s, youngest_s) =
                    (age_s(middle_us - half_us), age_s(middle_us + half_us));
                self.ages.add(taken.records, oldest_s, youngest_s);
            }
            self.counts.expired += part.write(taken.records);
            if self.commits {
                part.committed = part.written();
            }
            if self.shows {
                part.visible = part.committed;
            }
        }
        self.counts.processed += total;
        self.counts.duplicated += lost;
        if pod.even && total > lost {
            let age_s = |at_us: i64| (now_us - at_us).max(0) as f64 / 1e6;
            self.ages.add(total - lost, age_s(pod.first_us), age_s(pod.started_us));
        }
        if self.options.batch_latency_s > 0.0 {
            self.adapt(pod, total, now_us);
        }
    }

    /// With a stated latency the next batch may be as large as keeps it, judged by the time
    /// of this one; at most twice or half as large.
    fn adapt(&self, pod: &mut Pod, records: u64, now_us: i64) {
        let most = u64::from(self.options.batch_size);
        let took_s = (now_us - pod.started_us) as f64 / 1e6;
        let room = (self.options.batch_latency_s / took_s.max(1e-6)).clamp(0.5, 2.0);
        if room < 1.0 || records >= pod.batch_limit {
            pod.batch_limit = ((records as f64 * room) as u64).clamp(1, most);
        }
    }
}

/// 0 to 1, a hash (splitmix64).
fn unit(number: u64) -> f64 {
    let mut hash = number.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    hash = (hash ^ (hash >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    hash = (hash ^ (hash >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    hash ^= hash >> 31;
    // Signed, which the processor converts in one step.
    (hash >> 11) as i64 as f64 / (1_u64 << 53) as f64
}
