//! Counts from known situations.

use proptest::prelude::*;

use super::*;

fn situation(partitions: i32, rate_per_s: f64, pod_rate_per_s: f64) -> Situation {
    let count = partitions as usize;
    Situation {
        partitions: (0..partitions).collect(),
        rates: vec![rate_per_s / f64::from(partitions); count],
        backlogs: vec![0.0; count],
        noise: 0.0,
        trend: 0.0,
        pod_rate_per_s,
        sure_rate_per_s: pod_rate_per_s,
        reserve_rate_per_s: pod_rate_per_s,
        sure_reserve_rate_per_s: pod_rate_per_s,
        is_measured: false,
        pod_start_s: 30.0,
        rebalance_s: 2.0,
        starting_left_s: 0.0,
        spec: 1,
        ready: 1,
    }
}

fn with_spec(spec: i32, situation: Situation) -> Situation {
    Situation { spec, ready: spec, ..situation }
}

fn options() -> SloOptions {
    SloOptions { max_replicas: 1000, target_age_s: 90.0, ..SloOptions::default() }
}

#[test]
fn whole_partitions_decide_and_not_the_mean() {
    // 24 partitions, 5,000/s, 500/s a pod: ten pods on average, but eleven would
    // leave one with three partitions. Twelve hold two each, 83 % busy.
    let plan = Plan::new(&with_spec(12, situation(24, 5000.0, 500.0)), &options());
    assert_eq!((plan.target, plan.steady), (12, 12));
    assert!(!plan.steady_due && !plan.drain_due);
    // At 100 partitions of 50/s two a pod leave nothing to spare: one each.
    assert_eq!(Plan::new(&situation(100, 5000.0, 100.0), &options()).steady, 100);
    assert_eq!(Plan::new(&situation(100, 1000.0, 100.0), &options()).steady, 13);
}

#[test]
fn pods_that_buy_nothing_are_not_asked_for() {
    let options = SloOptions { max_replicas: 16, ..options() };
    let plan = Plan::new(&situation(24, 9000.0, 500.0), &options);
    // 16 pods leave two partitions on the fullest one, as 12 do.
    assert_eq!(plan.target, 12);
    assert_eq!(plan.short, Some(Short::Arrivals));
}

#[test]
fn a_large_partition_gets_all_pods_there_may_be() {
    // Found on a real topic: 22 % of 2,000 a second on one of 24 partitions, 16 pods
    // allowed. Twelve give that one a neighbour for sure, 16 in half of the cases.
    let options = SloOptions { max_replicas: 16, ..options() };
    let mut skewed = situation(24, 1554.0, 500.0);
    skewed.rates[0] = 446.0;
    let plan = Plan::new(&skewed, &options);
    assert_eq!((plan.target, plan.short), (16, Some(Short::Arrivals)));
    let skewed = with_spec(24, skewed);
    let plan = Plan::new(&skewed, &SloOptions { max_replicas: 24, ..options });
    assert_eq!((plan.target, plan.short), (24, None));
}

#[test]
fn two_full_partitions_a_pod_are_stayed_with_and_not_gone_up_to() {
    let mut full = with_spec(100, situation(100, 5000.0, 100.0));
    full.rebalance_s = 0.5;
    assert_eq!(Plan::new(&full, &options()).enough, 100, "a guessed rate is no proof");
    full.is_measured = true;
    let plan = Plan::new(&full, &options());
    assert_eq!((plan.steady, plan.enough), (100, 50));
    let there = with_spec(50, full.clone());
    let plan = Plan::new(&there, &options());
    assert!(!plan.steady_due && !plan.drain_due, "{plan:?}");
    // Not while records wait that are too old, or when the pods fall behind.
    let aged = |s: &Situation, age_s: f64| {
        let backlogs = s.rates.iter().map(|rate| rate * age_s).collect();
        Plan::new(&Situation { backlogs, ..s.clone() }, &options())
    };
    assert_eq!((aged(&full, 8.0).enough, aged(&full, 10.0).enough), (50, 100));
    assert!(!aged(&there, 40.0).drain_due && aged(&there, 46.0).drain_due);
    let slower = Situation { pod_rate_per_s: 97.0, sure_rate_per_s: 97.0, ..there.clone() };
    assert!(Plan::new(&slower, &options()).steady_due);
    // A stricter promise leaves less time to fall behind in.
    let strict = SloOptions { target_age_s: 5.0, ..options() };
    let noisy = Situation { noise: 0.004, ..full };
    assert_eq!(Plan::new(&noisy, &strict).enough, 100);
}

#[test]
fn a_partition_near_the_edge_sets_a_floor() {
    let mut edge = with_spec(6, situation(24, 1200.0, 500.0));
    edge.rates[7] = 520.0;
    // Three pods carry the others; twice as many leave four to each pod.
    assert_eq!(Plan::new(&edge, &options()).steady, 6);
    edge.rates[7] = 700.0;
    let plan = Plan::new(&edge, &options());
    assert_eq!(plan.steady, 3, "more pods cannot help");
    // With seven neighbours it falls behind by 550 a second, with one by 250.
    assert_eq!(plan.enough, 12, "fewer would do harm");
    // By 1,250 or 1,000: that is much the same.
    edge.rates[7] = 1500.0;
    assert_eq!(Plan::new(&edge, &options()).enough, 4);
}

#[test]
fn a_backlog_asks_for_more_the_sooner_it_is_to_be_gone() {
    let mut waiting = with_spec(12, situation(24, 4000.0, 500.0));
    waiting.backlogs = vec![2000.0; 24];
    let wanted =
        |drain_s| Plan::new(&waiting, &SloOptions { drain_s: Some(drain_s), ..options() }).target;
    assert_eq!([wanted(50.0), wanted(20.0), wanted(10.0)], [12, 24, 24]);
}

#[test]
fn what_arrives_while_the_pods_start_counts() {
    // One pod, 450/s: nothing waits yet, but 30 s at double the rate would.
    let mut ramp = situation(24, 450.0, 500.0);
    assert_eq!(Plan::new(&ramp, &options()).steady, 2);
    ramp.trend = 1.0 / 32.0;
    assert_eq!(Plan::new(&ramp, &options()).steady, 3);
}

#[test]
fn a_hot_partition_is_named_and_left_out() {
    let mut hot = situation(24, 2400.0, 500.0);
    hot.rates[7] = 700.0;
    hot.backlogs[7] = 1e6;
    let plan = Plan::new(&with_spec(6, hot), &options());
    assert_eq!(plan.hot, Some(HotPartition { partition: 7, pods: 1.4 }));
    assert_eq!(plan.target, 6);
    assert!(!plan.drain_due);
}

#[test]
fn fewer_pods_must_leave_more_room_than_more_pods_need() {
    // 0.845 busy with 12: right to go up to, and to come down to if that is certain.
    let quiet = situation(24, 5070.0, 500.0);
    let plan = Plan::new(&with_spec(24, quiet.clone()), &options());
    assert_eq!((plan.steady, plan.enough), (12, 12));
    let noisy = Situation { noise: 0.01, ..quiet };
    let plan = Plan::new(&with_spec(24, noisy), &options());
    assert_eq!((plan.steady, plan.enough), (12, 24));
}

#[test]
fn pods_are_kept_for_a_multiple_of_the_load_and_no_backlog_is_made_up() {
    let plan = |overprovisioning, spec| {
        let options = SloOptions { overprovisioning, ..options() };
        let there = Situation { is_measured: true, ..situation(100, 1000.0, 100.0) };
        Plan::new(&with_spec(spec, there), &options)
    };
    // Ten records a second in a partition: ten partitions fill a pod, three do with three
    // times as much.
    let counts = |plan: Plan| (plan.steady, plan.target, plan.enough);
    assert_eq!(counts(plan(1.0, 13)), (13, 13, 13));
    assert_eq!(counts(plan(3.0, 13)), (34, 34, 34));
    assert!(plan(3.0, 25).steady_due && !plan(3.0, 25).drain_due);
    assert!(!plan(3.0, 34).steady_due);
    // What the default leaves is a seventh more already.
    assert_eq!(counts(plan(1.1, 13)), (13, 13, 13));
    // Two partitions of 50 fill a pod: stayed with, but not ready for anything.
    let full = |overprovisioning| {
        let options = SloOptions { overprovisioning, ..options() };
        let rebalanced = Situation { rebalance_s: 0.5, ..situation(100, 5000.0, 100.0) };
        Plan::new(&with_spec(50, Situation { is_measured: true, ..rebalanced }), &options)
    };
    assert_eq!((full(1.0).enough, full(1.0).steady_due), (50, false));
    assert_eq!((full(1.2).enough, full(1.2).steady_due), (100, true));
}

#[test]
fn a_slow_spell_is_what_the_reserve_is_for() {
    let options = SloOptions { overprovisioning: 2.5, ..options() };
    let plan = |reserve_rate_per_s, spec| {
        let slow = situation(100, 1200.0, 33.0);
        let slow = Situation { reserve_rate_per_s, is_measured: true, ..slow };
        Plan::new(&with_spec(spec, slow), &options)
    };
    // The load needs 50 of the slow pods; three partitions fit 2.5 times into a pod as it was.
    let spell = plan(100.0, 34);
    assert_eq!((spell.steady, spell.steady_due, spell.short), (50, true, None));
    assert!(!plan(100.0, 50).steady_due);
    // Pods that were always like that are kept ready for more.
    assert_eq!((plan(33.0, 50).steady, plan(33.0, 50).steady_due), (100, true));
}

#[test]
fn a_multiple_that_no_allowed_count_takes_is_said_and_costs_what_is_allowed() {
    let options =
        SloOptions { overprovisioning: 5.0, max_replicas: 34, target_age_s: 90.0, ..options() };
    let plan = Plan::new(&with_spec(34, situation(100, 1000.0, 100.0)), &options);
    assert_eq!((plan.target, plan.enough, plan.short), (34, 34, Some(Short::Reserve)));
    // The arrivals themselves come first.
    let plan = Plan::new(&with_spec(34, situation(100, 4000.0, 100.0)), &options);
    assert_eq!(plan.short, Some(Short::Arrivals));
    let mut waiting = with_spec(34, situation(100, 1000.0, 100.0));
    waiting.backlogs = vec![1e6; 100];
    assert_eq!(Plan::new(&waiting, &options).short, Some(Short::Backlog));
}

#[test]
fn what_the_allowed_pods_carry_is_not_what_they_are_short_of() {
    let mut waiting = situation(100, 1000.0, 100.0);
    waiting.backlogs = vec![1e6; 100];
    let short = |max_replicas| Plan::new(&waiting, &SloOptions { max_replicas, ..options() }).short;
    // Thirteen carry the arrivals.
    assert_eq!(short(13), Some(Short::Backlog));
    assert_eq!(short(12), Some(Short::Arrivals));
}

#[test]
fn a_backlog_is_gone_when_the_fullest_pod_is_done_with_it() {
    let drains = |waiting: f64| {
        let mut skewed = with_spec(12, situation(24, 1200.0, 500.0));
        for partition in 0..2 {
            (skewed.rates[partition], skewed.backlogs[partition]) = (240.0, waiting);
        }
        let criteria = Criteria {
            rate: 1.0,
            utilisation: 1.0,
            reserve: 0.0,
            drain_s: 10.0,
            rescale: None,
            full_age_s: 0.0,
            full_from: f64::MAX,
            drift: 0.0,
        };
        Load::new(&skewed, 500.0, HOT, HOT_EDGE).drains(12, criteria)
    };
    // The two may be on one pod, which then has 20 records a second to spare.
    assert!(drains(90.0) && !drains(110.0));
}

#[test]
fn one_large_partition_costs_at_most_twice_what_the_mean_is_kept_ready_with() {
    let counts = |large_per_s: f64| {
        let mut skewed = situation(24, 1200.0, 500.0);
        skewed.rates[7] = large_per_s;
        let options = SloOptions { overprovisioning: 3.0, ..options() };
        let plan = Plan::new(&with_spec(12, skewed), &options);
        (plan.steady, plan.short)
    };
    assert_eq!(counts(50.0), (8, None));
    // Three times 200 is more than a pod: none can help it.
    assert_eq!(counts(200.0), (24, None));
    assert_eq!(counts(510.0).1, None);
}

#[test]
fn nothing_times_any_number_is_nothing() {
    let options = SloOptions { overprovisioning: 20.0, ..options() };
    let plan = Plan::new(&with_spec(3, situation(24, 0.0, 500.0)), &options);
    assert_eq!((plan.steady, plan.enough, plan.steady_due), (1, 1, false));
    let plan = Plan::new(&with_spec(0, situation(24, 0.0, 500.0)), &options);
    assert!(!plan.steady_due);
}

#[derive(Debug, Clone)]
struct Any {
    situation: Situation,
    options: SloOptions,
}

fn any_case() -> impl Strategy<Value = Any> {
    let partition = (0.0..500.0_f64, 0.0..50_000.0_f64);
    let partitions = prop::collection::vec(partition, 1..120);
    let counts = (0..150_i32, 0..150_i32, 0..20_i32, 0..200_i32);
    let pods =
        (1.0..2000.0_f64, 0.3..1.0_f64, 0.0..90.0_f64, 0.0..10.0_f64, 0.0..0.3_f64, 0.0..0.02_f64);
    let times = |most: f64| prop_oneof![Just(1.0), 1.0..most];
    let reserve = (times(8.0), times(5.0));
    let promise =
        (1.0..300.0_f64, prop::option::of(0.5..300.0_f64), 0.5..0.95_f64, any::<bool>(), reserve);
    (partitions, counts, pods, promise).prop_map(|(partitions, counts, pods, promise)| {
        let (spec, ready, min, above) = counts;
        let (pod_rate_per_s, sure, pod_start_s, rebalance_s, noise, trend) = pods;
        let (target_age_s, drain_s, headroom, measured, (overprovisioning, spell)) = promise;
        let (rates, backlogs): (Vec<f64>, Vec<f64>) = partitions.into_iter().unzip();
        let situation = Situation {
            partitions: (0..rates.len() as i32).collect(),
            rates,
            backlogs,
            noise,
            trend,
            pod_rate_per_s,
            sure_rate_per_s: if measured { pod_rate_per_s } else { pod_rate_per_s * sure },
            reserve_rate_per_s: pod_rate_per_s * spell,
            sure_reserve_rate_per_s: pod_rate_per_s * spell.min(1.0 + (spell - 1.0) * sure),
            is_measured: measured,
            pod_start_s,
            rebalance_s,
            starting_left_s: 0.0,
            spec,
            ready: ready.min(spec),
        };
        let options = SloOptions {
            min_replicas: min,
            max_replicas: min.max(1) + above,
            target_age_s,
            drain_s,
            headroom,
            overprovisioning,
            ..SloOptions::default()
        };
        Any { situation, options }
    })
}

proptest! {
    #[test]
    fn counts_stay_in_their_bounds(case in any_case()) {
        let plan = Plan::new(&case.situation, &case.options);
        let bounds = case.options.min_replicas..=case.options.max_replicas;
        for count in [plan.target, plan.steady, plan.enough] {
            prop_assert!(bounds.contains(&count), "{plan:?}");
        }
        prop_assert!(plan.steady <= plan.target, "{plan:?}");
    }

    #[test]
    fn a_stricter_promise_never_asks_for_fewer(case in any_case(), factor in 1.0..10.0_f64) {
        let strict = Plan::new(&case.situation, &case.options);
        let target_age_s = case.options.target_age_s * factor;
        let lax = Plan::new(&case.situation, &SloOptions { target_age_s, ..case.options });
        prop_assert!(strict.target >= lax.target, "{strict:?} {lax:?}");
        prop_assert!(strict.enough >= lax.enough, "{strict:?} {lax:?}");
    }

    #[test]
    fn to_be_ready_for_more_never_asks_for_fewer(case in any_case(), factor in 1.0..6.0_f64) {
        let overprovisioning = (case.options.overprovisioning * factor).min(20.0);
        let lean = Plan::new(&case.situation, &case.options);
        let ready =
            Plan::new(&case.situation, &SloOptions { overprovisioning, ..case.options });
        prop_assert!(ready.steady >= lean.steady, "{ready:?} {lean:?}");
        prop_assert!(ready.target >= lean.target, "{ready:?} {lean:?}");
        prop_assert!(ready.enough >= lean.enough, "{ready:?} {lean:?}");
        prop_assert!(ready.steady_due || !lean.steady_due, "{ready:?} {lean:?}");
        prop_assert_eq!(ready.drain_due, lean.drain_due);
    }

    #[test]
    fn records_may_be_counted_in_any_unit(case in any_case(), power in -6..7_i32) {
        let unit = f64::from(power).exp2();
        let mut scaled = case.situation.clone();
        scaled.rates.iter_mut().chain(&mut scaled.backlogs).for_each(|value| *value *= unit);
        scaled.pod_rate_per_s *= unit;
        scaled.sure_rate_per_s *= unit;
        scaled.reserve_rate_per_s *= unit;
        scaled.sure_reserve_rate_per_s *= unit;
        prop_assert_eq!(
            Plan::new(&scaled, &case.options),
            Plan::new(&case.situation, &case.options)
        );
    }

    #[test]
    fn the_target_needs_nothing_more(case in any_case()) {
        let target = Plan::new(&case.situation, &case.options).target;
        let there = with_spec(target.max(1), Situation {
            backlogs: vec![0.0; case.situation.rates.len()],
            trend: 0.0,
            ..case.situation
        });
        let plan = Plan::new(&there, &case.options);
        prop_assert!(plan.target <= target.max(1), "{target} then {plan:?}");
    }

    #[test]
    fn what_is_enough_is_not_due_for_more(case in any_case()) {
        let options = SloOptions { min_replicas: 0, max_replicas: 1000, ..case.options };
        let mut situation = case.situation;
        situation.rates.iter_mut().for_each(|rate| *rate *= 0.2);
        situation.backlogs.fill(0.0);
        situation.trend = 0.0;
        let plan = Plan::new(&situation, &options);
        let there = with_spec(plan.enough, situation);
        let next = Plan::new(&there, &options);
        // One pod a partition is the most, enough or not.
        let all = plan.enough == there.rates.len() as i32;
        prop_assert!(all || !(next.steady_due || next.drain_due), "{plan:?} then {next:?}");
    }
}

#[test]
fn a_decrease_works_off_what_it_holds_up_itself_and_what_the_way_back_would() {
    // 60 pods have 16.7 records a second to spare. Rebalances hold up 83.3 a second.
    let enough = |pod_start_s, rebalance_s| {
        let quiet = Situation {
            is_measured: true,
            pod_start_s,
            rebalance_s,
            ..situation(240, 5000.0, 100.0)
        };
        Plan::new(&with_spec(80, quiet), &options()).enough
    };
    // Pods that start slowly leave 22.5 s until an increase would be due again ...
    assert_eq!((enough(65.0, 4.0), enough(65.0, 5.0)), (60, 80));
    // ... and where that is long, there and back are to be done within 0.8 of what is left.
    assert_eq!((enough(5.0, 6.0), enough(5.0, 7.0)), (60, 80));
}
