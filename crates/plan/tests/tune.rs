//! The search: the same answer whatever the threads and interruptions, and a better one.

use std::sync::atomic::AtomicBool;

use tidegate_plan::trial::{AgeKind, NamedScenario};
use tidegate_plan::tune::{
    Base, Checkpoint, Front, LawKind, Objective, Options, Search, SearchError, choose,
};
use tidegate_sim::Scenario;

const DEMO: &str = include_str!("../../../config/scaled-object-demo.yaml");

/// A spike of two minutes with a queue that is short enough for many runs.
const SPIKE: &str = "
duration_s = 240
[load]
phases = [
  { kind = 'step', rate_per_s = 200.0, duration_s = 60.0 },
  { kind = 'step', rate_per_s = 1500.0, duration_s = 120.0 },
  { kind = 'step', rate_per_s = 200.0, duration_s = 60.0 },
]
[topic]
partitions = 24
[pod]
replicas = 3
batch_s = 1.0
start_s = { min = 2.0, max = 4.0 }
";

static STOP: AtomicBool = AtomicBool::new(false);

fn spike() -> Vec<NamedScenario> {
    let scenario = Scenario::from_text("spike.toml", SPIKE).expect("scenario");
    vec![NamedScenario { name: "spike.toml".into(), scenario }]
}

fn options(threads: usize) -> Options {
    Options { configurations: 400, seed: 7, seeds: vec![1, 2], threads, age: AgeKind::P99 }
}

fn base() -> Base {
    Base::from_yaml("demo", DEMO).expect("manifest")
}

fn search<'a>(
    base: &'a Base,
    scenarios: &'a [NamedScenario],
    law: LawKind,
    threads: usize,
    from: Option<Checkpoint>,
) -> Search<'a> {
    Search::new(base, scenarios, law, options(threads), from).expect("a search")
}

fn finished(mut search: Search<'_>) -> (Front, Checkpoint) {
    while search.step(&STOP).expect("a generation") {}
    (search.front().clone(), search.checkpoint().clone())
}

#[test]
fn threads_and_interruptions_change_nothing() {
    let (base, scenarios) = (base(), spike());
    let whole = finished(search(&base, &scenarios, LawKind::Stock, 1, None));
    assert_eq!(whole.1.evaluated, 400);
    assert_eq!(whole, finished(search(&base, &scenarios, LawKind::Stock, 4, None)));

    // Stopped after two generations, kept as text, and gone on with.
    let mut first = search(&base, &scenarios, LawKind::Stock, 3, None);
    for _ in 0..2 {
        assert!(first.step(&STOP).expect("a generation"));
    }
    // A generation that is stopped in its middle leaves no trace.
    assert!(!first.step(&AtomicBool::new(true)).expect("stopped"));
    let kept = serde_json::to_string(first.checkpoint()).expect("json");
    let from: Checkpoint = serde_json::from_str(&kept).expect("a checkpoint");
    assert_eq!(from.generation, 2);
    assert_eq!(whole, finished(search(&base, &scenarios, LawKind::Stock, 2, Some(from))));
}

#[test]
fn what_is_chosen_is_better_and_reads_back() {
    let (base, scenarios) = (base(), spike());
    let mut search = search(&base, &scenarios, LawKind::Stock, 2, None);
    while search.step(&STOP).expect("a generation") {}
    let objective = Objective::Cost { max_age_s: 20.0 };
    let choice = choose(&search, objective, &[11, 12], &["head".into()], &STOP)
        .expect("scores")
        .expect("a choice");
    assert!(choice.keeps_bound && choice.held_out.age_s <= 20.0, "{choice:?}");
    assert!(choice.held_out.age_s < choice.before.age_s, "{choice:?}");
    assert!(choice.yaml.starts_with("# head\n"));
    assert!(choice.reasons.iter().any(|reason| reason.setting == "lagThreshold"));
    Base::from_yaml("tuned", &choice.yaml).expect(&choice.yaml);

    // A bound that nothing keeps is said, not hidden.
    let objective = Objective::Cost { max_age_s: 0.5 };
    let choice = choose(&search, objective, &[11], &[], &STOP).expect("scores").expect("a choice");
    assert!(!choice.keeps_bound);
}

#[test]
fn the_front_has_no_point_that_another_beats() {
    let (base, scenarios) = (base(), spike());
    for law in [LawKind::Stock, LawKind::Slo] {
        let (front, _) = finished(search(&base, &scenarios, law, 2, None));
        let points = front.points();
        assert!(points.len() > 1, "{law:?}");
        for pair in points.windows(2) {
            let (a, b) = (pair[0].score, pair[1].score);
            assert!(a.age_s < b.age_s && a.pod_seconds > b.pod_seconds, "{law:?} {pair:?}");
        }
    }
}

#[test]
fn a_checkpoint_of_another_search_is_refused() {
    let (base, scenarios) = (base(), spike());
    let mut one = search(&base, &scenarios, LawKind::Stock, 2, None);
    one.step(&STOP).expect("a generation");
    let other = Options { seed: 8, ..options(2) };
    let error =
        Search::new(&base, &scenarios, LawKind::Stock, other, Some(one.checkpoint().clone()))
            .expect_err("refused");
    assert!(matches!(error, SearchError::OtherCheckpoint));
}
