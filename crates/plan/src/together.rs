//! Many laws in one world: what their runs have in common is simulated once.
//!
//! Contract: the same as a run for each, to the last bit, whatever the number of threads.
//! Laws that have wanted the same so far go through the world as a [`Team`]; where they part,
//! the world is copied, and the teams go on, on any thread. Rejected: worlds kept for later
//! generations to go on from (a hundred kilobytes each, for every moment at which somebody
//! may want something else).

use std::collections::BTreeMap;

use tidegate_autoscale::law::{Law, SloLaw, StockLaw};
use tidegate_sim::{Prepared, SoFar, Summary, Team, Went, stock_law};

use crate::parallel::{self, Crew};
use crate::trial::{AgeKind, LawSettings, Score, Worlds, slo_options};

/// Teams go to the end, unless `stops` says of what is certain that it is enough, for all
/// laws of a team by their numbers. Each law comes with its number, and with its summary
/// unless it was stopped; in any order. `None` when all was stopped.
pub(crate) fn go<L: Law + Send>(
    teams: Vec<Team<'_, L>>,
    crew: Crew<'_>,
    stops: impl Fn(&SoFar<'_>, &[usize]) -> bool + Sync,
) -> Option<Vec<(usize, Option<Summary>, L)>> {
    parallel::work_off(teams, crew, |team| {
        // They do not change before it is apart.
        let numbers: Vec<usize> = team.numbers().collect();
        match team.go_on(&mut |run| stops(run, &numbers)) {
            Went::Apart(teams) => (teams, Vec::new()),
            Went::ToTheEnd(summary, laws) => {
                let came = |(number, law)| (number, summary.as_deref().cloned(), law);
                (Vec::new(), laws.into_iter().map(came).collect())
            }
        }
    })
}

/// [`Worlds::score`] of many laws. `None` when all was stopped.
///
/// # Errors
/// An SLO option out of its range, in one line.
pub(crate) fn scores(
    worlds: &Worlds<'_>,
    laws: &[&LawSettings],
    age: AgeKind,
    crew: Crew<'_>,
) -> Result<Option<Vec<Score>>, String> {
    let (mut stock, mut slo) = (Vec::new(), Vec::new());
    for (place, (world, _)) in worlds.iter().enumerate() {
        let begun = begin(laws.iter().copied().enumerate(), world)?;
        let here = |number| place * laws.len() + number;
        stock.extend(world.teams(begun.0.into_iter().map(|(number, law)| (here(number), law))));
        slo.extend(world.teams(begun.1.into_iter().map(|(number, law)| (here(number), law))));
    }
    let (stock, slo) = (go(stock, crew, |_, _| false), go(slo, crew, |_, _| false));
    let (Some(stock), Some(slo)) = (stock, slo) else { return Ok(None) };
    let mut runs = summaries(stock);
    runs.extend(summaries(slo));
    // World by world, in their order.
    runs.sort_by_key(|(number, _)| *number);
    let shares: Vec<f64> = worlds.iter().map(|(_, share)| share).collect();
    let mut scores = vec![Score::NOTHING; laws.len()];
    for (number, run) in runs {
        let (share, law) = (shares[number / laws.len()], number % laws.len());
        scores[law] = scores[law].and(&run, share, age);
    }
    Ok(Some(scores))
}

/// The same, one world after the other; a law has no score when `stops` says, by its number,
/// of what its score must become at least that this is enough.
///
/// # Errors
/// As [`scores`].
pub(crate) fn scores_unless(
    worlds: &Worlds<'_>,
    laws: &[&LawSettings],
    age: AgeKind,
    crew: Crew<'_>,
    stops: impl Fn(usize, &Score) -> bool + Sync,
) -> Result<Option<Vec<Option<Score>>>, String> {
    let mut scores = vec![Some(Score::NOTHING); laws.len()];
    for (world, share) in worlds.iter() {
        let open = |(number, score): (usize, &Option<Score>)| {
            Some((number, score.filter(|score| !stops(number, score))?))
        };
        let open: BTreeMap<usize, Score> = scores.iter().enumerate().filter_map(open).collect();
        let enough = |run: &SoFar<'_>, numbers: &[usize]| {
            let enough = |number: &usize| stops(*number, &open[number].at_least(run, share, age));
            numbers.iter().all(enough)
        };
        let (stock, slo) = begin(open.keys().map(|number| (*number, laws[*number])), world)?;
        let stock = go(world.teams(stock), crew, enough);
        let slo = go(world.teams(slo), crew, enough);
        let (Some(stock), Some(slo)) = (stock, slo) else { return Ok(None) };
        scores.fill(None);
        for (number, run) in summaries(stock).into_iter().chain(summaries(slo)) {
            scores[number] = Some(open[&number].and(&run, share, age));
        }
    }
    Ok(Some(scores))
}

/// Laws at their beginning, each with its number.
type Begun = (Vec<(usize, StockLaw)>, Vec<(usize, SloLaw)>);

fn begin<'l>(
    laws: impl Iterator<Item = (usize, &'l LawSettings)>,
    world: &Prepared<'_>,
) -> Result<Begun, String> {
    let mut begun: Begun = (Vec::new(), Vec::new());
    for (number, law) in laws {
        match law {
            LawSettings::Stock(object) => {
                let law = stock_law((**object).clone(), &world.scenario().control);
                begun.0.push((number, law));
            }
            LawSettings::Slo(object, settings) => {
                let options = slo_options(world.scenario(), object, settings);
                let law = SloLaw::new(options, 0).map_err(|error| error.to_string())?;
                begun.1.push((number, law));
            }
        }
    }
    Ok(begun)
}

/// Of the runs that went to the end.
fn summaries<L>(came: Vec<(usize, Option<Summary>, L)>) -> Vec<(usize, Summary)> {
    came.into_iter().filter_map(|(number, run, _)| Some((number, run?))).collect()
}
