//! The race: configurations with the first seed, as far as it is worth it.
//!
//! Contract: a run that is known, or shown to be worse than the front before its end, has no
//! score. Those of one scenario go together as far as they want the same; those of several
//! run each by itself, because what is enough to stop one is not for another.

use tidegate_autoscale::law::{Recorder, SloLaw, StockLaw};
use tidegate_sim::{Prepared, SoFar, Summary, stock_law};

use super::front::Front;
use crate::known::{Known, Look, Looks};
use crate::parallel::{self, Crew};
use crate::together;
use crate::trial::{AgeKind, LawSettings, Score, Worlds, slo_options};

/// What decides it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Race<'r> {
    pub(super) worlds: &'r Worlds<'r>,
    pub(super) known: &'r Known,
    pub(super) front: &'r Front,
    pub(super) age: AgeKind,
}

/// What became of a configuration.
#[derive(Debug, Default)]
pub(super) struct Raced {
    /// `None` when it cannot enter the front: it is beaten, or its run is known, and was
    /// kept when it was new, or beaten.
    pub(super) score: Option<Score>,
    /// Its run, to be known, and how often its law looked, milliseconds.
    pub(super) run: Option<(i64, Vec<Look>)>,
}

/// A law at its beginning.
#[derive(Debug)]
enum Begun {
    Known,
    /// With how often it looks, milliseconds, where its looks can be told by their sums.
    Stock(Option<i64>, Box<Recorder<StockLaw, Looks>>),
    Slo(Box<SloLaw>),
}

impl Race<'_> {
    /// Of these laws; `None` when all was stopped.
    ///
    /// # Errors
    /// An SLO option out of its range, in one line.
    pub(super) fn of(
        &self,
        laws: &[LawSettings],
        crew: Crew<'_>,
    ) -> Result<Option<Vec<Raced>>, String> {
        let Some(world) = self.worlds.only() else { return self.alone(laws, crew) };
        let begun = parallel::map(laws, crew, |law| self.begin(law, world));
        let Some(begun) = begun else { return Ok(None) };
        let mut raced: Vec<Raced> = laws.iter().map(|_| Raced::default()).collect();
        let (mut stock, mut slo) = (Vec::new(), Vec::new());
        for (number, begun) in begun.into_iter().enumerate() {
            match begun? {
                Begun::Known => {}
                Begun::Stock(interval_ms, law) => {
                    raced[number].run = interval_ms.map(|interval_ms| (interval_ms, Vec::new()));
                    stock.push((number, *law));
                }
                Begun::Slo(law) => slo.push((number, *law)),
            }
        }
        let stops = |run: &SoFar<'_>, _: &[usize]| {
            self.front.clearly_beats(&Score::NOTHING.at_least(run, 1.0, self.age))
        };
        let stock = together::go(world.teams(stock), crew, stops);
        let slo = together::go(world.teams(slo), crew, stops);
        let (Some(stock), Some(slo)) = (stock, slo) else { return Ok(None) };
        let score = |run: Option<Summary>| Some(Score::NOTHING.and(&run?, 1.0, self.age));
        for (number, run, law) in stock {
            let interval_ms = raced[number].run.take().map(|(interval_ms, _)| interval_ms);
            let run_to_know = interval_ms.zip(law.decisions.whole());
            raced[number] = Raced { score: score(run), run: run_to_know };
        }
        for (number, run, _) in slo {
            raced[number].score = score(run);
        }
        Ok(Some(raced))
    }

    fn alone(&self, laws: &[LawSettings], crew: Crew<'_>) -> Result<Option<Vec<Raced>>, String> {
        let stops = |score: &Score| self.front.clearly_beats(score);
        let run = |law: &LawSettings| {
            let score = self.worlds.score_unless(law, self.age, &stops)?;
            Ok(Raced { score, run: None })
        };
        parallel::map(laws, crew, run).map(|raced| raced.into_iter().collect()).transpose()
    }

    fn begin(&self, law: &LawSettings, world: &Prepared<'_>) -> Result<Begun, String> {
        let control = &world.scenario().control;
        match law {
            LawSettings::Stock(object) => {
                let law = || stock_law((**object).clone(), control);
                let interval_ms = object.metric_is_of_sums().then(|| object.polling_interval_ms());
                if interval_ms.is_some_and(|ms| self.known.has_run_of(ms, &mut law())) {
                    return Ok(Begun::Known);
                }
                Ok(Begun::Stock(interval_ms, Box::new(Recorder::keeping(law()))))
            }
            LawSettings::Slo(object, settings) => {
                let options = slo_options(world.scenario(), object, settings);
                let law = SloLaw::new(options, 0).map_err(|error| error.to_string())?;
                Ok(Begun::Slo(Box::new(law)))
            }
        }
    }
}
