//! Laws in scenarios with seeds, and what they are worth there.

use serde::{Deserialize, Serialize};
use tidegate_autoscale::law::{SloLaw, SloOptions};
use tidegate_autoscale::scaled_object::ScaledObject;
use tidegate_sim::{Prepared, Scenario, SoFar, Summary, stock_law};

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
    /// Times the present arrivals that the pods that run can take.
    pub overprovisioning: f64,
    /// Fewer pods only when fewer would have done for this long, seconds.
    pub hold_s: f64,
    /// A backlog is gone within this, seconds; `None` is what the promise leaves.
    pub drain_s: Option<f64>,
    /// Pods that stay when there is less to do.
    pub min_replicas: i32,
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
            overprovisioning: options.overprovisioning,
            hold_s: options.hold_s,
            drain_s: options.drain_s,
            min_replicas: object.min_replicas(),
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
        overprovisioning: settings.overprovisioning,
        hold_s: settings.hold_s,
        drain_s: settings.drain_s,
        min_replicas: settings.min_replicas,
        max_replicas: settings.max_replicas,
        ..tidegate_sim::slo_options(scenario, object)
    }
}

/// Scenarios with seeds, whose arrivals were drawn once for any number of laws. Threads may
/// share them.
#[derive(Debug)]
pub struct Worlds<'a> {
    /// One a scenario, one a seed.
    prepared: Vec<Vec<Prepared<'a>>>,
}

impl<'a> Worlds<'a> {
    /// Draws the arrivals.
    pub fn new(scenarios: &'a [NamedScenario], seeds: &[u64]) -> Self {
        let with_seeds = |named: &'a NamedScenario| {
            seeds.iter().map(|seed| Prepared::new(&named.scenario, *seed)).collect()
        };
        Self { prepared: scenarios.iter().map(with_seeds).collect() }
    }

    /// Simulations of one law.
    pub fn len(&self) -> usize {
        self.prepared.iter().map(Vec::len).sum()
    }

    /// Whether there is nothing to simulate.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// All worlds, and what each counts for in its scenario.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&Prepared<'a>, f64)> {
        self.prepared.iter().flat_map(|seeds| {
            let share = 1.0 / seeds.len().max(1) as f64;
            seeds.iter().map(move |world| (world, share))
        })
    }

    /// The world, where there is one scenario and one seed.
    pub(crate) fn only(&self) -> Option<&Prepared<'a>> {
        match &self.prepared[..] {
            [seeds] => seeds.first().filter(|_| seeds.len() == 1),
            _ => None,
        }
    }

    /// All scenarios with all seeds.
    ///
    /// # Errors
    /// An SLO option out of its range, in one line.
    pub fn score(&self, law: &LawSettings, age: AgeKind) -> Result<Score, String> {
        let score = self.score_unless(law, age, &|_| false)?;
        score.ok_or_else(|| "stopped".into())
    }

    /// The same, unless a score that the law can only be worse than is enough to stop.
    ///
    /// # Errors
    /// As [`Self::score`].
    pub fn score_unless(
        &self,
        law: &LawSettings,
        age: AgeKind,
        stops: &dyn Fn(&Score) -> bool,
    ) -> Result<Option<Score>, String> {
        let mut score = Score::NOTHING;
        for (world, share) in self.iter() {
            let stops = &mut |run: &SoFar<'_>| stops(&score.at_least(run, share, age));
            let Some(summary) = run(world, law, stops)? else { return Ok(None) };
            score = score.and(&summary, share, age);
        }
        Ok(Some(score))
    }
}

impl Score {
    pub(crate) const NOTHING: Self =
        Self { age_s: 0.0, max_age_s: 0.0, pod_seconds: 0.0, reversals: 0.0 };

    pub(crate) fn and(self, run: &Summary, share: f64, age: AgeKind) -> Self {
        Self {
            age_s: self.age_s.max(age_of(run, age)),
            max_age_s: self.max_age_s.max(run.max_age_s),
            pod_seconds: self.pod_seconds + share * run.pod_seconds,
            reversals: self.reversals + share * f64::from(run.direction_reversals),
        }
    }

    /// With what is certain of one more run.
    pub(crate) fn at_least(self, run: &SoFar<'_>, share: f64, age: AgeKind) -> Self {
        let max_age_s = run.max_age_s();
        let age_s = if age == AgeKind::P99 { run.p99_age_s() } else { max_age_s };
        Self {
            age_s: self.age_s.max(age_s),
            max_age_s: self.max_age_s.max(max_age_s),
            pod_seconds: self.pod_seconds + share * run.pod_seconds(),
            reversals: self.reversals,
        }
    }
}

fn run(
    world: &Prepared<'_>,
    law: &LawSettings,
    stops: &mut dyn FnMut(&SoFar<'_>) -> bool,
) -> Result<Option<Summary>, String> {
    match law {
        LawSettings::Stock(object) => {
            let mut law = stock_law((**object).clone(), &world.scenario().control);
            Ok(world.summarize_unless(&mut law, stops))
        }
        LawSettings::Slo(object, settings) => {
            let options = slo_options(world.scenario(), object, settings);
            let mut law = SloLaw::new(options, 0).map_err(|error| error.to_string())?;
            Ok(world.summarize_unless(&mut law, stops))
        }
    }
}

fn age_of(summary: &Summary, kind: AgeKind) -> f64 {
    let waits = summary.end_backlog as f64 > 0.01 * summary.arrived as f64;
    match kind {
        AgeKind::P99 if !waits => summary.p99_age_s,
        _ => summary.max_age_s,
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    const DEMO: &str = include_str!("../../../config/scaled-object-demo.yaml");
    const LOCAL: &str = include_str!("../../../config/scaled-object-local.yaml");
    const PUBLISHED: &str = include_str!("../../../config/scenarios/published-24min.toml");

    /// What is certain before the end is never more than what comes out.
    #[test]
    fn a_run_that_is_stopped_would_have_been_no_better() {
        let mut scenario = Scenario::from_text("published", PUBLISHED).expect("scenario");
        scenario.duration_s = 600;
        let scenarios = [NamedScenario { name: "published".into(), scenario }];
        let worlds = Worlds::new(&scenarios, &[1, 2]);
        assert_eq!((worlds.len(), worlds.is_empty()), (2, false));
        let object = |text| Box::new(ScaledObject::from_yaml(text, "test").expect("manifest"));
        let slo = SloSettings::new(&object(DEMO), 30.0);
        let laws = [
            LawSettings::Stock(object(DEMO)),
            LawSettings::Stock(object(LOCAL)),
            LawSettings::Slo(object(DEMO), slo),
        ];
        for law in &laws {
            for age in [AgeKind::P99, AgeKind::Max] {
                let whole = worlds.score(law, age).expect("a score");
                let looks = Cell::new(0);
                let watched = |score: &Score| {
                    looks.set(looks.get() + 1);
                    assert!(score.age_s <= whole.age_s, "{score:?} {whole:?}");
                    assert!(score.max_age_s <= whole.max_age_s, "{score:?} {whole:?}");
                    assert!(score.pod_seconds <= whole.pod_seconds, "{score:?} {whole:?}");
                    false
                };
                let again = worlds.score_unless(law, age, &watched).expect("a score");
                assert_eq!(again, Some(whole));
                assert!(looks.get() > 50, "{}", looks.get());
                let beaten = |score: &Score| {
                    score.age_s > 0.5 * whole.age_s && score.pod_seconds > 0.5 * whole.pod_seconds
                };
                let early = worlds.score_unless(law, age, &beaten).expect("a score");
                assert_eq!(early, None, "{law:?}");
            }
        }
    }
}
