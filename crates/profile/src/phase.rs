//! One phase of a load: its rate, and the integral of it.

use std::f64::consts::TAU;

use serde::{Deserialize, Serialize};

/// A stretch of load. Rates in records a second, times in seconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase", deny_unknown_fields)]
pub enum Phase {
    /// A constant rate.
    Step {
        /// The rate.
        rate_per_s: f64,
        /// Length.
        duration_s: f64,
    },
    /// A rate that changes evenly.
    Ramp {
        /// Rate at the beginning.
        from_per_s: f64,
        /// Rate at the end.
        to_per_s: f64,
        /// Length.
        duration_s: f64,
    },
    /// A wave around a mean, which it crosses upwards at the beginning.
    Sine {
        /// The mean.
        mean_per_s: f64,
        /// At most the mean.
        amplitude_per_s: f64,
        /// Of one wave.
        period_s: f64,
        /// Length.
        duration_s: f64,
    },
    /// A base rate, with a peak at the beginning of every interval.
    Burst {
        /// Between the peaks.
        base_per_s: f64,
        /// In the peaks.
        peak_per_s: f64,
        /// From peak to peak.
        every_s: f64,
        /// Length of a peak, at most `every_s`.
        burst_s: f64,
        /// Length.
        duration_s: f64,
    },
}

impl Phase {
    /// Length, seconds.
    pub fn duration_s(&self) -> f64 {
        match *self {
            Self::Step { duration_s, .. }
            | Self::Ramp { duration_s, .. }
            | Self::Sine { duration_s, .. }
            | Self::Burst { duration_s, .. } => duration_s,
        }
    }

    /// Shortens it. A ramp keeps its slope.
    pub(crate) fn set_duration_s(&mut self, length_s: f64) {
        if let Self::Ramp { to_per_s, .. } = *self {
            let end = if length_s < self.duration_s() { self.rate_at(length_s) } else { to_per_s };
            if let Self::Ramp { to_per_s, .. } = self {
                *to_per_s = end;
            }
        }
        match self {
            Self::Step { duration_s, .. }
            | Self::Ramp { duration_s, .. }
            | Self::Sine { duration_s, .. }
            | Self::Burst { duration_s, .. } => *duration_s = length_s,
        }
    }

    /// The rate, seconds after the phase began.
    pub fn rate_at(&self, t_s: f64) -> f64 {
        match *self {
            Self::Step { rate_per_s, .. } => rate_per_s,
            Self::Ramp { from_per_s, to_per_s, duration_s } => {
                from_per_s + (to_per_s - from_per_s) * t_s / duration_s
            }
            Self::Sine { mean_per_s, amplitude_per_s, period_s, .. } => {
                mean_per_s + amplitude_per_s * (TAU * t_s / period_s).sin()
            }
            Self::Burst { base_per_s, peak_per_s, every_s, burst_s, .. } => {
                if t_s % every_s < burst_s { peak_per_s } else { base_per_s }
            }
        }
    }

    /// The integral of the rate since the phase began.
    pub fn cumulative(&self, t_s: f64) -> f64 {
        match *self {
            Self::Step { rate_per_s, .. } => {
                if t_s > 0.0 {
                    rate_per_s * t_s
                } else {
                    0.0
                }
            }
            Self::Ramp { from_per_s, to_per_s, duration_s } => {
                from_per_s * t_s + (to_per_s - from_per_s) * t_s * t_s / (2.0 * duration_s)
            }
            Self::Sine { mean_per_s, amplitude_per_s, period_s, .. } => {
                mean_per_s * t_s
                    + amplitude_per_s * period_s / TAU * (1.0 - (TAU * t_s / period_s).cos())
            }
            Self::Burst { base_per_s, peak_per_s, every_s, burst_s, .. } => {
                let whole = (t_s / every_s).floor();
                let rest_s = t_s - whole * every_s;
                let cycle = peak_per_s * burst_s + base_per_s * (every_s - burst_s);
                let peak_s = rest_s.min(burst_s);
                whole * cycle + peak_per_s * peak_s + base_per_s * (rest_s - peak_s)
            }
        }
    }

    /// When the integral reaches a value that lies within the phase.
    pub(crate) fn inverse(&self, value: f64) -> f64 {
        if let Self::Step { rate_per_s, .. } = *self {
            return value / rate_per_s;
        }
        let (mut low_s, mut high_s) = (0.0, self.duration_s());
        // Sixty halvings are below a microsecond for any length.
        for _ in 0..60 {
            let middle_s = f64::midpoint(low_s, high_s);
            if self.cumulative(middle_s) < value {
                low_s = middle_s;
            } else {
                high_s = middle_s;
            }
        }
        high_s
    }
}
