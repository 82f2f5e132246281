//! Generations of configurations, the race over the seeds, and the checkpoint.

use std::collections::BTreeSet;
use std::sync::atomic::AtomicBool;

use rand::{RngExt as _, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};
use tidegate_autoscale::law::Recorder;
use tidegate_sim::stock_law;

use super::front::{Front, Point};
use super::manifest::{Base, settings};
use super::space::{Genes, LawKind, Space};
use crate::known::{Known, Look, Looks};
use crate::parallel;
use crate::trial::{AgeKind, LawSettings, NamedScenario, Score, Worlds, score_in};

/// Configurations in a generation.
const GENERATION: usize = 128;
/// This share of all is random before the front's descendants begin ...
const RANDOM_START: f64 = 0.15;
/// ... and this share of each generation after it.
const RANDOM_LATER: f64 = 0.15;

/// What the search is told.
#[derive(Debug, Clone, PartialEq)]
pub struct Options {
    /// Configurations to evaluate.
    pub configurations: u64,
    /// Seed of the search.
    pub seed: u64,
    /// Seeds of the simulations; the first decides the race.
    pub seeds: Vec<u64>,
    /// Threads.
    pub threads: usize,
    /// Which age counts.
    pub age: AgeKind,
}

/// Where a search is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Progress {
    /// Configurations evaluated.
    pub evaluated: u64,
    /// Configurations to evaluate.
    pub configurations: u64,
    /// Simulations done, those among them that were known before.
    pub simulations: u64,
    /// Points of the front.
    pub front: usize,
    /// The lowest age, seconds.
    pub best_age_s: Option<f64>,
    /// The lowest cost, pod-seconds.
    pub best_cost: Option<f64>,
}

/// A search between two generations; enough to go on as if it had never stopped.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Checkpoint {
    /// Of everything that decides the result; see `fingerprint`.
    pub fingerprint: String,
    /// Generations done.
    pub generation: u64,
    /// Configurations evaluated.
    pub evaluated: u64,
    /// Simulations done.
    pub simulations: u64,
    /// The front.
    pub front: Front,
    /// Configurations that were tried.
    tried: BTreeSet<Genes>,
    /// What the race's seed gave, to the last bit: age, greatest age, cost, reversals.
    #[serde(default)]
    raced: BTreeSet<[u64; 4]>,
}

/// A setting that never binds changes nothing: such a run is the same to the last bit.
fn bits(score: &Score) -> [u64; 4] {
    [score.age_s, score.max_age_s, score.pod_seconds, score.reversals].map(f64::to_bits)
}

/// Why a search cannot go on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SearchError {
    /// A checkpoint of another search.
    #[error(
        "the checkpoint is of other scenarios, settings or seeds: remove it, or name another file"
    )]
    OtherCheckpoint,
    /// A law that refuses its options.
    #[error("{0}")]
    Law(String),
}

/// The search.
#[derive(Debug)]
pub struct Search<'a> {
    base: &'a Base,
    scenarios: &'a [NamedScenario],
    options: Options,
    space: Space,
    /// With the seed of the race, and with the others.
    race: Worlds<'a>,
    rest: Worlds<'a>,
    state: Checkpoint,
    /// Runs of the race since the search began or went on.
    known: Known,
}

/// What became of a configuration in the race.
#[derive(Debug, Default)]
struct Raced {
    /// `None` when it cannot enter the front: it is beaten, or its run is known.
    score: Option<Score>,
    /// Its run, to be known, and how often its law looked, milliseconds.
    run: Option<(i64, Vec<Look>)>,
}

impl<'a> Search<'a> {
    /// At its beginning, or where a checkpoint ended.
    ///
    /// # Errors
    /// [`SearchError::OtherCheckpoint`].
    pub fn new(
        base: &'a Base,
        scenarios: &'a [NamedScenario],
        law: LawKind,
        options: Options,
        checkpoint: Option<Checkpoint>,
    ) -> Result<Self, SearchError> {
        let space = Space::new(law, scenarios, &base.object);
        let fingerprint = fingerprint(base, scenarios, &space, &options);
        let state = match checkpoint {
            Some(state) if state.fingerprint == fingerprint => state,
            Some(_) => return Err(SearchError::OtherCheckpoint),
            None => Checkpoint {
                fingerprint,
                generation: 0,
                evaluated: 0,
                simulations: 0,
                front: Front::default(),
                tried: BTreeSet::new(),
                raced: BTreeSet::new(),
            },
        };
        let (first, others) = options.seeds.split_at(options.seeds.len().min(1));
        let (race, rest) = (Worlds::new(scenarios, first), Worlds::new(scenarios, others));
        let known = Known::default();
        Ok(Self { base, scenarios, options, space, race, rest, state, known })
    }

    /// What may be set.
    pub fn space(&self) -> &Space {
        &self.space
    }

    /// The front so far.
    pub fn front(&self) -> &Front {
        &self.state.front
    }

    /// To be kept, for going on later.
    pub fn checkpoint(&self) -> &Checkpoint {
        &self.state
    }

    /// Where it is.
    pub fn progress(&self) -> Progress {
        let points = self.state.front.points();
        Progress {
            evaluated: self.state.evaluated,
            configurations: self.options.configurations,
            simulations: self.state.simulations,
            front: points.len(),
            best_age_s: points.first().map(|point| point.score.age_s),
            best_cost: points.last().map(|point| point.score.pod_seconds),
        }
    }

    /// One more generation. False when all is done, or `stop` was set; then nothing of the
    /// generation counts.
    ///
    /// # Errors
    /// [`SearchError::Law`].
    pub fn step(&mut self, stop: &AtomicBool) -> Result<bool, SearchError> {
        let left = self.options.configurations.saturating_sub(self.state.evaluated);
        let candidates = self.candidates((left as usize).min(GENERATION));
        if candidates.is_empty() {
            return Ok(false);
        }
        let front = &self.state.front;
        let threads = self.options.threads;
        let race = |genes: &Genes| self.race_of(genes);
        let Some(raced) = parallel::map(&candidates, threads, stop, race) else {
            return Ok(false);
        };
        let raced = raced.into_iter().collect::<Result<Vec<_>, _>>().map_err(SearchError::Law)?;
        let (raced, new_runs): (Vec<_>, Vec<_>) =
            raced.into_iter().map(|raced| (raced.score, raced.run)).unzip();
        let mut seen = self.state.raced.clone();
        let survivors: Vec<(Genes, Score)> = candidates
            .iter()
            .cloned()
            .zip(raced)
            .filter_map(|(genes, score)| Some((genes, score?)))
            .filter(|(_, score)| !front.clearly_beats(score))
            .filter(|(_, score)| seen.insert(bits(score)))
            .collect();
        let genes: Vec<Genes> = survivors.iter().map(|(genes, _)| genes.clone()).collect();
        let rest = |genes: &Genes| self.score(genes, &self.rest);
        let Some(rest) = parallel::map(&genes, threads, stop, rest) else { return Ok(false) };
        let rest: Vec<Score> =
            rest.into_iter().collect::<Result<_, _>>().map_err(SearchError::Law)?;
        let others = self.options.seeds.len().saturating_sub(1);
        let runs = candidates.len() * self.race.len() + survivors.len() * self.rest.len();
        for ((genes, one), rest) in survivors.into_iter().zip(rest) {
            let score = mean(one, rest, others);
            self.state.front.add(Point { genes, score });
        }
        for (interval_ms, looks) in new_runs.into_iter().flatten() {
            self.known.add(interval_ms, &looks);
        }
        self.state.simulations += runs as u64;
        self.state.evaluated += candidates.len() as u64;
        self.state.tried.extend(candidates);
        self.state.raced = seen;
        self.state.generation += 1;
        Ok(self.state.evaluated < self.options.configurations)
    }

    /// Simulates a configuration with the race's seed, unless that run is known, or is not
    /// worth finishing. Known runs are dropped: each was kept when it was new, or beaten.
    fn race_of(&self, genes: &[u8]) -> Result<Raced, String> {
        let (law, age) = (self.law(genes)?, self.options.age);
        let stops = |score: &Score| self.state.front.clearly_beats(score);
        if let (LawSettings::Stock(object), Some(world)) = (&law, self.race.only())
            && object.metric_is_of_sums()
        {
            let law = || stock_law((**object).clone(), &world.scenario().control);
            let interval_ms = object.polling_interval_ms();
            if self.known.has_run_of(interval_ms, &mut law()) {
                return Ok(Raced::default());
            }
            let mut law = Recorder::<_, Looks>::keeping(law());
            let score = score_in(world, &mut law, age, &stops);
            let looks = law.decisions.whole();
            return Ok(Raced { score, run: looks.map(|looks| (interval_ms, looks)) });
        }
        let score = self.race.score_unless(&law, age, &stops)?;
        Ok(Raced { score, run: None })
    }

    /// A configuration's worth with some seeds.
    ///
    /// # Errors
    /// A law that refuses its options, in one line.
    pub fn score(&self, genes: &[u8], worlds: &Worlds<'_>) -> Result<Score, String> {
        worlds.score(&self.law(genes)?, self.options.age)
    }

    /// The law of a configuration.
    ///
    /// # Errors
    /// A manifest that is refused, in one line.
    pub fn law(&self, genes: &[u8]) -> Result<LawSettings, String> {
        settings(self.base, &self.space, genes)
    }

    /// What this search began with: scenarios, options, object.
    pub(super) fn inputs(&self) -> (&'a Base, &'a [NamedScenario], &Options) {
        (self.base, self.scenarios, &self.options)
    }

    fn candidates(&self, count: usize) -> Vec<Genes> {
        let mut random = ChaCha8Rng::seed_from_u64(self.options.seed);
        random.set_stream(self.state.generation);
        let start = (self.options.configurations as f64 * RANDOM_START) as u64;
        let parents = self.state.front.points();
        let all_random = self.state.evaluated < start.min(4000) || parents.is_empty();
        let mut chosen: Vec<Genes> = Vec::with_capacity(count);
        let mut known: BTreeSet<Genes> = BTreeSet::new();
        // A small space may be used up: then fewer come.
        for _ in 0..count * 50 {
            if chosen.len() == count {
                break;
            }
            let genes = if all_random || random.random::<f64>() < RANDOM_LATER {
                self.space.random(&mut random)
            } else {
                let one = &parents[random.random_range(0..parents.len())].genes;
                let other = &parents[random.random_range(0..parents.len())].genes;
                let child = if random.random::<f64>() < 0.3 {
                    self.space.crossed(one, other, &mut random)
                } else {
                    one.clone()
                };
                self.space.mutated(&child, &mut random)
            };
            if !self.state.tried.contains(&genes) && known.insert(genes.clone()) {
                chosen.push(genes);
            }
        }
        chosen
    }
}

/// The worth with one seed and with others, together.
fn mean(one: Score, others: Score, count: usize) -> Score {
    if count == 0 {
        return one;
    }
    let share = 1.0 / (count as f64 + 1.0);
    let mean = |a: f64, b: f64| share * a + (1.0 - share) * b;
    Score {
        age_s: one.age_s.max(others.age_s),
        max_age_s: one.max_age_s.max(others.max_age_s),
        pod_seconds: mean(one.pod_seconds, others.pod_seconds),
        reversals: mean(one.reversals, others.reversals),
    }
}

/// FNV-1a over everything that decides the result, the number of threads not among it. The
/// number of configurations is (the share that is random follows from it).
fn fingerprint(
    base: &Base,
    scenarios: &[NamedScenario],
    space: &Space,
    options: &Options,
) -> String {
    let worlds: Vec<String> =
        scenarios.iter().map(|named| format!("{:?}", named.scenario)).collect();
    let Options { configurations, seed, seeds, age, threads: _ } = options;
    let text =
        format!("{} {worlds:?} {space:?} {configurations} {seed} {seeds:?} {age:?}", base.manifest);
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for byte in text.bytes() {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    }
    format!("{hash:016x}")
}
