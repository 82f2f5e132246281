//! Settings that the search of `tidegate tune` finds.

use std::error::Error;
use std::sync::atomic::AtomicBool;

use tidegate_plan::trial::{AgeKind, LawSettings, NamedScenario, Score};
use tidegate_plan::tune::{Base, LawKind, Objective, Options, Search, choose};
use tidegate_sim::Scenario;

use crate::figures::threads;

/// The ScaledObject that is tuned.
pub(crate) const DEMO: &str = include_str!("../../../../config/scaled-object-demo.yaml");
/// Configurations that a search tries in the spike, and in each further scenario; the slo
/// law's settings are few, and its simulations cost ten times as much.
pub(crate) const IN_THE_SPIKE: u64 = 2000;
const STOCK: u64 = 1000;
const SLO: u64 = 200;
/// Seeds that it sees ...
const SEEDS: [u64; 2] = [1, 2];
/// ... and seeds that the tables are made with.
pub(crate) const HELD_OUT: [u64; 5] = [11, 12, 13, 14, 15];

/// Configurations that are tried in a further scenario.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Tries {
    pub(crate) stock: u64,
    pub(crate) slo: u64,
}

impl Default for Tries {
    fn default() -> Self {
        Self { stock: STOCK, slo: SLO }
    }
}

impl Tries {
    /// From `STOCK,SLO`.
    pub(crate) fn read(text: &str) -> Option<Self> {
        let (stock, slo) = text.split_once(',')?;
        Some(Self { stock: stock.parse().ok()?, slo: slo.parse().ok()? })
    }
}

/// What was found.
pub(crate) struct Tuned {
    pub(crate) law: LawSettings,
    /// With the seeds that the search has not seen.
    pub(crate) held_out: Score,
    pub(crate) keeps_bound: bool,
    pub(crate) settings: String,
    pub(crate) yaml: String,
}

/// For a search in one scenario.
pub(crate) fn named(world: &Scenario) -> [NamedScenario; 1] {
    [NamedScenario { name: world.description.clone(), scenario: world.clone() }]
}

/// The least age at each of some costs in pod-seconds, as `tidegate tune --objective age
/// --max-pod-seconds` chooses it: of the search's best, the one that is best with new seeds.
pub(crate) fn best<const N: usize>(
    world: &Scenario,
    law: LawKind,
    age: AgeKind,
    configurations: u64,
    costs: [Option<f64>; N],
) -> Result<[Tuned; N], Box<dyn Error>> {
    let base = Base::from_yaml("scaled-object-demo.yaml", DEMO)?;
    let scenarios = named(world);
    let options =
        Options { configurations, seed: 1, seeds: SEEDS.to_vec(), threads: threads(), age };
    let stop = AtomicBool::new(false);
    let mut search = Search::new(&base, &scenarios, law, options, None)?;
    while search.step(&stop)? {}
    let mut found = Vec::new();
    for max_pod_seconds in costs {
        let objective = Objective::Age { max_pod_seconds };
        let choice = choose(&search, objective, &HELD_OUT, &[], &stop)?.ok_or("nothing found")?;
        let settings: Vec<String> = choice
            .reasons
            .iter()
            .map(|reason| format!("{} {}", reason.setting, reason.value))
            .collect();
        found.push(Tuned {
            law: search.law(&choice.genes)?,
            held_out: choice.held_out,
            keeps_bound: choice.keeps_bound,
            settings: settings.join(", "),
            yaml: choice.yaml,
        });
    }
    found.try_into().map_err(|_| "as many as there are costs".into())
}
