//! When each record is due.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, Exp1};

use crate::{ArrivalKind, LoadProfile, Phase};

/// Due times of a profile's records, microseconds since the start.
#[derive(Debug, Clone)]
pub struct Arrivals {
    phases: Vec<Phase>,
    phase: usize,
    /// Start of the current phase, seconds and records.
    begin_s: f64,
    begin_records: f64,
    /// Integral at which the next record is due.
    next: f64,
    poisson: Option<ChaCha8Rng>,
}

/// Stream of the seed's generator that only arrivals draw from.
const STREAM: u64 = 1;

impl Arrivals {
    pub(crate) fn new(profile: &LoadProfile) -> Self {
        let mut poisson = (profile.arrivals == ArrivalKind::Poisson).then(|| {
            let mut random = ChaCha8Rng::seed_from_u64(profile.seed);
            random.set_stream(STREAM);
            random
        });
        let next = poisson.as_mut().map_or(0.0, |random| Exp1.sample(random));
        Self {
            phases: profile.phases.clone(),
            phase: 0,
            begin_s: 0.0,
            begin_records: 0.0,
            next,
            poisson,
        }
    }
}

impl Iterator for Arrivals {
    type Item = u64;

    fn next(&mut self) -> Option<u64> {
        loop {
            let phase = self.phases.get(self.phase)?;
            let inside = self.next - self.begin_records;
            let total = phase.cumulative(phase.duration_s());
            // An infinite phase without a rate holds nothing, and nothing follows.
            if inside < total {
                let due_s = self.begin_s + phase.inverse(inside);
                self.next += self.poisson.as_mut().map_or(1.0, |random| Exp1.sample(random));
                return Some((due_s * 1e6).round() as u64);
            }
            self.begin_s += phase.duration_s();
            self.begin_records += total;
            self.phase += 1;
        }
    }
}
