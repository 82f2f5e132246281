//! How large a batch may become: to the knee of the sink's throughput, and not past
//! a stated latency. Pure: rows and seconds in, a size out.
//!
//! Model: writing n rows takes `fixed + n · row` seconds; both are fitted to the
//! last writes by least squares with weights that halve every fourteen writes.
//! Throughput n / (fixed + n · row) rises towards 1 / row, ever more slowly. The
//! size wanted is the smallest that has 95 % of that, n = 19 · fixed / row, but at
//! most the one whose write takes the target latency. Where the fixed cost alone
//! comes near the target, latency is lost anyway and small batches would lose
//! throughput as well: then half of the possible throughput, n = fixed / row, is
//! kept.
//!
//! The cost of a row is taken at the low end of what the measurements leave open
//! (1.5 standard errors): a cost that they do not show does not keep a batch small,
//! and larger batches show it. Writes of one size say nothing about it, so every
//! sixteenth batch is half as large (twice, at the lower bound). Apart from that a
//! size grows at most fourfold and shrinks at most to half a write, and does not move
//! for a difference below a fifth, so that noise does not move it.
//!
//! Rejected: additive increase, multiplicative decrease (oscillates by design, and
//! needs the latency to be exceeded to learn anything); a target latency alone
//! (says nothing about a sink for which a tenth of it would be enough).

/// Weight that a measurement keeps when the next one comes.
const DECAY: f64 = 0.95;
/// Share of the highest possible throughput at the knee.
const KNEE: f64 = 0.95;
/// Sizes whose deviation is below this share of their mean count as one size.
const DISTINCT: f64 = 0.1;
/// Smaller differences are noise.
const DEAD_BAND: f64 = 0.2;
/// Standard errors that the cost of a row is taken below its estimate.
const CAUTION: f64 = 1.5;
/// One batch in so many has another size.
const PROBE_EVERY: usize = 16;

/// Bounds of a batch.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Bounds {
    /// Fewest records, at least 1.
    pub(crate) min: usize,
    /// Most records.
    pub(crate) max: usize,
    /// Longest write, seconds.
    pub(crate) target_s: f64,
}

/// What a write costs.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(crate) struct Cost {
    /// Seconds a batch, whatever its size.
    pub(crate) fixed_s: f64,
    /// Seconds a row.
    pub(crate) row_s: f64,
}

impl Cost {
    /// The size the law wants.
    pub(crate) fn wanted(self, bounds: Bounds) -> usize {
        if self.row_s <= 0.0 {
            return bounds.max;
        }
        let even = self.fixed_s / self.row_s;
        let knee = even * KNEE / (1.0 - KNEE);
        let in_time = (bounds.target_s - self.fixed_s) / self.row_s;
        (knee.min(in_time.max(even)) as usize).clamp(bounds.min, bounds.max)
    }
}

/// Least squares over the last writes: decayed sums.
#[derive(Debug, Clone, Default)]
pub(crate) struct Fit {
    weight: f64,
    rows: f64,
    seconds: f64,
    rows_squared: f64,
    seconds_squared: f64,
    rows_seconds: f64,
    /// Known since sizes differed.
    row_s: f64,
}

impl Fit {
    /// A write of `rows` took `seconds`.
    pub(crate) fn observe(&mut self, rows: usize, seconds: f64) {
        let rows = rows as f64;
        for (sum, value) in [
            (&mut self.weight, 1.0),
            (&mut self.rows, rows),
            (&mut self.seconds, seconds),
            (&mut self.rows_squared, rows * rows),
            (&mut self.seconds_squared, seconds * seconds),
            (&mut self.rows_seconds, rows * seconds),
        ] {
            *sum = *sum * DECAY + value;
        }
        let (mean_rows, mean_s) = self.means();
        let variance = self.rows_squared / self.weight - mean_rows * mean_rows;
        if variance > (DISTINCT * mean_rows).powi(2) {
            let covariance = self.rows_seconds / self.weight - mean_rows * mean_s;
            let slope = covariance / variance;
            let scatter = self.seconds_squared / self.weight - mean_s * mean_s;
            let unexplained = (scatter - slope * covariance).max(0.0);
            let error = (unexplained / (variance * self.weight)).sqrt();
            self.row_s = slope - CAUTION * error;
        }
        self.row_s = self.row_s.clamp(0.0, mean_s / mean_rows.max(1.0));
    }

    fn means(&self) -> (f64, f64) {
        (self.rows / self.weight, self.seconds / self.weight)
    }

    /// The cost as of now; nothing before the first write.
    pub(crate) fn cost(&self) -> Cost {
        if self.weight == 0.0 {
            return Cost::default();
        }
        let (mean_rows, mean_s) = self.means();
        Cost { fixed_s: (mean_s - self.row_s * mean_rows).max(0.0), row_s: self.row_s }
    }
}

/// The size of the next batch.
#[derive(Debug, Clone)]
pub(crate) struct AdaptiveSize {
    bounds: Bounds,
    size: usize,
    writes: usize,
}

impl AdaptiveSize {
    /// Begins with the smallest size.
    pub(crate) fn new(bounds: Bounds) -> Self {
        Self { bounds, size: bounds.min, writes: 0 }
    }

    /// Most records of the next batch.
    pub(crate) fn next(&self) -> usize {
        if self.writes % PROBE_EVERY != PROBE_EVERY - 1 {
            return self.size;
        }
        let half = self.size.div_ceil(2);
        if half >= self.bounds.min { half } else { (self.size * 2).min(self.bounds.max) }
    }

    /// Whether it is where the cost says, or at a bound.
    pub(crate) fn has_settled(&self, cost: Cost) -> bool {
        is_near(self.size, cost.wanted(self.bounds))
    }

    /// A write of `rows` ended, and this is the cost as of now.
    pub(crate) fn written(&mut self, rows: usize, cost: Cost) {
        self.writes += 1;
        let wanted = cost.wanted(self.bounds);
        // What is not used needs not grow: the cost of a larger batch is a guess.
        let is_used = rows * 2 >= self.size;
        if is_near(self.size, wanted) || wanted > self.size && !is_used {
            return;
        }
        self.size = wanted.clamp(self.size.div_ceil(2), self.size * 4);
    }
}

fn is_near(size: usize, wanted: usize) -> bool {
    (size as f64 - wanted as f64).abs() <= DEAD_BAND * size as f64
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const BOUNDS: Bounds = Bounds { min: 100, max: 10_000, target_s: 2.0 };

    /// Sizes after each of the writes of a sink that always has more to write.
    fn run(cost: Cost, bounds: Bounds, writes: usize, noise: &[f64]) -> Vec<usize> {
        let (mut law, mut fit) = (AdaptiveSize::new(bounds), Fit::default());
        (0..writes)
            .map(|write| {
                let rows = law.next();
                assert!((bounds.min..=bounds.max).contains(&rows), "{rows}");
                let seconds = cost.fixed_s + cost.row_s * rows as f64;
                let noise = noise.get(write % noise.len().max(1)).copied().unwrap_or(1.0);
                fit.observe(rows, seconds * noise);
                law.written(rows, fit.cost());
                law.size
            })
            .collect()
    }

    fn costs() -> impl Strategy<Value = Cost> {
        ((-6.0..1.0f64), (-7.0..-3.0f64))
            .prop_map(|(fixed, row)| Cost { fixed_s: 10f64.powf(fixed), row_s: 10f64.powf(row) })
    }

    fn all_bounds() -> impl Strategy<Value = Bounds> {
        (1..500usize, 0..100_000usize, 0.01..5.0f64).prop_map(|(min, more, target_s)| Bounds {
            min,
            max: min + more,
            target_s,
        })
    }

    proptest! {
        #[test]
        fn a_constant_cost_is_found_and_kept(cost in costs(), bounds in all_bounds()) {
            let sizes = run(cost, bounds, 200, &[]);
            prop_assert!(sizes.iter().all(|size| (bounds.min..=bounds.max).contains(size)));
            let settled = sizes[40];
            prop_assert!(sizes[40..].iter().all(|size| *size == settled), "it moves: {sizes:?}");
            prop_assert!(is_near(settled, cost.wanted(bounds)), "{settled}, {}", cost.wanted(bounds));
        }

        #[test]
        fn a_noisy_cost_stays_in_bounds_and_keeps_its_throughput(
            cost in costs(),
            noise in prop::collection::vec(0.8..1.25f64, 7..50),
        ) {
            let sizes = run(cost, BOUNDS, 400, &noise);
            prop_assert!(sizes.iter().all(|size| (BOUNDS.min..=BOUNDS.max).contains(size)));
            // In the mean over the last writes, against the size wanted without noise.
            let rate = |size: usize| size as f64 / (cost.fixed_s + cost.row_s * size as f64);
            let kept = sizes[200..].iter().map(|size| rate(*size)).sum::<f64>() / 200.0;
            prop_assert!(kept >= 0.5 * rate(cost.wanted(BOUNDS)), "{kept} at {sizes:?}");
        }
    }

    #[test]
    fn a_second_a_batch_and_ten_microseconds_a_row_fill_the_batch() {
        let sizes = run(Cost { fixed_s: 1.0, row_s: 1e-5 }, BOUNDS, 12, &[]);
        assert_eq!(sizes[..4], [400, 1600, 6400, 10_000], "fourfold, then kept");
        assert_eq!(sizes[11], 10_000);
    }

    #[test]
    fn a_batch_does_not_take_longer_than_the_target() {
        let slow_rows = Cost { fixed_s: 0.5, row_s: 1e-3 };
        assert_eq!(slow_rows.wanted(BOUNDS), 1_500);
        let nothing_helps = Cost { fixed_s: 3.0, row_s: 1e-3 };
        assert_eq!(nothing_helps.wanted(BOUNDS), 3_000, "half of the throughput is kept");
    }

    #[test]
    fn the_knee_is_enough() {
        let fast = Cost { fixed_s: 0.002, row_s: 1e-5 };
        assert_eq!(fast.wanted(BOUNDS), 3_799, "95 % of 100,000 rows a second");
    }

    #[test]
    fn a_sink_that_becomes_slower_is_measured_anew() {
        let (mut law, mut fit) = (AdaptiveSize::new(BOUNDS), Fit::default());
        for row_s in [1e-5, 1e-3] {
            for _ in 0..150 {
                let rows = law.next();
                fit.observe(rows, 0.01 + row_s * rows as f64);
                law.written(rows, fit.cost());
            }
        }
        let wanted = Cost { fixed_s: 0.01, row_s: 1e-3 }.wanted(BOUNDS);
        let took_s = 0.01 + 1e-3 * law.size as f64;
        assert!(took_s <= BOUNDS.target_s, "{} where {wanted} would do", law.size);
    }
}
