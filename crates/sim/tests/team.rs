//! Laws that share a world score as each does by itself.

use tidegate_autoscale::law::{SloLaw, SloOptions, StockLaw};
use tidegate_autoscale::scaled_object::ScaledObject;
use tidegate_sim::{Prepared, Scenario, SoFar, Summary, Team, Went, slo_options, stock_law};

const DEMO: &str = include_str!("../../../config/scaled-object-demo.yaml");
const PUBLISHED: &str = include_str!("../../../config/scenarios/published-24min.toml");
const FLASH: &str = include_str!("../../../config/scenarios/suite/flash-crowd.toml");

fn scenario(text: &str) -> Scenario {
    let mut scenario = Scenario::from_text("test", text).expect("a scenario");
    scenario.duration_s = scenario.duration_s.min(700);
    scenario
}

fn object(from: &str, to: &str) -> ScaledObject {
    let text = DEMO.replace(from, to);
    assert!(from == to || text != DEMO, "{from}");
    ScaledObject::from_yaml(&text, "test").expect("a manifest")
}

/// Two that do the same, and some that leave early, late, or look at other times.
fn stock(scenario: &Scenario) -> Vec<StockLaw> {
    let changes = [
        ("", ""),
        ("maxReplicaCount: 100", "maxReplicaCount: 99"),
        ("maxReplicaCount: 100", "maxReplicaCount: 40"),
        ("lagThreshold: \"10000\"", "lagThreshold: \"5000\""),
        ("lagThreshold: \"10000\"", "lagThreshold: \"9000\""),
        ("pollingInterval: 30", "pollingInterval: 10"),
        ("", ""),
    ];
    changes.map(|(from, to)| stock_law(object(from, to), &scenario.control)).into()
}

fn slo(scenario: &Scenario) -> Vec<SloLaw> {
    let law = |target_age_s: f64| {
        let options = slo_options(scenario, &object("", ""));
        SloLaw::new(SloOptions { target_age_s, ..options }, 0).expect("options")
    };
    [20.0, 20.0, 30.0, 90.0].map(law).into()
}

/// Summaries by number, and how many worlds there were.
fn together<L: tidegate_autoscale::law::Law>(
    mut open: Vec<Team<'_, L>>,
    stops: &mut dyn FnMut(&SoFar<'_>) -> bool,
) -> (Vec<(usize, Option<Summary>)>, usize) {
    let (mut came, mut worlds) = (Vec::new(), 0);
    while let Some(team) = open.pop() {
        match team.go_on(stops) {
            Went::Apart(teams) => {
                assert!(teams.len() > 1);
                open.extend(teams);
            }
            Went::ToTheEnd(summary, laws) => {
                worlds += 1;
                came.extend(laws.into_iter().map(|(n, _)| (n, summary.as_deref().cloned())));
            }
        }
    }
    came.sort_by_key(|(number, _)| *number);
    (came, worlds)
}

#[test]
fn a_run_in_company_is_the_run_alone() {
    for text in [PUBLISHED, FLASH] {
        let scenario = scenario(text);
        for seed in 1..=2 {
            let world = Prepared::new(&scenario, seed);
            let laws = || stock(&scenario).into_iter().enumerate();
            let (came, worlds) = together(world.teams(laws()), &mut |_| false);
            let alone: Vec<_> =
                laws().map(|(number, mut law)| (number, Some(world.summarize(&mut law)))).collect();
            assert_eq!(came, alone);
            assert!(worlds < alone.len(), "two at least do the same");

            let laws = || slo(&scenario).into_iter().enumerate();
            let (came, worlds) = together(world.teams(laws()), &mut |_| false);
            let alone: Vec<_> =
                laws().map(|(number, mut law)| (number, Some(world.summarize(&mut law)))).collect();
            assert_eq!(came, alone);
            assert!(worlds < alone.len(), "two at least do the same");
        }
    }
}

#[test]
fn company_is_stopped_when_the_run_alone_would_be() {
    let scenario = scenario(PUBLISHED);
    let world = Prepared::new(&scenario, 1);
    let mut enough = |run: &SoFar<'_>| run.pod_seconds() > 8_000.0 && run.max_age_s() > 100.0;
    let laws = || stock(&scenario).into_iter().enumerate();
    let (came, _) = together(world.teams(laws()), &mut enough);
    let alone =
        laws().map(|(number, mut law)| (number, world.summarize_unless(&mut law, &mut enough)));
    let alone: Vec<_> = alone.collect();
    assert_eq!(came, alone);
    assert!(alone.iter().any(|(_, summary)| summary.is_none()));
}
