//! What is written is what was simulated, for both laws.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use tidegate_autoscale::external::{LawSettings as Told, Settings};
use tidegate_autoscale::law::SloOptions;

use super::*;
use crate::trial::NamedScenario;

const DEMO: &str = include_str!("../../../../../config/scaled-object-demo.yaml");
const PUBLISHED: &str = include_str!("../../../../../config/scenarios/published.toml");

fn published() -> Scenario {
    Scenario::from_text("published.toml", PUBLISHED).expect("scenario")
}

fn space(law: LawKind) -> (Base, Space) {
    let scenarios = [NamedScenario { name: "published".into(), scenario: published() }];
    let base = Base::from_yaml("demo", DEMO).expect("manifest");
    let space = Space::new(law, &scenarios, &base.object);
    (base, space)
}

/// What is written is what was simulated.
#[test]
fn the_written_manifest_reads_back_as_the_same_law() {
    let (base, space) = space(LawKind::Stock);
    let mut random = ChaCha8Rng::seed_from_u64(3);
    let comments = Comments {
        head: vec!["Tuned.".into()],
        settings: vec![("lagThreshold", "why: because".into()), ("type", "first".into())],
    };
    for _ in 0..50 {
        let genes = space.random(&mut random);
        let text = yaml(&base, &space, &genes, &comments, &published());
        let read = ScaledObject::from_yaml(&text, "written").expect(&text);
        let LawSettings::Stock(simulated) = settings(&base, &space, &genes).expect("law") else {
            panic!("a stock law")
        };
        assert_eq!(read, *simulated, "{text}");
        assert!(text.contains("# why: because"), "{text}");
        assert_eq!(read.name(), base.object.name());
    }
}

/// What the scaler reads out of it is what was simulated.
#[test]
fn an_slo_manifest_tells_the_external_scaler_what_the_simulated_law_was_told() {
    let (base, space) = space(LawKind::Slo);
    let mut random = ChaCha8Rng::seed_from_u64(1);
    for _ in 0..50 {
        let genes = space.random(&mut random);
        let text = yaml(&base, &space, &genes, &Comments::default(), &published());
        let read: Value = serde_saphyr::from_str(&text).expect(&text);
        assert_eq!(read["spec"]["triggers"][0]["type"], "external-push");
        assert_eq!(read["spec"]["cooldownPeriod"], 0, "the law has its own");
        let metadata = read["spec"]["triggers"][0]["metadata"].clone();
        let metadata = serde_json::from_value(metadata).expect("text only");
        let told = Settings::read(base.object.name(), &metadata).expect(&text);
        assert_eq!((told.topic.as_str(), told.group.as_str()), ("trade-tx", "tx-trade-workers"));
        let Told::Slo(told) = told.law else { panic!("slo: {text}") };
        let simulated = slo_options(&published(), &base.object, &slo_settings(&space, &genes));
        let rounded = |value: f64| (value * 1000.0).round() / 1000.0;
        let simulated = SloOptions {
            name: told.name.clone(),
            reference: told.reference.clone(),
            target_age_s: rounded(simulated.target_age_s),
            headroom: rounded(simulated.headroom),
            hold_s: rounded(simulated.hold_s),
            drain_s: simulated.drain_s.map(rounded),
            pod_rate_per_s: rounded(simulated.pod_rate_per_s),
            pod_start_s: rounded(simulated.pod_start_s),
            rebalance_s: rounded(simulated.rebalance_s),
            in_flight_s: rounded(simulated.in_flight_s),
            stale_after_s: told.stale_after_s,
            ..simulated
        };
        assert_eq!(*told, simulated, "{text}");
    }
}
