//! What runs share, and the ways to run.

use tidegate_autoscale::law::Law;

use super::events::us;
use super::partitions::Partition;
use super::{Run, World, partitions, stream};
use crate::load::{ArrivalCurve, partition_weights};
use crate::scenario::Scenario;
use crate::summary::{SoFar, Summary};

/// What all runs of a scenario with one seed share: the arrivals, and each partition's
/// share of them. For many runs with different laws; threads may share it.
#[derive(Debug)]
pub struct Prepared<'a> {
    pub(super) scenario: &'a Scenario,
    pub(super) seed: u64,
    /// At their beginning.
    pub(super) partitions: Vec<Partition>,
    pub(super) curve: ArrivalCurve,
    /// Records in all partitions at the end of each second, while the broker answers.
    pub(super) ends: Vec<u64>,
    /// Records of the whole run.
    pub(super) expected: f64,
}

impl<'a> Prepared<'a> {
    /// Draws the arrivals.
    pub fn new(scenario: &'a Scenario, seed: u64) -> Self {
        let mut arrivals = stream(seed.wrapping_add(scenario.load.seed), 1);
        let before = (f64::from(scenario.topic.backlog_records), us(scenario.topic.backlog_age_s));
        let duration_us = us(f64::from(scenario.duration_s));
        let curve = ArrivalCurve::new(&scenario.load, duration_us, before, &mut arrivals);
        let weights = partition_weights(&scenario.topic, &scenario.load);
        let weights = weights.iter().enumerate();
        let partitions: Vec<Partition> =
            weights.map(|(index, weight)| Partition::new(index, *weight)).collect();
        let seconds = 0..=i64::from(scenario.duration_s);
        let end = |second| partitions::end(&partitions, curve.records(second * 1_000_000));
        Self {
            scenario,
            seed,
            ends: seconds.map(end).collect(),
            expected: curve.records(duration_us),
            partitions,
            curve,
        }
    }

    /// Traffic and world.
    pub fn scenario(&self) -> &'a Scenario {
        self.scenario
    }

    /// Runs a law.
    pub fn run(&self, law: &mut dyn Law) -> Run {
        World::new(self, true).run(law)
    }

    /// The same figures without the series.
    pub fn summarize(&self, law: &mut dyn Law) -> Summary {
        World::new(self, false).run(law).summary
    }

    /// The same, unless what is certain before the end is enough to stop: then `None`.
    /// `stops` is asked every few simulated seconds.
    pub fn summarize_unless(
        &self,
        law: &mut dyn Law,
        stops: &mut dyn FnMut(&SoFar<'_>) -> bool,
    ) -> Option<Summary> {
        let mut world = World::new(self, false);
        world.start(law.next_due_ms());
        while world.goes_on(law) {
            if world.is_stopped(stops) {
                return None;
            }
        }
        Some(world.into_run().summary)
    }
}
