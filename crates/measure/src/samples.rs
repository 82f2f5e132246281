//! Reports of one pod over time, as rates and times. Pure.

use tidegate_kafka::PodReport;

/// What a report counts.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sample {
    /// When, Unix milliseconds.
    pub t_ms: i64,
    /// Records written so far.
    pub processed: u64,
    /// Batches written so far.
    pub batches: u64,
    /// Seconds spent writing them.
    pub batch_seconds: f64,
}

impl From<&PodReport> for Sample {
    fn from(report: &PodReport) -> Self {
        Self {
            t_ms: report.t_ms,
            processed: report.processed_total,
            batches: report.batches_total,
            batch_seconds: report.batch_seconds_total,
        }
    }
}

/// Samples of a pod, each newer than the one before.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Samples(Vec<Sample>);

/// How a new pod comes up to speed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RampUp {
    /// Records a second in the second half.
    pub rate_per_s: f64,
    /// From the first record until nine tenths of it, seconds.
    pub seconds: f64,
    /// Its speed in the first half second, as a share.
    pub from: f64,
}

impl Samples {
    /// Adds one unless it is no newer.
    pub fn push(&mut self, sample: Sample) {
        if self.0.last().is_none_or(|last| last.t_ms < sample.t_ms) {
            self.0.push(sample);
        }
    }

    /// The newest.
    pub fn last(&self) -> Option<Sample> {
        self.0.last().copied()
    }

    /// When the first record was seen written, Unix milliseconds.
    pub fn first_processed_ms(&self) -> Option<i64> {
        self.0.iter().find(|sample| sample.processed > 0).map(|sample| sample.t_ms)
    }

    /// Mean size and time of the batches of the second half (all, if that has none).
    pub fn batch(&self) -> Option<(f64, f64, u64)> {
        let last = self.last()?;
        let half = last.batches / 2;
        let from = self.0.iter().rev().find(|sample| sample.batches <= half)?;
        let batches = last.batches.checked_sub(from.batches).filter(|count| *count > 0)?;
        let records = (last.processed - from.processed) as f64 / batches as f64;
        Some((records, (last.batch_seconds - from.batch_seconds) / batches as f64, batches))
    }

    /// How it came up to speed; `None` for less than a second of work.
    pub fn ramp_up(&self) -> Option<RampUp> {
        const BIN_MS: i64 = 500;
        let first = self.first_processed_ms()?;
        // The sample before the first record is where its work began.
        let begin = self.0.iter().rev().find(|sample| sample.t_ms < first)?.t_ms;
        let end = self.last()?.t_ms;
        let bins = ((end - begin) / BIN_MS) as usize;
        if bins < 4 {
            return None;
        }
        let at = |t_ms: i64| self.processed_at(t_ms);
        let rate = |bin: usize| {
            let from = begin + bin as i64 * BIN_MS;
            (at(from + BIN_MS) - at(from)) / (BIN_MS as f64 / 1000.0)
        };
        let late: Vec<f64> = (bins / 2..bins).map(rate).collect();
        let rate_per_s = late.iter().sum::<f64>() / late.len() as f64;
        if rate_per_s <= 0.0 {
            return None;
        }
        let up = (0..bins).find(|bin| rate(*bin) >= 0.9 * rate_per_s).unwrap_or(bins);
        Some(RampUp {
            rate_per_s,
            seconds: up as f64 * BIN_MS as f64 / 1000.0,
            from: (rate(0) / rate_per_s).clamp(0.01, 1.0),
        })
    }

    /// Records written at a time, between two samples evenly.
    fn processed_at(&self, t_ms: i64) -> f64 {
        let after = self.0.partition_point(|sample| sample.t_ms <= t_ms);
        match (after.checked_sub(1).and_then(|before| self.0.get(before)), self.0.get(after)) {
            (Some(a), Some(b)) => {
                let share = (t_ms - a.t_ms) as f64 / (b.t_ms - a.t_ms) as f64;
                a.processed as f64 + share * (b.processed - a.processed) as f64
            }
            (Some(a), None) => a.processed as f64,
            _ => 0.0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(rate: impl Fn(i64) -> u64, seconds: i64) -> Samples {
        let mut samples = Samples::default();
        let mut processed = 0;
        for tick in 0..seconds * 10 {
            processed += rate(tick);
            let batches = processed / 100;
            let t_ms = tick * 100;
            samples.push(Sample { t_ms, processed, batches, batch_seconds: batches as f64 * 0.2 });
        }
        samples
    }

    #[test]
    fn a_pod_at_full_speed_has_no_ramp() {
        let samples = series(|tick| if tick < 5 { 0 } else { 50 }, 8);
        let ramp = samples.ramp_up().expect("a ramp");
        assert!((ramp.rate_per_s - 500.0).abs() < 1.0, "{ramp:?}");
        assert_eq!(ramp.seconds, 0.0);
        let (records, seconds, _) = samples.batch().expect("batches");
        assert!((records - 100.0).abs() < 5.0 && (seconds - 0.2).abs() < 1e-9);
    }

    #[test]
    fn a_slow_beginning_is_seen() {
        let samples = series(
            |tick| match tick {
                0..5 => 0,
                5..30 => 10,
                _ => 50,
            },
            10,
        );
        let ramp = samples.ramp_up().expect("a ramp");
        assert!((2.0..=3.0).contains(&ramp.seconds), "{ramp:?}");
        assert!((ramp.from - 0.2).abs() < 0.05, "{ramp:?}");
    }

    #[test]
    fn old_reports_and_short_series_are_nothing() {
        let mut samples = Samples::default();
        let sample = Sample { t_ms: 5, processed: 1, batches: 1, batch_seconds: 0.1 };
        samples.push(sample);
        samples.push(Sample { processed: 9, ..sample });
        assert_eq!(samples.last(), Some(sample));
        assert!(samples.ramp_up().is_none() && samples.batch().is_none());
    }
}
