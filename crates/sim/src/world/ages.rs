//! Ages of processed records: a histogram, and the sum of a second.

/// Widths of the bins, seconds, and up to where: 10 ms to 30 s, 100 ms to 630 s, a minute
/// above, the last open.
const FINE_S: f64 = 0.01;
const FINE: usize = 3_000;
const MIDDLE_S: f64 = 0.1;
const MIDDLE: usize = 6_000;
const COARSE_S: f64 = 60.0;
const COARSE: usize = 10_080;

/// A batch's ages spread evenly; it is counted in this many parts, unless they differ by
/// less than this share.
const PARTS: u64 = 4;
const ALIKE: f64 = 0.05;

#[derive(Debug, Clone)]
pub(crate) struct Ages {
    bins: Vec<u64>,
    /// Records, and the sum of their ages, of the current second.
    second: (u64, f64),
    pub(crate) max_s: f64,
}

/// A batch's records by their age.
#[derive(Debug, Clone, Copy)]
struct Parts {
    first_s: f64,
    step_s: f64,
    /// Records of each but the last.
    each: u64,
    last: u64,
}

impl Ages {
    pub(crate) fn new() -> Self {
        Self { bins: vec![0; FINE + MIDDLE + COARSE], second: (0, 0.0), max_s: 0.0 }
    }

    /// Records of ages that spread evenly between two values.
    #[inline]
    pub(crate) fn add(&mut self, records: u64, oldest_s: f64, youngest_s: f64) {
        let mean_s = 0.5 * (oldest_s + youngest_s);
        let spread_s = oldest_s - youngest_s;
        if records < PARTS || spread_s < FINE_S + ALIKE * oldest_s {
            self.bins[bin(mean_s)] += records;
        } else {
            self.add_in_parts(records, youngest_s, spread_s);
        }
        self.second.0 += records;
        self.second.1 += records as i64 as f64 * mean_s;
        if oldest_s > self.max_s {
            self.max_s = oldest_s;
        }
    }

    #[inline]
    fn add_in_parts(&mut self, records: u64, youngest_s: f64, spread_s: f64) {
        let (each, step_s) = (records / PARTS, spread_s / PARTS as f64);
        let first_s = youngest_s + step_s / 2.0;
        let parts = Parts { first_s, step_s, each, last: records - (PARTS - 1) * each };
        if is_fine(first_s) {
            self.add_parts(parts, bin);
        } else {
            // All others are older.
            self.add_parts(parts, bin_above_fine);
        }
    }

    #[inline]
    fn add_parts(&mut self, parts: Parts, bin: impl Fn(f64) -> usize) {
        let mut age_s = parts.first_s;
        for _ in 1..PARTS {
            self.bins[bin(age_s)] += parts.each;
            age_s += parts.step_s;
        }
        self.bins[bin(age_s)] += parts.last;
    }

    /// Records and the sum of their ages since the last call.
    pub(crate) fn take_second(&mut self) -> (u64, f64) {
        std::mem::take(&mut self.second)
    }

    /// The highest age, to a bin's width, that this bin and those above hold more than so
    /// many records of; 0 when there are not that many.
    pub(crate) fn exceeded_s(&self, records: f64) -> f64 {
        let top = bin(self.max_s);
        let mut sum = 0;
        for index in (0..=top).rev() {
            sum += self.bins[index];
            if sum as i64 as f64 > records {
                return upper_s(index).min(self.max_s);
            }
        }
        0.0
    }

    /// The age that a share of the records does not exceed, to a bin's width.
    pub(crate) fn quantile_s(&self, share: f64) -> f64 {
        let wanted = self.bins.iter().sum::<u64>() as f64 * share;
        let mut sum = 0;
        for (index, records) in self.bins.iter().enumerate() {
            sum += records;
            if sum > 0 && sum as f64 >= wanted {
                return upper_s(index).min(self.max_s);
            }
        }
        self.max_s
    }
}

/// Ages are converted to `u32`, which the processor does in fewer steps than to 64 bits;
/// what exceeds it is beyond the last bin anyway.
#[inline]
fn bin(age_s: f64) -> usize {
    if is_fine(age_s) { (age_s * FINE_S.recip()) as u32 as usize } else { bin_above_fine(age_s) }
}

#[inline]
fn is_fine(age_s: f64) -> bool {
    age_s * FINE_S.recip() < FINE as f64
}

#[inline]
fn bin_above_fine(age_s: f64) -> usize {
    let above_s = age_s - FINE_S * FINE as f64;
    let middle = (above_s * MIDDLE_S.recip()) as u32 as usize;
    if middle < MIDDLE {
        return FINE + middle;
    }
    let above_s = above_s - MIDDLE_S * MIDDLE as f64;
    FINE + MIDDLE + ((above_s / COARSE_S) as usize).min(COARSE - 1)
}

fn upper_s(index: usize) -> f64 {
    if index < FINE {
        return (index + 1) as f64 * FINE_S;
    }
    let fine_s = FINE as f64 * FINE_S;
    if index < FINE + MIDDLE {
        return fine_s + (index - FINE + 1) as f64 * MIDDLE_S;
    }
    fine_s + MIDDLE as f64 * MIDDLE_S + (index - FINE - MIDDLE + 1) as f64 * COARSE_S
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_to_a_bin() {
        let mut ages = Ages::new();
        for second in 0..1000 {
            let age_s = f64::from(second) + 0.05;
            ages.add(1, age_s, age_s);
        }
        assert!((ages.quantile_s(0.5) - 499.1).abs() < 0.11, "{}", ages.quantile_s(0.5));
        assert!((ages.quantile_s(0.99) - 989.0).abs() < 60.0, "{}", ages.quantile_s(0.99));
        let (records, sum_s) = ages.take_second();
        assert_eq!((records, ages.max_s), (1000, 999.05));
        assert!((sum_s - 499_550.0).abs() < 1e-6);
        assert_eq!(ages.take_second(), (0, 0.0));
    }

    #[test]
    fn what_is_certain_of_a_quantile_before_the_end() {
        let mut ages = Ages::new();
        for second in 0..100 {
            ages.add(10, f64::from(second), f64::from(second));
            // Whatever comes, 1,500 in all: the 99th percentile is at least this.
            let least_s = ages.exceeded_s(15.0);
            let mut rest = Ages { bins: ages.bins.clone(), ..Ages::new() };
            rest.max_s = ages.max_s;
            rest.add(1500 - 10 * (u64::try_from(second).expect("small") + 1), 0.0, 0.0);
            assert!(least_s <= rest.quantile_s(0.99), "{second}: {least_s}");
        }
        assert!((98.0..98.2).contains(&ages.exceeded_s(15.0)), "{}", ages.exceeded_s(15.0));
        assert_eq!(ages.exceeded_s(1e9), 0.0);
    }

    #[test]
    fn a_batch_spreads_over_its_ages() {
        let mut ages = Ages::new();
        ages.add(1000, 2.0, 1.0);
        let quarter = |share, like: f64| (ages.quantile_s(share) - like).abs() < 0.02;
        assert!(quarter(0.25, 1.125) && quarter(0.5, 1.375) && quarter(1.0, 1.875));
        assert_eq!(ages.max_s, 2.0);
    }

    #[test]
    fn bins_are_contiguous() {
        for index in 0..FINE + MIDDLE + COARSE {
            assert_eq!(bin(upper_s(index) - 1e-3), index);
        }
    }
}
