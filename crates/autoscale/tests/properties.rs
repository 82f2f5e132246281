//! Properties of the decision code, on any input that its types allow.

use proptest::prelude::*;
use tidegate_autoscale::hpa::{
    Behavior, Bounds, Hpa, HpaInput, Policy, PolicyKind, Rules, Select, Tolerance,
    average_value_proposal, value_proposal,
};
use tidegate_autoscale::keda::{ExecutorInput, execute};
use tidegate_autoscale::lag::{
    LagOptions, LagSums, OffsetReset, PartitionOffsets, PreviousOffsets, even_factor,
    partition_lag, total_lag,
};
use tidegate_autoscale::law::{Facts, Law, StockLaw, StockOptions};
use tidegate_autoscale::scaled_object::ScaledObject;

fn policies() -> impl Strategy<Value = Vec<Policy>> {
    let policy = (any::<bool>(), 1..2000_i32, 1..1800_i32).prop_map(|(pods, value, period_s)| {
        let kind = if pods { PolicyKind::Pods } else { PolicyKind::Percent };
        Policy { kind, value, period_s }
    });
    prop::collection::vec(policy, 1..4)
}

fn rules() -> impl Strategy<Value = Rules> {
    let select = prop_oneof![Just(Select::Max), Just(Select::Min), Just(Select::Disabled)];
    (policies(), select, 0..600_i32).prop_map(|(policies, select, stabilization_window_s)| Rules {
        policies,
        select,
        stabilization_window_s: Some(stabilization_window_s),
        tolerance: None,
    })
}

fn behavior() -> impl Strategy<Value = Option<Behavior>> {
    prop::option::of(
        (rules(), rules()).prop_map(|(scale_up, scale_down)| Behavior { scale_up, scale_down }),
    )
}

fn bounds() -> impl Strategy<Value = Bounds> {
    (1..50_i32, 0..500_i32).prop_map(|(min, above)| Bounds { min, max: min + above })
}

fn lag_options() -> impl Strategy<Value = LagOptions> {
    (1..=i64::MAX, any::<i64>(), any::<[bool; 6]>()).prop_map(|(threshold, activation, flag)| {
        LagOptions {
            lag_threshold: threshold,
            activation_lag_threshold: activation,
            offset_reset: if flag[0] { OffsetReset::Latest } else { OffsetReset::Earliest },
            allow_idle_consumers: flag[1],
            exclude_persistent_lag: flag[2],
            scale_to_zero_on_invalid_offset: flag[3],
            limit_to_partitions_with_lag: flag[4],
            ensure_even_distribution: flag[5] && !flag[4],
            partition_limitation: None,
        }
    })
}

fn offsets() -> impl Strategy<Value = Vec<PartitionOffsets>> {
    let partition = (any::<i32>(), any::<Option<i64>>(), any::<Option<i64>>())
        .prop_map(|(partition, committed, end)| PartitionOffsets { partition, committed, end });
    prop::collection::vec(partition, 0..40)
}

proptest! {
    #[test]
    fn the_hpa_stays_in_its_bounds(
        bounds in bounds(),
        behavior in behavior(),
        start in any::<prop::sample::Index>(),
        syncs in prop::collection::vec((any::<i32>(), 1..120_000_i64), 1..60),
    ) {
        let mut hpa = Hpa::default();
        let mut spec = bounds.min + start.index((bounds.max - bounds.min + 1) as usize) as i32;
        let mut now_ms = 0;
        for (proposal, step_ms) in syncs {
            now_ms += step_ms;
            let decision = hpa.step(HpaInput {
                spec_replicas: spec,
                bounds,
                behavior: behavior.as_ref(),
                proposals: &[Some(proposal)],
                now_ms,
            });
            prop_assert!((bounds.min..=bounds.max).contains(&decision.desired), "{decision:?}");
            spec = decision.desired;
        }
    }

    #[test]
    fn nothing_scales_down_inside_the_stabilization_window(
        behavior in behavior(),
        syncs in prop::collection::vec((0..300_i32, 1..90_000_i64), 2..60),
    ) {
        let bounds = Bounds { min: 1, max: 300 };
        let window_ms = behavior
            .as_ref()
            .map_or(300_000, |rules| rules.scale_down.window_ms());
        let mut hpa = Hpa::default();
        let (mut spec, mut now_ms) = (150, 0);
        let mut proposals: Vec<(i64, i32)> = Vec::new();
        for (proposal, step_ms) in syncs {
            now_ms += step_ms;
            proposals.push((now_ms, proposal));
            let desired = hpa
                .step(HpaInput {
                    spec_replicas: spec,
                    bounds,
                    behavior: behavior.as_ref(),
                    proposals: &[Some(proposal)],
                    now_ms,
                })
                .desired;
            if desired < spec {
                // Never below what any sync inside the window asked for.
                let highest = proposals
                    .iter()
                    .filter(|(at_ms, _)| now_ms - at_ms < window_ms)
                    .map(|(_, proposal)| *proposal)
                    .max()
                    .unwrap_or(0);
                prop_assert!(desired >= highest.min(spec), "{desired} < {highest} asked for");
            }
            spec = desired;
        }
    }

    #[test]
    fn a_proposal_grows_with_the_metric(
        metric in 0..=i64::MAX,
        more in 0..=i64::MAX,
        target in 1..=i64::MAX,
        status in 0..=i32::MAX,
    ) {
        let larger = metric.saturating_add(more);
        let low = average_value_proposal(&[metric], target, status, Tolerance::default());
        let high = average_value_proposal(&[larger], target, status, Tolerance::default());
        prop_assert!(low <= high, "{metric} -> {low}, {larger} -> {high}");
    }

    #[test]
    fn the_stock_law_is_monotone_in_lag(
        lag in 0..2_000_000_i64,
        more in 0..2_000_000_i64,
        spec in 0..100_i32,
    ) {
        let wanted = |lag: i64| {
            let object = ScaledObject::from_yaml(MANIFEST, "test").expect("valid");
            let mut law = StockLaw::new(object, StockOptions::default(), 0);
            let offsets = vec![
                PartitionOffsets { partition: 0, committed: Some(0), end: Some(lag) };
                100
            ];
            let facts = Facts {
                spec_replicas: spec,
                status_replicas: spec,
                ready_replicas: spec,
                offsets: Ok(offsets), sink: None,
            };
            law.tick(15_000, &facts).last().map_or(spec, |decision| decision.to)
        };
        prop_assert!(wanted(lag) <= wanted(lag + more));
    }

    #[test]
    fn lag_never_panics_and_the_metric_respects_its_cap(
        options in lag_options(),
        offsets in offsets(),
        looks in 1..3_usize,
    ) {
        let mut previous = PreviousOffsets::new();
        for _ in 0..looks {
            let lag = total_lag(&offsets, &options, &mut previous);
            if !options.allow_idle_consumers && !options.ensure_even_distribution {
                // The operator divides before it compares: less than one threshold more
                // than the cap passes.
                let replicas = lag.total / options.lag_threshold;
                prop_assert!(replicas <= offsets.len() as i64, "{lag:?} is {replicas} replicas");
            }
        }
    }

    #[test]
    fn the_metric_of_sums_is_that_of_the_offsets(
        options in lag_options(),
        lags in prop::collection::vec((0..1_000_000_i64, 0..10_000_i64, any::<bool>()), 0..120),
    ) {
        let options = LagOptions { exclude_persistent_lag: false, ..options };
        let mut offsets: Vec<PartitionOffsets> = (0..)
            .zip(lags)
            .map(|(partition, (committed, lag, has_lag))| PartitionOffsets {
                partition,
                committed: Some(committed),
                end: Some(committed + if has_lag { lag } else { 0 }),
            })
            .collect();
        let sums = LagSums::of(&offsets).map(|sums| sums.total_lag(&options));
        prop_assert_eq!(sums, Some(total_lag(&offsets, &options, &mut PreviousOffsets::new())));
        offsets.push(PartitionOffsets { partition: 120, committed: Some(1), end: Some(0) });
        prop_assert_eq!(LagSums::of(&offsets), None, "behind the commit");
        offsets.pop();
        offsets.push(PartitionOffsets { partition: 120, committed: None, end: Some(0) });
        prop_assert_eq!(LagSums::of(&offsets), None, "never committed");
    }

    #[test]
    fn the_lag_of_a_partition_never_panics(
        options in lag_options(),
        offsets in offsets(),
    ) {
        let mut previous = None;
        for PartitionOffsets { committed, end, .. } in offsets {
            partition_lag(committed, end, &options, &mut previous);
        }
    }

    #[test]
    fn an_even_factor_divides_the_partitions(
        total in any::<i64>(),
        partitions in 1..5000_i64,
        threshold in any::<i64>(),
    ) {
        let even = even_factor(total, partitions, threshold);
        prop_assert!(even >= 1 && even <= partitions, "{even}");
        prop_assert_eq!(partitions % even, 0);
    }

    #[test]
    fn proposals_never_panic(
        metrics in prop::collection::vec(any::<i64>(), 0..5),
        target in any::<i64>(),
        replicas in any::<[i32; 2]>(),
        up in any::<f64>(),
        down in any::<f64>(),
    ) {
        let tolerance = Tolerance { up, down };
        average_value_proposal(&metrics, target, replicas[0], tolerance);
        value_proposal(&metrics, target, replicas[0], replicas[1], tolerance);
    }

    #[test]
    fn a_sync_never_panics(
        spec in any::<i32>(),
        limits in any::<[i32; 2]>(),
        behavior in behavior(),
        proposals in prop::collection::vec(any::<Option<i32>>(), 0..4),
        times_ms in prop::collection::vec(any::<i64>(), 1..6),
    ) {
        let bounds = Bounds { min: limits[0], max: limits[1] };
        let mut hpa = Hpa::default();
        for now_ms in times_ms {
            hpa.step(HpaInput {
                spec_replicas: spec,
                bounds,
                behavior: behavior.as_ref(),
                proposals: &proposals,
                now_ms,
            });
        }
    }

    #[test]
    fn the_executor_sets_only_what_it_may(
        counts in any::<[i32; 2]>(),
        idle in any::<Option<i32>>(),
        flags in any::<[bool; 6]>(),
        ages_ms in any::<[i64; 2]>(),
        periods_ms in any::<[i64; 2]>(),
        fallback in any::<Option<i32>>(),
    ) {
        let input = ExecutorInput {
            current: counts[0],
            min: counts[1],
            idle,
            active: flags[0],
            error: flags[1],
            fallback_replicas: fallback,
            last_active_age_ms: Some(ages_ms[0]),
            object_age_ms: ages_ms[1],
            cooldown_ms: periods_ms[0],
            initial_cooldown_ms: periods_ms[1],
            paused: flags[2],
            pause_scale_in: flags[3],
            pause_scale_out: flags[4],
            force_activation: flags[5],
        };
        let set = execute(input).set;
        let allowed = [Some(input.min.max(1)), Some(input.min), input.idle];
        prop_assert!(set.is_none() || allowed.contains(&set), "{set:?}");
        prop_assert!(!input.paused || set.is_none());
    }
}

const MANIFEST: &str = "
apiVersion: keda.sh/v1alpha1
kind: ScaledObject
metadata: {name: demo}
spec:
  scaleTargetRef: {name: demo}
  minReplicaCount: 0
  maxReplicaCount: 100
  triggers:
  - type: kafka
    metadata: {bootstrapServers: 'b:9092', consumerGroup: g, topic: t, lagThreshold: '10000'}
";
