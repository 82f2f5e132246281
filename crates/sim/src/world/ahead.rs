//! What pods wrote before its second was counted: between rows they go on ahead of the time.

use super::LOOK_S;

/// Records written in seconds that are still to be counted, `LOOK_S` of them at most.
#[derive(Debug, Clone, Default)]
pub(super) struct Ahead {
    in_second: [u64; LOOK_S as usize],
    sum: u64,
    /// Until which seconds are counted.
    counted: u32,
}

impl Ahead {
    /// Records were written at a time.
    #[inline]
    pub(super) fn add(&mut self, at_us: i64, records: u64) {
        // What is written as a second ends belongs to it, if its row is not made yet.
        let second = (at_us as u64).div_ceil(1_000_000).max(u64::from(self.counted) + 1);
        self.in_second[second as usize % LOOK_S as usize] += records;
        self.sum += records;
    }

    /// A second is over: what was written after it.
    pub(super) fn after(&mut self, second: u32) -> u64 {
        self.sum -= std::mem::take(&mut self.in_second[(second % LOOK_S) as usize]);
        self.counted = second;
        self.sum
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_counts_what_was_written_until_its_end() {
        let mut ahead = Ahead::default();
        for (at_us, records) in [(1, 1), (1_000_000, 2), (1_000_001, 4), (16_000_000, 8)] {
            ahead.add(at_us, records);
        }
        assert_eq!([1, 2, 3].map(|second| ahead.after(second)), [12, 8, 8]);
        assert_eq!(ahead.after(16), 0);
        ahead.add(16_000_000, 16);
        assert_eq!(ahead.after(17), 0, "written after the row of its second, counted in the next");
    }
}
