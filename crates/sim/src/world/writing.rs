//! What becomes of a batch: when it is written, and how old its records are then.
//!
//! Ages: a batch that took all that was there holds records that arrived evenly since the
//! pod's last batch; only its oldest is looked up. Where partitions wait for different
//! times, the middle record of each is, and its others at the rate of that moment.

use super::batches::Lane;
use super::closing::Waiting;
use super::events::us;
use super::pod::{Next, Pod, State};
use super::split::share_out;

impl Lane<'_> {
    /// Takes what `look_for_records` filled, cut down to `full`.
    pub(super) fn take(&mut self, pod: &mut Pod, full: u64, waiting: Waiting, first_us: i64) {
        pod.at_least = 0;
        if waiting.records > full {
            pod.split = pod.split.of(full, pod.batch.len());
            share_out(&mut pod.batch, pod.split, waiting.least);
            if pod.split.is_even(waiting.least) && pod.batch.len() == pod.partitions.len() {
                pod.at_least = waiting.least - pod.split.most();
            }
        }
        for taken in &pod.batch {
            self.partitions[taken.partition as usize].read += taken.records;
        }
        pod.even = waiting.records <= full && first_us >= pod.started_us;
    }

    /// Takes the same of every partition, or one more: all are known to have that.
    pub(super) fn take_evenly(&mut self, pod: &mut Pod) {
        pod.next_turn();
        pod.batch.rotate_left(1);
        pod.split.share_evenly(&mut pod.batch);
        for taken in &pod.batch {
            self.partitions[taken.partition as usize].read += taken.records;
        }
        pod.at_least -= pod.split.most();
        pod.even = false;
    }

    /// Starts a batch that was taken, whose first record arrived then.
    pub(super) fn start_batch(&mut self, pod: &mut Pod, records: u64, first_us: i64, now_us: i64) {
        pod.first_us = first_us;
        pod.started_us = now_us;
        pod.short_batch = false;
        let until_us = self.until_us(pod, records, now_us);
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

    pub(super) fn end_batch(&mut self, pod: &mut Pod, now_us: i64) {
        pod.busy_until_us = None;
        let (mut total, mut lost, mut skipped) = (0, 0, 0);
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
            skipped += part.write(taken.records);
            if self.commits {
                part.committed = part.written();
            }
            if self.shows {
                part.visible = part.committed;
            }
        }
        self.counts.processed += total;
        self.counts.duplicated += lost;
        self.counts.expired += skipped;
        self.ahead.add(now_us, total - lost + skipped);
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
