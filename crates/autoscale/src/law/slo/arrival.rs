//! Arrival rate of all partitions together: a level that is quiet under constant
//! load and jumps when the load does, its noise, and a trend.
//!
//! The level is the mean since the last change, over at most [`LEVEL_S`] (longer at
//! low rates). A change is a sample, or four of them, that the noise cannot explain.
//! The noise is Poisson's, widened by the dispersion that was seen, plus the jitter
//! of the moments at which offsets are read.
//!
//! Rejected: an exponential mean. Short, it chases noise; long, it needs half a
//! minute to believe a step.

use std::collections::VecDeque;

/// The level looks back this far, seconds ...
const LEVEL_S: f64 = 30.0;
/// ... and further, up to here, until it has seen this many records.
const LEVEL_MOST_S: f64 = 120.0;
const LEVEL_RECORDS: f64 = 1000.0;
/// Uncertainty of a sample's two ends together, seconds.
const JITTER_S: f64 = 0.05;
/// Standard deviations that make a change.
const CHANGE_SIGMA: f64 = 5.0;
/// A change of one sample, or of four, is at least this share.
const CHANGE_ONE: f64 = 0.1;
const CHANGE_FOUR: f64 = 0.03;
/// Standard errors that make a trend.
const TREND_SIGMA: f64 = 4.0;
/// A forecast is at most this many times the present rate.
const MOST_GROWTH: f64 = 2.0;

#[derive(Debug, Clone, Copy)]
struct Sample {
    at_s: f64,
    span_s: f64,
    records: f64,
}

/// What is known of the arrivals, records a second.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct Level {
    pub(super) rate_per_s: f64,
    /// Standard deviation of the rate.
    pub(super) noise_per_s: f64,
    /// Growth, records a second each second; 0 unless it stands out of the noise.
    pub(super) trend_per_s2: f64,
}

#[derive(Debug, Clone, Default)]
pub(super) struct Arrivals {
    samples: VecDeque<Sample>,
    /// Samples of the level, counted from the newest.
    level_samples: usize,
}

impl Arrivals {
    pub(super) fn observe(&mut self, at_s: f64, span_s: f64, records: f64) {
        self.samples.push_back(Sample { at_s, span_s, records });
        while self.samples.front().is_some_and(|sample| at_s - sample.at_s > LEVEL_MOST_S) {
            self.samples.pop_front();
        }
        self.level_samples = (self.level_samples + 1).min(self.samples.len());
        if self.jumped_up() {
            self.level_samples = 1;
        } else if self.shifted() {
            self.level_samples = 4;
        }
        self.limit_level();
    }

    pub(super) fn samples(&self) -> usize {
        self.samples.len()
    }

    /// The newest sample against the level before it. Not a jump when the samples
    /// before it lack what it has too much: the echo of a gap.
    fn jumped_up(&self) -> bool {
        let before = self.level_samples.saturating_sub(1);
        if before == 0 {
            return false;
        }
        let newest = self.sum(0, 1);
        let level = self.sum(1, before);
        if !exceeds(newest, level, self.dispersion(1, before), CHANGE_ONE) {
            return false;
        }
        if before < 6 {
            return true;
        }
        let older = self.sum(3, before - 2);
        exceeds(self.sum(0, 3), older, self.dispersion(3, before - 2), CHANGE_FOUR)
    }

    /// The last four samples, each and together, against the level before them.
    fn shifted(&self) -> bool {
        let before = self.level_samples.saturating_sub(4);
        if before < 2 {
            return false;
        }
        let (last, level) = (self.sum(0, 4), self.sum(4, before));
        let dispersion = self.dispersion(4, before);
        let each = |side: fn(f64, f64) -> bool| {
            let rate = level.rate();
            self.newest().take(4).all(|sample| side(sample.records, rate * sample.span_s))
        };
        each(|records, expected| records > expected)
            && exceeds(last, level, dispersion, CHANGE_FOUR)
            || each(|records, expected| records < expected)
                && falls_below(last, level, dispersion, CHANGE_FOUR)
    }

    fn limit_level(&mut self) {
        let mut total = Sum::default();
        let mut count = 0;
        for sample in self.newest().take(self.level_samples) {
            let enough = total.records >= LEVEL_RECORDS && total.span_s >= LEVEL_S;
            if count > 0 && enough {
                break;
            }
            total = total.and(sample);
            count += 1;
        }
        self.level_samples = count;
    }

    fn newest(&self) -> impl Iterator<Item = &Sample> {
        self.samples.iter().rev()
    }

    fn sum(&self, skip: usize, count: usize) -> Sum {
        self.newest().skip(skip).take(count).fold(Sum::default(), Sum::and)
    }

    /// Variance of the samples' counts over what Poisson would show, at least 1.
    fn dispersion(&self, skip: usize, count: usize) -> f64 {
        let rate = self.sum(skip, count).rate();
        if count < 8 || rate <= 0.0 {
            return 1.0;
        }
        let squares: f64 = self
            .newest()
            .skip(skip)
            .take(count)
            .map(|sample| {
                let expected = rate * sample.span_s;
                (sample.records - expected).powi(2) / expected.max(1e-9)
            })
            .sum();
        (squares / (count - 1) as f64).max(1.0)
    }

    /// Rate and noise now; the trend is looked for over a time like `lead_s`, the
    /// time that it is wanted ahead.
    pub(super) fn level(&self, lead_s: f64) -> Level {
        let sum = self.sum(0, self.level_samples);
        let rate_per_s = sum.rate();
        let dispersion = self.dispersion(0, self.level_samples);
        let noise_per_s = deviation(rate_per_s, sum.span_s, dispersion) / sum.span_s.max(1e-3);
        match self.trend(lead_s) {
            Some((slope, now)) => Level {
                rate_per_s: rate_per_s.max(now),
                noise_per_s,
                trend_per_s2: slope.min((MOST_GROWTH - 1.0) * rate_per_s / lead_s.max(1.0)),
            },
            None => Level { rate_per_s, noise_per_s, trend_per_s2: 0.0 },
        }
    }

    /// Slope of a ramp, less its standard error, and the ramp's height now. A step is
    /// not a ramp: a line does not fit it within the noise.
    fn trend(&self, lead_s: f64) -> Option<(f64, f64)> {
        let count = lead_s.clamp(10.0, 40.0) as usize;
        if self.samples.len() < count {
            return None;
        }
        let points: Vec<(f64, f64)> = self
            .newest()
            .take(count)
            .map(|sample| (sample.at_s - sample.span_s / 2.0, sample.records / sample.span_s))
            .collect();
        let n = count as f64;
        let middle_s = points.iter().map(|(at_s, _)| at_s).sum::<f64>() / n;
        let mean = points.iter().map(|(_, rate)| rate).sum::<f64>() / n;
        let spread: f64 = points.iter().map(|(at_s, _)| (at_s - middle_s).powi(2)).sum();
        let slope =
            points.iter().map(|(at_s, rate)| (at_s - middle_s) * (rate - mean)).sum::<f64>()
                / spread.max(1e-9);
        let residual: f64 = points
            .iter()
            .map(|(at_s, rate)| (rate - mean - slope * (at_s - middle_s)).powi(2))
            .sum::<f64>()
            / (n - 2.0);
        let span_s = self.sum(0, count).span_s / n;
        let noise = deviation(mean, span_s, 1.0) / span_s;
        let error = noise.max(residual.sqrt()) / spread.sqrt();
        let is_line = residual.sqrt() <= 1.5 * noise;
        let stands_out = slope > TREND_SIGMA * error && slope * n > 0.05 * mean;
        let (newest_s, _) = *points.first()?;
        (is_line && stands_out).then_some((slope - error, mean + slope * (newest_s - middle_s)))
    }
}

#[derive(Debug, Clone, Copy, Default)]
struct Sum {
    span_s: f64,
    records: f64,
}

impl Sum {
    fn and(self, sample: &Sample) -> Self {
        Self { span_s: self.span_s + sample.span_s, records: self.records + sample.records }
    }

    fn rate(self) -> f64 {
        if self.span_s > 0.0 { self.records / self.span_s } else { 0.0 }
    }
}

/// Standard deviation of the records within a time.
fn deviation(rate_per_s: f64, span_s: f64, dispersion: f64) -> f64 {
    let counted = dispersion * (rate_per_s * span_s).max(1.0);
    (counted + (rate_per_s * JITTER_S).powi(2)).sqrt()
}

/// Records beyond what a level leads to expect, and their standard deviation.
fn excess(sum: Sum, level: Sum, dispersion: f64) -> (f64, f64) {
    let expected = level.rate() * sum.span_s;
    let own = deviation(level.rate(), sum.span_s, dispersion);
    let of_level =
        deviation(level.rate(), level.span_s, dispersion) * sum.span_s / level.span_s.max(1e-3);
    (sum.records - expected, own.hypot(of_level))
}

fn exceeds(sum: Sum, level: Sum, dispersion: f64, share: f64) -> bool {
    let (excess, deviation) = excess(sum, level, dispersion);
    excess > CHANGE_SIGMA * deviation && excess > share * level.rate() * sum.span_s
}

fn falls_below(sum: Sum, level: Sum, dispersion: f64, share: f64) -> bool {
    let (excess, deviation) = excess(sum, level, dispersion);
    -excess > CHANGE_SIGMA * deviation && -excess > share * level.rate() * sum.span_s
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fed(rates: impl IntoIterator<Item = f64>) -> Arrivals {
        let mut arrivals = Arrivals::default();
        for (second, rate) in rates.into_iter().enumerate() {
            arrivals.observe(second as f64, 1.0, rate);
        }
        arrivals
    }

    #[test]
    fn a_step_is_believed_at_once_and_in_full() {
        let rates = std::iter::repeat_n(1000.0, 40).chain([3000.0]);
        assert_eq!(fed(rates).level(2.0).rate_per_s, 3000.0);
        let rates = std::iter::repeat_n(1000.0, 40).chain([3000.0, 5000.0]);
        let level = fed(rates).level(2.0);
        assert_eq!(level.rate_per_s, 5000.0);
        assert_eq!(level.trend_per_s2, 0.0, "a step is not a ramp");
    }

    #[test]
    fn the_echo_of_a_gap_is_not_a_step() {
        let rates = std::iter::repeat_n(1000.0, 40).chain([0.0, 2000.0]);
        let rate = fed(rates).level(2.0).rate_per_s;
        assert!((rate - 1000.0).abs() < 50.0, "{rate}");
    }

    #[test]
    fn a_fall_is_believed_after_four_samples() {
        let rates = std::iter::repeat_n(5000.0, 40).chain([1000.0; 5]);
        let rate = fed(rates).level(2.0).rate_per_s;
        assert!(rate < 1300.0, "{rate}");
    }

    #[test]
    fn a_ramp_has_a_trend_and_a_wobble_has_none() {
        let ramp = fed((0..30).map(|t| 1000.0 + 60.0 * f64::from(t)));
        let level = ramp.level(20.0);
        assert!((50.0..=60.0).contains(&level.trend_per_s2), "{level:?}");
        assert!(level.rate_per_s > 2650.0, "{level:?}");
        // Far ahead it is not followed to more than twice what arrives now.
        let level = fed((0..60).map(|t| 100.0 * f64::from(t))).level(120.0);
        let grown = level.trend_per_s2 * 120.0 / level.rate_per_s;
        assert!((0.8..=1.0).contains(&grown), "{grown} of {level:?}");
        let wobble = fed((0..30).map(|t| 1000.0 + 40.0 * f64::from(t % 3)));
        assert_eq!(wobble.level(20.0).trend_per_s2, 0.0);
    }
}
