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

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

    use tidegate_autoscale::scaled_object::ScaledObject;
    use tidegate_sim::Scenario;

    use super::*;
    use crate::trial::{NamedScenario, SloSettings};

    const DEMO: &str = include_str!("../../../config/scaled-object-demo.yaml");
    const PUBLISHED: &str = include_str!("../../../config/scenarios/published-24min.toml");

    /// What is certain by then is never more than what comes out, whatever the company; who
    /// is not stopped has the score of the run alone.
    #[test]
    fn a_law_that_is_left_out_would_have_been_no_better() {
        let mut scenario = Scenario::from_text("published", PUBLISHED).expect("scenario");
        scenario.duration_s = 300;
        let scenarios = [NamedScenario { name: "published".into(), scenario }];
        let worlds = Worlds::new(&scenarios, &[1, 2]);
        let object = |to: &str| {
            let text = DEMO.replace("lagThreshold: \"10000\"", to);
            Box::new(ScaledObject::from_yaml(&text, "test").expect("manifest"))
        };
        let stock = [20_000, 10_000, 9_000, 5_000, 1_000]
            .map(|records| LawSettings::Stock(object(&format!("lagThreshold: \"{records}\""))));
        let demo = object("lagThreshold: \"10000\"");
        let slo = LawSettings::Slo(demo.clone(), SloSettings::new(&demo, 30.0));
        let laws: Vec<&LawSettings> = stock.iter().chain([&slo]).collect();
        let stop = &AtomicBool::new(false);
        for age in [AgeKind::P99, AgeKind::Max] {
            let alone: Vec<Score> =
                laws.iter().map(|law| worlds.score(law, age).expect("a score")).collect();
            for threads in [1, 3] {
                let crew = Crew { threads, stop };
                let looks = AtomicUsize::new(0);
                let watched = |law: usize, least: &Score| {
                    looks.fetch_add(1, Ordering::Relaxed);
                    assert!(least.age_s <= alone[law].age_s, "{least:?}");
                    assert!(least.pod_seconds <= alone[law].pod_seconds, "{least:?}");
                    false
                };
                let all = scores_unless(&worlds, &laws, age, crew, watched).expect("scores");
                assert_eq!(all, Some(alone.iter().copied().map(Some).collect()));
                assert!(looks.into_inner() > 100);

                let mut costs: Vec<f64> = alone.iter().map(|score| score.pod_seconds).collect();
                costs.sort_by(f64::total_cmp);
                let bound = 0.9 * costs[3];
                let dear = |_: usize, least: &Score| least.pod_seconds >= bound;
                let some = scores_unless(&worlds, &laws, age, crew, dear).expect("scores");
                let some = some.expect("not stopped");
                assert!(some.iter().any(Option::is_some) && some.iter().any(Option::is_none));
                for (score, alone) in some.iter().zip(&alone) {
                    let is_right = score.map_or(alone.pod_seconds >= bound, |s| s == *alone);
                    assert!(is_right, "{score:?} {alone:?} {bound}");
                }
            }
        }
    }
}
