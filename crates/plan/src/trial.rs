//! One law with one scenario and one seed.

use serde::{Deserialize, Serialize};
use tidegate_autoscale::law::{SloLaw, SloOptions};
use tidegate_autoscale::scaled_object::ScaledObject;
use tidegate_sim::{Prepared, Scenario, Summary, stock_law};

/// A scenario and the name it was given by.
#[derive(Debug, Clone)]
pub struct NamedScenario {
    /// For messages: the file.
    pub name: String,
    /// Traffic and world.
    pub scenario: Scenario,
}

/// Which age of the records counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AgeKind {
    /// That which 99 % of the records did not exceed. Where more than one in a hundred is
    /// still waiting at the end, the oldest counts.
    P99,
    /// That of the oldest.
    Max,
}

/// What a trial was worth, over scenarios and seeds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Score {
    /// The age that counts, seconds: the worst of all scenarios and seeds.
    pub age_s: f64,
    /// Oldest record, seconds: the worst of all.
    pub max_age_s: f64,
    /// Pod-seconds: the mean over the seeds, summed over the scenarios.
    pub pod_seconds: f64,
    /// Changes of direction: the mean over the seeds, summed over the scenarios.
    pub reversals: f64,
}

impl Score {
    /// Whether another is at least as good in age and cost, and better in one.
    pub fn is_dominated_by(&self, other: &Self) -> bool {
        other.age_s <= self.age_s
            && other.pod_seconds <= self.pod_seconds
            && (other.age_s < self.age_s || other.pod_seconds < self.pod_seconds)
    }
}

/// A law's settings.
#[derive(Debug, Clone)]
pub enum LawSettings {
    /// KEDA's Kafka trigger and the HPA.
    Stock(Box<ScaledObject>),
    /// The SLO law; what it is told of a pod comes from the scenario.
    Slo(Box<ScaledObject>, SloSettings),
}

/// What the SLO law lets one choose.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct SloSettings {
    /// The promise, seconds.
    pub target_age_s: f64,
    /// Share of a pod's rate that steady traffic may use.
    pub headroom: f64,
    /// Fewer pods only when fewer would have done for this long, seconds.
    pub hold_s: f64,
    /// A backlog is gone within this, seconds; `None` is what the promise leaves.
    pub drain_s: Option<f64>,
    /// Most pods.
    pub max_replicas: i32,
}

impl SloSettings {
    /// The law's defaults for an object and a promise.
    pub fn new(object: &ScaledObject, target_age_s: f64) -> Self {
        let options = SloOptions::default();
        Self {
            target_age_s,
            headroom: options.headroom,
            hold_s: options.hold_s,
            drain_s: options.drain_s,
            max_replicas: object.max_replicas(),
        }
    }
}

/// What the SLO law is told: settings, and of a pod what its operator would know.
pub fn slo_options(
    scenario: &Scenario,
    object: &ScaledObject,
    settings: &SloSettings,
) -> SloOptions {
    SloOptions {
        target_age_s: settings.target_age_s,
        headroom: settings.headroom,
        hold_s: settings.hold_s,
        drain_s: settings.drain_s,
        max_replicas: settings.max_replicas,
        ..tidegate_sim::slo_options(scenario, object)
    }
}

/// One simulation.
///
/// # Errors
/// An SLO option out of its range, in one line.
pub fn run(scenario: &Scenario, seed: u64, law: &LawSettings) -> Result<Summary, String> {
    let world = Prepared::new(scenario, seed);
    match law {
        LawSettings::Stock(object) => {
            let mut law = stock_law((**object).clone(), &scenario.control);
            Ok(world.summarize(&mut law))
        }
        LawSettings::Slo(object, settings) => {
            let options = slo_options(scenario, object, settings);
            let mut law = SloLaw::new(options, 0).map_err(|error| error.to_string())?;
            Ok(world.summarize(&mut law))
        }
    }
}

/// All scenarios with all seeds.
///
/// # Errors
/// As [`run`].
pub fn score(
    scenarios: &[NamedScenario],
    seeds: &[u64],
    law: &LawSettings,
    age: AgeKind,
) -> Result<Score, String> {
    let mut score = Score { age_s: 0.0, max_age_s: 0.0, pod_seconds: 0.0, reversals: 0.0 };
    let share = 1.0 / seeds.len().max(1) as f64;
    for named in scenarios {
        for seed in seeds {
            let summary = run(&named.scenario, *seed, law)?;
            score.age_s = score.age_s.max(age_of(&summary, age));
            score.max_age_s = score.max_age_s.max(summary.max_age_s);
            score.pod_seconds += share * summary.pod_seconds;
            score.reversals += share * f64::from(summary.direction_reversals);
        }
    }
    Ok(score)
}

fn age_of(summary: &Summary, kind: AgeKind) -> f64 {
    let waits = summary.end_backlog as f64 > 0.01 * summary.arrived as f64;
    match kind {
        AgeKind::P99 if !waits => summary.p99_age_s,
        _ => summary.max_age_s,
    }
}
