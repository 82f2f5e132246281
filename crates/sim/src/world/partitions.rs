//! One partition: its share of the arrivals, its positions, its owner.

use crate::load::{ArrivalCurve, Place, Reached};

/// A partition. `committed ≤ written ≤ read ≤ end`, in records.
/// `visible` follows `committed`.
#[derive(Debug, Clone)]
pub(crate) struct Partition {
    weight: f64,
    /// 1 / weight.
    spacing: f64,
    /// Shifts when its records arrive, so that partitions do not take turns in step.
    phase: f64,
    pub(crate) place: Place,
    /// Who reads it.
    pub(crate) owner: Option<usize>,
    /// Whose it is by the last assignment.
    pub(crate) heir: Option<usize>,
    /// Until then its old owner may still write what it had in flight.
    pub(crate) released_us: i64,
    /// Changes when records in flight stop counting.
    pub(crate) epoch: u32,
    /// Changes with each assignment; an older one on its way is void.
    pub(crate) claim: u32,
    pub(crate) read: u64,
    written: u64,
    /// Where the curve of all records stands when the next one to be written arrives.
    oldest_on_curve: f64,
    pub(crate) committed: u64,
    /// What readers of the lag see of it.
    pub(crate) visible: u64,
    /// Records before it are deleted.
    pub(crate) log_start: u64,
}

/// Records in all of them when this many arrived.
pub(super) fn end(all: &[Partition], records: f64) -> u64 {
    all.iter().map(|part| part.end(records)).sum()
}

impl Partition {
    pub(crate) fn new(index: usize, weight: f64) -> Self {
        /// The golden ratio's multiples spread evenly over 0 to 1.
        const SPREAD: f64 = 0.618_033_988_749_895;
        let mut part = Self {
            weight,
            spacing: weight.recip(),
            phase: (index as f64 * SPREAD).fract(),
            oldest_on_curve: 0.0,
            place: Place::default(),
            owner: None,
            heir: None,
            released_us: 0,
            epoch: 0,
            claim: 0,
            read: 0,
            written: 0,
            committed: 0,
            visible: 0,
            log_start: 0,
        };
        part.set_written(0);
        part
    }

    pub(crate) fn written(&self) -> u64 {
        self.written
    }

    /// Where the curve of all records stands when the next one to be written arrives.
    pub(crate) fn oldest_on_curve(&self) -> f64 {
        self.oldest_on_curve
    }

    #[inline]
    fn set_written(&mut self, written: u64) {
        self.written = written;
        self.oldest_on_curve = self.on_curve(written);
    }

    /// Records in it when this many arrived in all partitions.
    #[inline]
    pub(crate) fn end(&self, records: f64) -> u64 {
        (self.weight * records + self.phase) as i64 as u64
    }

    /// Where the curve of all records stands when this one arrives.
    #[inline]
    pub(crate) fn on_curve(&self, record: u64) -> f64 {
        ((record + 1) as i64 as f64 - self.phase) * self.spacing
    }

    /// When the middle one of its next records to be written arrived, and how far its first
    /// and last are apart, microseconds.
    #[inline]
    pub(crate) fn arrivals_us(&mut self, records: u64, curve: &ArrivalCurve) -> (f64, f64) {
        let others = (records - 1) as i64 as f64;
        let middle = self.oldest_on_curve + others / 2.0 * self.spacing;
        let reached = curve.reached(middle, &mut self.place);
        let spread_us = |at: Reached| others * self.spacing * at.us_per_record;
        reached.map_or((f64::MAX, 0.0), |at| (at.at_us, spread_us(at)))
    }

    /// Begins at the committed position: returns how many records will be read again.
    pub(crate) fn go_back(&mut self) -> u64 {
        let again = self.written - self.committed;
        self.epoch += 1;
        self.read = self.committed;
        self.set_written(self.committed);
        again
    }

    /// Records of its batch are written. Returns how many were skipped after them, because
    /// they are deleted.
    #[inline]
    pub(crate) fn write(&mut self, records: u64) -> u64 {
        let next = self.written + records;
        self.set_written(next.max(self.log_start));
        self.read = self.read.max(self.written);
        self.written - next
    }

    /// The log begins at this record now. Returns how many were skipped that nobody had
    /// read.
    pub(crate) fn delete_before(&mut self, start: u64) -> u64 {
        self.log_start = self.log_start.max(start);
        if self.read > self.written || self.log_start <= self.written {
            return 0;
        }
        let skipped = self.log_start - self.written;
        self.set_written(self.log_start);
        (self.read, self.committed) = (self.log_start, self.log_start);
        skipped
    }
}
