//! What a batch takes of each partition when more waits than it holds.

/// Records of one partition in a batch.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Taken {
    pub(super) partition: u32,
    pub(super) epoch: u32,
    pub(super) records: u64,
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
    pub(super) fn of(self, records: u64, partitions: usize) -> Self {
        if (self.records, self.partitions) == (records, partitions) {
            return self;
        }
        let count = partitions.max(1) as u64;
        Self { records, partitions, each: records / count, more: (records % count) as usize }
    }

    /// Whether everybody gives the same, or one more, `least` being the least that one has.
    #[inline]
    pub(super) fn is_even(self, least: u64) -> bool {
        self.each > 0 && least > self.each
    }

    /// The most that anybody gives, if it is even.
    #[inline]
    pub(super) fn most(self) -> u64 {
        self.each + u64::from(self.more > 0)
    }

    /// Divides a batch evenly: whoever comes first gives one more.
    #[inline]
    pub(super) fn share_evenly(self, batch: &mut [Taken]) {
        for (index, taken) in batch.iter_mut().enumerate() {
            taken.records = self.each + u64::from(index < self.more);
        }
    }
}

/// Cuts what waits, which is more, down to what a split holds: the same number from each
/// as far as it goes, `least` being the least that one has; whoever comes first gets one
/// more.
pub(super) fn share_out(batch: &mut Vec<Taken>, split: Split, least: u64) {
    if split.is_even(least) {
        split.share_evenly(batch);
        return;
    }
    let (each, mut more) = level(batch, split.records, split.each);
    for taken in batch.iter_mut() {
        let one = u64::from(more > 0 && taken.records > each);
        taken.records = taken.records.min(each + one);
        more -= one as usize;
    }
    batch.retain(|taken| taken.records > 0);
}

/// The level to which everybody is filled, and how many get one more. Begins at an even
/// share; whoever has less leaves the rest more.
fn level(batch: &[Taken], wanted: u64, even: u64) -> (u64, usize) {
    let mut level = even;
    loop {
        let (mut left, mut open) = (wanted, 0);
        for taken in batch {
            if taken.records > level {
                open += 1;
            } else {
                left -= taken.records;
            }
        }
        let higher = left / open;
        if higher == level {
            return (level, (left % open) as usize);
        }
        level = higher;
    }
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
