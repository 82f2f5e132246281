//! Many laws in one world: what their runs have in common is simulated once.
//!
//! Contract: the same as a run for each, to the last bit, whatever the number of threads.
//! Laws that have wanted the same so far go through the world as a [`Team`]; where they part,
//! the world is copied, and the teams go on, on any thread. Rejected: worlds kept for later
//! generations to go on from (a hundred kilobytes each, for every moment at which somebody
//! may want something else).

use tidegate_autoscale::law::{Law, SloLaw};
use tidegate_sim::{Prepared, SoFar, Summary, Team, Went, stock_law};

use crate::parallel::{self, Crew};
use crate::trial::{AgeKind, LawSettings, Score, Worlds, slo_options};

/// Teams go to the end, unless `stops` says of what is certain that it is enough. Each law
/// comes with its number, and with its summary unless it was stopped; in any order. `None`
/// when all was stopped.
pub(crate) fn go<L: Law + Send>(
    teams: Vec<Team<'_, L>>,
    crew: Crew<'_>,
    stops: impl Fn(&SoFar<'_>) -> bool + Sync,
) -> Option<Vec<(usize, Option<Summary>, L)>> {
    parallel::work_off(teams, crew, |team| match team.go_on(&mut |run| stops(run)) {
        Went::Apart(teams) => (teams, Vec::new()),
        Went::ToTheEnd(summary, laws) => {
            let came = |(number, law)| (number, summary.as_deref().cloned(), law);
            (Vec::new(), laws.into_iter().map(came).collect())
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
    let mut scores = vec![Score::NOTHING; laws.len()];
    let stock = summaries(worlds, laws, crew, |law, world| match law {
        LawSettings::Stock(object) => {
            Ok(Some(stock_law((**object).clone(), &world.scenario().control)))
        }
        LawSettings::Slo(..) => Ok(None),
    })?;
    let slo = summaries(worlds, laws, crew, |law, world| match law {
        LawSettings::Stock(_) => Ok(None),
        LawSettings::Slo(object, settings) => {
            let options = slo_options(world.scenario(), object, settings);
            SloLaw::new(options, 0).map(Some).map_err(|error| error.to_string())
        }
    })?;
    let (Some(stock), Some(slo)) = (stock, slo) else { return Ok(None) };
    // World by world, in their order.
    for ((_, share), runs) in worlds.iter().zip(stock.into_iter().zip(slo)) {
        for (law, run) in runs.0.into_iter().chain(runs.1) {
            scores[law] = scores[law].and(&run, share, age);
        }
    }
    Ok(Some(scores))
}

/// Numbers of laws with their summaries, world by world, of those laws that `begin` makes.
#[allow(clippy::type_complexity)]
fn summaries<L: Law + Send>(
    worlds: &Worlds<'_>,
    laws: &[&LawSettings],
    crew: Crew<'_>,
    begin: impl Fn(&LawSettings, &Prepared<'_>) -> Result<Option<L>, String>,
) -> Result<Option<Vec<Vec<(usize, Summary)>>>, String> {
    let mut teams = Vec::new();
    for (place, (world, _)) in worlds.iter().enumerate() {
        let mut begun = Vec::new();
        for (number, law) in laws.iter().enumerate() {
            let law = begin(law, world)?;
            begun.extend(law.map(|law| (place * laws.len() + number, law)));
        }
        teams.extend(world.teams(begun));
    }
    let Some(came) = go(teams, crew, |_| false) else { return Ok(None) };
    let mut of_worlds = vec![Vec::new(); worlds.len()];
    for (number, summary, _) in came {
        let of_world: &mut Vec<(usize, Summary)> = &mut of_worlds[number / laws.len()];
        of_world.extend(summary.map(|summary| (number % laws.len(), summary)));
    }
    Ok(Some(of_worlds))
}
