//! Generations of configurations, the race over the seeds, and the checkpoint.

use std::collections::BTreeSet;
use std::sync::atomic::AtomicBool;

use rand::{RngExt as _, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::front::{Front, Point};
use super::manifest::{Base, settings};
use super::race::Race;
use super::space::{Genes, LawKind, Space};
use crate::known::Known;
use crate::parallel::{self, Crew};
use crate::together;
use crate::trial::{AgeKind, LawSettings, NamedScenario, Score, Worlds};

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
        let crew = Crew { threads: self.options.threads, stop };
        let laws = parallel::map(&candidates, crew, |genes| self.law(genes));
        let Some(laws) = laws else { return Ok(false) };
        let laws = laws.into_iter().collect::<Result<Vec<_>, _>>().map_err(SearchError::Law)?;
        let front = &self.state.front;
        let race = Race { worlds: &self.race, known: &self.known, front, age: self.options.age };
        let raced = race.of(&laws, crew).map_err(SearchError::Law)?;
        let Some(raced) = raced else { return Ok(false) };
        let mut seen = self.state.raced.clone();
        let mut survivors: Vec<(usize, Score)> = Vec::new();
        let mut new_runs = Vec::new();
        for (number, raced) in raced.into_iter().enumerate() {
            new_runs.push(raced.run);
            let score = raced.score.filter(|score| !front.clearly_beats(score));
            survivors.extend(score.filter(|score| seen.insert(bits(score))).map(|s| (number, s)));
        }
        let laws: Vec<&LawSettings> = survivors.iter().map(|(number, _)| &laws[*number]).collect();
        let others = self.options.seeds.len().saturating_sub(1);
        let stops = |survivor: usize, rest: &Score| {
            front.keeps_out(&mean(survivors[survivor].1, *rest, others))
        };
        let rest = together::scores_unless(&self.rest, &laws, self.options.age, crew, stops);
        let Some(rest) = rest.map_err(SearchError::Law)? else { return Ok(false) };
        let runs = candidates.len() * self.race.len() + survivors.len() * self.rest.len();
        for ((number, one), rest) in survivors.into_iter().zip(rest) {
            let Some(rest) = rest else { continue };
            let (genes, score) = (candidates[number].clone(), mean(one, rest, others));
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

    /// Configurations' worth with some seeds; `None` when `stop` was set.
    ///
    /// # Errors
    /// [`SearchError::Law`].
    pub(super) fn scores(
        &self,
        all: &[&Genes],
        worlds: &Worlds<'_>,
        stop: &AtomicBool,
    ) -> Result<Option<Vec<Score>>, SearchError> {
        let laws = all.iter().map(|genes| self.law(genes)).collect::<Result<Vec<_>, _>>();
        let laws = laws.map_err(SearchError::Law)?;
        let laws: Vec<&LawSettings> = laws.iter().collect();
        let crew = Crew { threads: self.options.threads, stop };
        together::scores(worlds, &laws, self.options.age, crew).map_err(SearchError::Law)
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
