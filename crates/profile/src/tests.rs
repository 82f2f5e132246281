use proptest::prelude::*;

use crate::{ArrivalKind, LoadProfile, Phase};

fn profile(phases: Vec<Phase>) -> LoadProfile {
    LoadProfile { phases, ..LoadProfile::constant(0.0, Some(1.0)) }
}

#[test]
fn the_built_in_profile_is_the_demo() {
    let demo = LoadProfile::demo().expect("committed");
    let rates: Vec<f64> = [1.0, 30.0, 100.0].iter().map(|t| demo.rate_at(*t)).collect();
    assert_eq!(rates, [10.0, 1000.0, 5000.0]);
    assert_eq!(demo.rate_at(demo.duration_s() + 1.0), 0.0);
}

#[test]
fn a_constant_rate_is_evenly_spaced() {
    let due: Vec<u64> = LoadProfile::constant(10.0, Some(0.5)).arrivals().collect();
    assert_eq!(due, [0, 100_000, 200_000, 300_000, 400_000]);
    assert_eq!(LoadProfile::constant(2000.0, Some(42.0)).arrivals().count(), 84_000);
    assert_eq!(LoadProfile::constant(0.0, Some(5.0)).arrivals().count(), 0);
}

#[test]
fn poisson_arrivals_have_the_rate_and_the_spread() {
    let mut even = LoadProfile::constant(1000.0, Some(100.0));
    even.arrivals = ArrivalKind::Poisson;
    let due: Vec<u64> = even.arrivals().collect();
    // 100,000 expected, standard deviation 316.
    assert!((due.len() as f64 - 100_000.0).abs() < 1_600.0, "{}", due.len());
    let empty_gaps = due.windows(2).filter(|pair| pair[1] - pair[0] > 3_000).count() as f64;
    // A gap above three means has probability e⁻³.
    assert!((empty_gaps / due.len() as f64 - 0.0498).abs() < 0.005, "{empty_gaps}");
    assert_eq!(due, even.arrivals().collect::<Vec<u64>>(), "the same seed");
}

#[test]
fn errors_are_one_line_with_name_field_value_and_range() {
    let error =
        |name: &str, text: &str| LoadProfile::from_text(name, text).expect_err(text).to_string();
    let text =
        error("p.toml", "phases = [{ kind = \"step\", rate_per_s = -1.0, duration_s = 1.0 }]");
    assert_eq!(text, "p.toml: phases[0].rate_per_s = -1: allowed is 0 to 10000000");
    for (name, text, part) in [
        ("p.toml", "phasess = []", "phasess"),
        ("p.toml", "phases = []", "phases is empty"),
        ("p.toml", "phases = [{ kind = \"stepp\", rate_per_s = 1.0 }]", "stepp"),
        ("p.yaml", "phases:\n- {kind: step, rate_per_s: 1, duration_s: 1, x: 1}", "x"),
        ("p.yml", "phases: 3", "p.yml"),
        (
            "p.toml",
            "keys = 0\nphases = [{ kind = \"step\", rate_per_s = 1.0, duration_s = 1.0 }]",
            "keys = 0",
        ),
    ] {
        let line = error(name, text);
        assert!(line.starts_with(name) && line.contains(part) && !line.contains('\n'), "{line}");
    }
}

#[test]
fn yaml_and_toml_say_the_same() {
    let toml = "seed = 3\nphases = [{ kind = \"ramp\", from_per_s = 1.0, to_per_s = 9.0, duration_s = 4.0 }]";
    let yaml = "seed: 3\nphases:\n- {kind: ramp, from_per_s: 1.0, to_per_s: 9.0, duration_s: 4.0}";
    assert_eq!(
        LoadProfile::from_text("a.toml", toml).expect("toml"),
        LoadProfile::from_text("a.yaml", yaml).expect("yaml")
    );
}

fn any_phase() -> impl Strategy<Value = Phase> {
    let rate = 0.0..500.0f64;
    let length = 0.1..20.0f64;
    prop_oneof![
        (rate.clone(), length.clone())
            .prop_map(|(rate_per_s, duration_s)| Phase::Step { rate_per_s, duration_s }),
        (rate.clone(), rate.clone(), length.clone()).prop_map(
            |(from_per_s, to_per_s, duration_s)| {
                Phase::Ramp { from_per_s, to_per_s, duration_s }
            }
        ),
        (rate.clone(), 0.0..1.0f64, length.clone(), length.clone()).prop_map(
            |(mean_per_s, share, period_s, duration_s)| Phase::Sine {
                mean_per_s,
                amplitude_per_s: mean_per_s * share,
                period_s,
                duration_s
            }
        ),
        (rate.clone(), rate, length.clone(), 0.0..1.0f64, length).prop_map(
            |(base_per_s, peak_per_s, every_s, share, duration_s)| Phase::Burst {
                base_per_s,
                peak_per_s,
                every_s,
                burst_s: every_s * share,
                duration_s
            }
        ),
    ]
}

proptest! {
    #[test]
    fn due_times_rise_and_match_the_integral(phases in prop::collection::vec(any_phase(), 1..4)) {
        let profile = profile(phases);
        let due: Vec<u64> = profile.arrivals().collect();
        prop_assert!(due.windows(2).all(|pair| pair[0] <= pair[1]));
        let total = profile.cumulative(profile.duration_s());
        prop_assert!((due.len() as f64 - total).abs() <= 1.001, "{} of {total}", due.len());
        for (index, at) in due.iter().enumerate().step_by(97) {
            let records = profile.cumulative(*at as f64 / 1e6);
            prop_assert!((records - index as f64).abs() < 0.01, "record {index} at {at}: {records}");
        }
    }

    #[test]
    fn a_limit_cuts_and_changes_nothing_before_it(phases in prop::collection::vec(any_phase(), 1..4), share in 0.01..1.0f64) {
        let whole = profile(phases);
        let cut = whole.clone().limited_to(whole.duration_s() * share);
        prop_assert!((cut.duration_s() - whole.duration_s() * share).abs() < 1e-6);
        let due: Vec<u64> = cut.arrivals().collect();
        let same: Vec<u64> = whole.arrivals().take(due.len()).collect();
        prop_assert!(due.iter().zip(&same).all(|(a, b)| a.abs_diff(*b) <= 1));
    }
}
