//! Ages of processed records: a histogram, and the sum of a second.

/// Width of the fine bins, seconds, and their number.
const FINE_S: f64 = 0.1;
const FINE: usize = 6_000;
/// Coarse bins above, one a minute, the last open.
const COARSE_S: f64 = 60.0;
const COARSE: usize = 10_080;

#[derive(Debug)]
pub(crate) struct Ages {
    bins: Vec<u64>,
    /// Records, and the sum of their ages, of the current second.
    second: (u64, f64),
    pub(crate) max_s: f64,
}

impl Ages {
    pub(crate) fn new() -> Self {
        Self { bins: vec![0; FINE + COARSE], second: (0, 0.0), max_s: 0.0 }
    }

    /// Records of ages that spread evenly between two values.
    pub(crate) fn add(&mut self, records: u64, oldest_s: f64, youngest_s: f64) {
        let mean_s = f64::midpoint(oldest_s, youngest_s);
        self.bins[bin(mean_s)] += records;
        self.second.0 += records;
        self.second.1 += records as f64 * mean_s;
        self.max_s = self.max_s.max(oldest_s);
    }

    /// Records and the sum of their ages since the last call.
    pub(crate) fn take_second(&mut self) -> (u64, f64) {
        std::mem::take(&mut self.second)
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

fn bin(age_s: f64) -> usize {
    let fine = (age_s / FINE_S) as usize;
    if fine < FINE {
        return fine;
    }
    let above_s = age_s - FINE_S * FINE as f64;
    FINE + ((above_s / COARSE_S) as usize).min(COARSE - 1)
}

fn upper_s(index: usize) -> f64 {
    if index < FINE {
        return (index + 1) as f64 * FINE_S;
    }
    FINE as f64 * FINE_S + (index - FINE + 1) as f64 * COARSE_S
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
}
