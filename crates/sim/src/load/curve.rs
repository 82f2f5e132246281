//! How many records arrived until when, and when the n-th did.
//!
//! All partitions share one curve, scaled by their weights: a partition's position divided
//! by its weight is a point of the curve, so ages are exact and cost no queue. The curve
//! holds one value every 100 ms, in scenarios longer than four hours one every second, and
//! is a straight line between them.
//!
//! Poisson arrivals vary the total of every step; how it spreads over the partitions is
//! even. A process per partition was rejected: it needs a curve for each.

use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, Poisson, StandardNormal};
use tidegate_profile::{ArrivalKind, LoadProfile};

/// Width of a step of the curve, microseconds ...
const STEP_US: i64 = 100_000;
/// ... and of scenarios longer than this.
const LONG_US: i64 = 4 * 3_600 * 1_000_000;
const LONG_STEP_US: i64 = 1_000_000;
/// From this many records on, Poisson's law is drawn as the normal law it has become.
const MANY: f64 = 1_000.0;
/// So often a place is looked for along a straight line from one that it is not at.
const STRAIGHT_LINES: usize = 3;

/// Where a step of the curve begins.
#[derive(Debug, Clone, Copy)]
struct Step {
    /// Records that arrived until then.
    records: f64,
    /// 1 / records of the step; 0 without any.
    per_record: f64,
}

impl Step {
    /// How much of it has passed when the wanted number is reached, if the curve went on as
    /// here; 0 in a step without arrivals.
    #[inline]
    fn part_of(self, wanted: f64) -> f64 {
        (wanted - self.records) * self.per_record
    }
}

/// Where the curve reaches a number of records.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reached {
    /// Whole microseconds.
    pub(crate) at_us: f64,
    /// Time from one record to the next, microseconds.
    pub(crate) us_per_record: f64,
}

/// Records that arrived, at every step since the start.
#[derive(Debug, Clone)]
pub(crate) struct ArrivalCurve {
    at: Vec<Step>,
    /// Width of a step, microseconds, and its inverse.
    step_us: f64,
    steps_per_us: f64,
    /// Records that waited at the start; they arrived evenly in the time before it.
    before: f64,
    before_us: f64,
}

/// A place on the curve, and how far it moved at the last look: the next one is likely to
/// be as far away.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Place {
    step: u32,
    stride: u32,
}

#[cfg(test)]
impl Place {
    fn at(step: usize) -> Self {
        Self { step: step as u32, stride: 0 }
    }
}

impl ArrivalCurve {
    /// The curve of a profile over a time, after an initial backlog.
    pub(crate) fn new(
        profile: &LoadProfile,
        duration_us: i64,
        (before, before_us): (f64, i64),
        random: &mut ChaCha8Rng,
    ) -> Self {
        let step_us = if duration_us > LONG_US { LONG_STEP_US } else { STEP_US };
        let steps = duration_us.div_euclid(step_us) as usize + 2;
        let step_us = step_us as f64;
        let mut at = Vec::with_capacity(steps);
        let (mut sum, mut even) = (0.0, 0.0);
        at.push(0.0);
        for step in 1..steps {
            let next = profile.cumulative(step as f64 * step_us / 1e6);
            let records = (next - even).max(0.0);
            even = next;
            sum += match profile.arrivals {
                ArrivalKind::Even => records,
                ArrivalKind::Poisson => poisson(records, random),
            };
            at.push(sum);
        }
        let steps_per_us = step_us.recip();
        let begins = |(step, records): (usize, &f64)| {
            let rise = at.get(step + 1).map_or(0.0, |next| next - records);
            Step { records: *records, per_record: if rise > 0.0 { rise.recip() } else { 0.0 } }
        };
        Self {
            at: at.iter().enumerate().map(begins).collect(),
            step_us,
            steps_per_us,
            before,
            before_us: before_us as f64,
        }
    }

    /// Records until a time, the initial backlog included; before the start, what of it had
    /// arrived.
    #[inline]
    pub(crate) fn records(&self, at_us: i64) -> f64 {
        if at_us < 0 {
            let share = 1.0 + at_us as f64 / self.before_us.max(1.0);
            return self.before * share.max(0.0);
        }
        let place = at_us as f64 * self.steps_per_us;
        let step = place as u32 as usize;
        let last = self.at.len() - 1;
        if step >= last {
            return self.before + self.at[last].records;
        }
        let low = self.at[step].records;
        self.before + low + (self.at[step + 1].records - low) * (place - step as f64)
    }

    /// When the curve reaches a number of records, microseconds; `None` when it never
    /// does. Times before the start are negative.
    #[inline]
    pub(crate) fn reached_us(&self, records: f64, place: &mut Place) -> Option<i64> {
        self.reached(records, place).map(|reached| reached.at_us as i64)
    }

    /// The same, and how fast it rises there.
    #[inline]
    pub(crate) fn reached(&self, records: f64, place: &mut Place) -> Option<Reached> {
        let wanted = records - self.before;
        let guess = place.step.saturating_add(place.stride);
        if let Some(at) = self.at.get(guess as usize) {
            let part = at.part_of(wanted);
            if part > 0.0 && part <= 1.0 {
                place.step = guess;
                return Some(self.in_step(guess, *at, part));
            }
        }
        self.reached_elsewhere(records, place)
    }

    /// The same, beginning to look where the curve is at a time.
    #[inline]
    pub(crate) fn reached_near_us(&self, records: f64, near_us: i64) -> Option<i64> {
        let step = (near_us.max(0) as f64 * self.steps_per_us) as u32;
        self.reached_us(records, &mut Place { step, stride: 0 })
    }

    #[inline(never)]
    fn reached_elsewhere(&self, records: f64, place: &mut Place) -> Option<Reached> {
        if records <= self.before {
            let share = if self.before > 0.0 { 1.0 - records / self.before } else { 0.0 };
            let us_per_record = self.before_us / self.before.max(1.0);
            return Some(Reached { at_us: (-share * self.before_us).round(), us_per_record });
        }
        let wanted = records - self.before;
        let last = self.at.len() - 1;
        if wanted > self.at[last].records {
            return None;
        }
        let from = (place.step as usize).min(last);
        let (mut step, mut part) = (from, self.at[from].part_of(wanted));
        let mut tries = 0;
        while !(part > 0.0 && part <= 1.0) {
            // A straight line from here is there or near, unless the rate changed.
            if tries == STRAIGHT_LINES {
                step = self.step_before(wanted, step);
                part = self.at[step].part_of(wanted);
                break;
            }
            tries += 1;
            step = ((step as f64 + part.clamp(-1e7, 1e7)).max(0.0) as i64 as usize).min(last);
            part = self.at[step].part_of(wanted);
        }
        *place = Place { step: step as u32, stride: step.saturating_sub(from) as u32 };
        Some(self.in_step(place.step, self.at[step], part))
    }

    /// When a part of a step is over, rounded up.
    #[inline]
    fn in_step(&self, step: u32, at: Step, part: f64) -> Reached {
        let exact_us = (f64::from(step) + part) * self.step_us;
        // From this number on there are whole numbers only: an addition rounds to the next
        // one. `ceil` is a call where the processor may be an old one.
        const WHOLE: f64 = (1_u64 << 52) as f64;
        let near_us = (exact_us + WHOLE) - WHOLE;
        let at_us = near_us + if near_us < exact_us { 1.0 } else { 0.0 };
        Reached { at_us, us_per_record: at.per_record * self.step_us }
    }

    /// The last step that is below the wanted number, 0 at least; some later step is not.
    /// Strides that double away from a guess, then halves: near guesses are cheap and far
    /// ones cost a logarithm.
    fn step_before(&self, wanted: f64, guess: usize) -> usize {
        let (mut low, mut high, mut stride) = (guess, guess, 1);
        while low > 0 && self.at[low].records >= wanted {
            high = low;
            low = low.saturating_sub(stride);
            stride *= 2;
        }
        while self.at[high].records < wanted {
            low = high;
            high = (high + stride).min(self.at.len() - 1);
            stride *= 2;
        }
        if high <= low + 1 {
            return low;
        }
        let below = self.at[low..high].partition_point(|at| at.records < wanted);
        low + below.saturating_sub(1)
    }
}

fn poisson(mean: f64, random: &mut ChaCha8Rng) -> f64 {
    if mean >= MANY {
        let normal: f64 = StandardNormal.sample(random);
        return (mean + mean.sqrt() * normal).round().max(0.0);
    }
    Poisson::new(mean).map_or(mean, |poisson| poisson.sample(random))
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    fn curve(text: &str, before: f64) -> ArrivalCurve {
        let profile = LoadProfile::from_text("test.toml", text).expect("valid");
        let mut random = ChaCha8Rng::seed_from_u64(1);
        ArrivalCurve::new(&profile, 100_000_000, (before, 10_000_000), &mut random)
    }

    const STEPS: &str = "phases = [{kind = 'step', rate_per_s = 10.0, duration_s = 10.0},
        {kind = 'step', rate_per_s = 0.0, duration_s = 20.0},
        {kind = 'step', rate_per_s = 5.0, duration_s = 70.0}]";

    #[test]
    fn the_inverse_of_the_curve() {
        let curve = curve(STEPS, 0.0);
        let mut place = Place::default();
        assert_eq!(curve.reached_us(25.0, &mut place), Some(2_500_000));
        assert_eq!(curve.reached_us(101.0, &mut place), Some(30_200_000), "after the gap");
        assert_eq!(curve.reached_us(100.0, &mut place), Some(10_000_000), "before the gap");
        assert_eq!(curve.reached_us(25.0, &mut place), Some(2_500_000), "also backwards");
        assert_eq!(curve.reached_us(1e9, &mut place), None);
    }

    #[test]
    fn an_initial_backlog_arrived_before_the_start() {
        let curve = curve(STEPS, 1000.0);
        let mut place = Place::default();
        assert_eq!(curve.reached_us(1.0, &mut place), Some(-9_990_000));
        assert_eq!(curve.reached_us(1000.0, &mut place), Some(0));
        assert_eq!(curve.reached_us(1025.0, &mut place), Some(2_500_000));
        assert_eq!(curve.records(0), 1000.0);
        assert_eq!(curve.records(-2_500_000), 750.0);
        assert_eq!(curve.records(-20_000_000), 0.0);
        assert_eq!(curve.records(2_500_000), 1025.0);
    }

    #[test]
    fn a_guess_changes_the_cost_and_not_the_answer() {
        let curve = curve(STEPS, 0.0);
        for records in [0.5, 1.0, 99.9, 100.0, 100.1, 333.0, 449.0] {
            let answers: Vec<_> = (0..1001)
                .step_by(77)
                .map(|at| curve.reached_us(records, &mut Place::at(at)))
                .collect();
            assert!(answers.windows(2).all(|pair| pair[0] == pair[1]), "{records}: {answers:?}");
        }
    }

    #[test]
    fn a_stride_that_was_right_once_may_be_wrong() {
        let curve = curve(STEPS, 0.0);
        let mut place = Place::default();
        let fresh = |records| curve.reached_us(records, &mut Place::default());
        for records in [1.0, 21.0, 41.0, 61.0, 101.0, 121.0, 30.0, 440.0, 449.9, 450.0, 451.0] {
            assert_eq!(curve.reached_us(records, &mut place), fresh(records), "{records}");
        }
    }

    #[test]
    fn poisson_arrivals_keep_the_mean() {
        let text = "arrivals = 'poisson'
            phases = [{kind = 'step', rate_per_s = 1000.0, duration_s = 100.0}]";
        let total = curve(text, 0.0).records(100_000_000);
        // The standard deviation of 100,000 is 316.
        assert!((total - 100_000.0).abs() < 1_600.0 && total != 100_000.0, "{total}");
    }
}
