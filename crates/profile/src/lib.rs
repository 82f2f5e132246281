//! Load over time: phases of rates, and when each record is due. Pure.
//!
//! A profile's rate function is integrated exactly; the n-th record (from 0) of an
//! even profile is due when the integral reaches n. With Poisson arrivals the
//! integral between two records is exponentially distributed with mean 1.
//!
//! A crate of its own, because the producer and the simulator read the same files and
//! the simulator must not depend on a Kafka client.
//!
//! # Layout
//! - [`Phase`]: a stretch of load, its rate and the integral of it
//! - [`Arrivals`]: when each record is due
//! - `parse`: profiles from TOML or YAML, and what their values may be
//! - [`text`]: TOML or YAML to a value, and where in it an error is
#![deny(missing_docs)]

mod arrivals;
mod parse;
mod phase;
#[cfg(test)]
mod tests;
pub mod text;

pub use arrivals::Arrivals;
pub use parse::ProfileError;
pub use phase::Phase;

use serde::{Deserialize, Serialize};

/// The profile that is built in.
const DEMO: &str = include_str!("../../../config/profiles/demo.toml");

/// When records are due between the rates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ArrivalKind {
    /// Evenly spaced.
    #[default]
    Even,
    /// A Poisson process.
    Poisson,
}

/// Load over time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LoadProfile {
    /// Seed of keys, trades and Poisson arrivals.
    #[serde(default = "one")]
    pub seed: u64,
    /// Number of keys (accounts), 1 to 9000.
    #[serde(default = "all_keys")]
    pub keys: u32,
    /// Skew of the keys: 0 is uniform, 1 is the classic Zipf law; 0 to 5.
    #[serde(default)]
    pub zipf: f64,
    /// Spacing of the records.
    #[serde(default)]
    pub arrivals: ArrivalKind,
    /// Records that cannot be decoded, in a million; 0 to 1,000,000.
    #[serde(default)]
    pub poison_per_million: u32,
    /// What happens, one after the other.
    pub phases: Vec<Phase>,
}

fn one() -> u64 {
    1
}

fn all_keys() -> u32 {
    9000
}

impl LoadProfile {
    /// The built-in profile: 10, 1,000, 5,000, then 0 records a second.
    ///
    /// # Errors
    /// Never for the committed file; a test holds it.
    pub fn demo() -> Result<Self, ProfileError> {
        Self::from_text("demo.toml", DEMO)
    }

    /// A constant rate for a time, or for ever.
    pub fn constant(rate_per_s: f64, duration_s: Option<f64>) -> Self {
        let duration_s = duration_s.unwrap_or(f64::INFINITY);
        Self {
            seed: one(),
            keys: all_keys(),
            zipf: 0.0,
            arrivals: ArrivalKind::Even,
            poison_per_million: 0,
            phases: vec![Phase::Step { rate_per_s, duration_s }],
        }
    }

    /// The same load with another seed.
    #[must_use]
    pub fn with_seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// The same load, cut off after this many seconds.
    #[must_use]
    pub fn limited_to(mut self, duration_s: f64) -> Self {
        let mut left_s = duration_s;
        self.phases.retain_mut(|phase| {
            let keep = left_s > 0.0;
            let length_s = phase.duration_s().min(left_s);
            phase.set_duration_s(length_s);
            left_s -= length_s;
            keep
        });
        self
    }

    /// Length of all phases, seconds.
    pub fn duration_s(&self) -> f64 {
        self.phases.iter().map(Phase::duration_s).sum()
    }

    /// The rate at a second since the start, records a second; 0 after the end.
    pub fn rate_at(&self, t_s: f64) -> f64 {
        let mut begin_s = 0.0;
        for phase in &self.phases {
            if t_s < begin_s + phase.duration_s() {
                return phase.rate_at(t_s - begin_s);
            }
            begin_s += phase.duration_s();
        }
        0.0
    }

    /// The integral of the rate from the start to a second: records that are due.
    pub fn cumulative(&self, t_s: f64) -> f64 {
        let mut begin_s = 0.0;
        let mut sum = 0.0;
        for phase in &self.phases {
            let inside_s = (t_s - begin_s).clamp(0.0, phase.duration_s());
            sum += phase.cumulative(inside_s);
            begin_s += phase.duration_s();
            if t_s < begin_s {
                break;
            }
        }
        sum
    }

    /// When each record is due, microseconds since the start, in order.
    pub fn arrivals(&self) -> Arrivals {
        Arrivals::new(self)
    }
}
