use std::collections::BTreeSet;

use super::*;

const LIMITS: Limits = Limits {
    faults: 40,
    gap_ms: 800,
    pods_min: 3,
    pods_max: 30,
    session_ms: 3_000,
    sqlite_every: 5,
};

#[test]
fn a_round_is_a_function_of_seed_and_number() {
    for number in 0..20 {
        assert_eq!(Round::plan(7, number, &LIMITS), Round::plan(7, number, &LIMITS));
        assert_ne!(Round::plan(7, number, &LIMITS).faults, Round::plan(8, number, &LIMITS).faults);
        assert_ne!(
            Round::plan(7, number, &LIMITS).faults,
            Round::plan(7, number + 1, &LIMITS).faults
        );
    }
}

#[test]
fn protocols_alternate_and_both_sinks_come_with_both() {
    let rounds: Vec<Round> = (0..20).map(|number| Round::plan(1, number, &LIMITS)).collect();
    for pair in rounds.windows(2) {
        assert_ne!(pair[0].protocol, pair[1].protocol);
    }
    let kinds: BTreeSet<_> =
        rounds.iter().map(|round| (round.protocol.name(), round.sink.name())).collect();
    assert_eq!(kinds.len(), 4, "{kinds:?}");
}

/// The pods that a plan leaves after each fault, if all take effect.
fn pods_over_time(round: &Round) -> Vec<i64> {
    let mut pods = i64::from(round.pods);
    round
        .faults
        .iter()
        .map(|planned| {
            match planned.fault {
                Fault::ScaleUp { pods: more } => pods += i64::from(more),
                Fault::ScaleDown { pods: fewer } => pods -= i64::from(fewer),
                _ => {}
            }
            pods
        })
        .collect()
}

#[test]
fn plans_stay_within_their_limits() {
    for number in 0..200 {
        let round = Round::plan(3, number, &LIMITS);
        assert_eq!(round.faults.len(), LIMITS.faults);
        assert!(round.faults.is_sorted_by_key(|planned| planned.at_ms), "{round:?}");
        assert!(pods_over_time(&round).iter().all(|pods| (3..=30).contains(pods)), "{round:?}");
        let last_ms = round.faults.last().map_or(0, |planned| planned.at_ms);
        assert!(last_ms < LIMITS.faults as u64 * LIMITS.gap_ms * 3, "{last_ms}");
        for planned in &round.faults {
            if let Fault::PodZombie { for_ms, .. } = planned.fault {
                assert!(for_ms > LIMITS.session_ms, "{planned:?}");
            }
        }
    }
}

#[test]
fn every_kind_is_drawn() {
    let drawn: BTreeSet<&str> = (0..60)
        .flat_map(|number| Round::plan(5, number, &LIMITS).faults)
        .map(|planned| planned.fault.name())
        .collect();
    assert_eq!(drawn.len(), 26, "{drawn:?}");
}

#[test]
fn a_sqlite_round_touches_no_database_server() {
    for number in [2, 7, 12, 17] {
        let round = Round::plan(9, number, &LIMITS);
        assert_eq!(round.sink, SinkKind::Sqlite);
        for planned in &round.faults {
            let name = planned.fault.name();
            assert!(
                !name.starts_with("database") || name == "database_locked",
                "{name} in a round without a server"
            );
            assert_ne!(name, "sessions_terminated");
        }
    }
}
