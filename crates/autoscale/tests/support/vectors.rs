//! Replays a vector file: inputs and expected results for every part of the law.
//! Shared by the `vectors` example and the test that holds the committed copy.

use serde_json::{Value, json};
use tidegate_autoscale::hpa::{
    Behavior, Bounds, Hpa, HpaInput, Policy, PolicyKind, Recommendation, Rules, ScaleEvent, Select,
    Tolerance, average_value_proposal, change_in_period, combine, down_limit, limit_legacy,
    limit_with_behavior, stabilize_legacy, stabilize_with_behavior, store_event, up_limit,
    value_proposal,
};
use tidegate_autoscale::keda::{
    Current, ExecutorInput, Fallback, FallbackBehavior, after_evaluation, execute,
};
use tidegate_autoscale::lag::{
    LagOptions, OffsetReset, PartitionOffsets, even_factor, metric_name,
    parse_partition_limitation, partition_lag, total_lag,
};

/// All ages in the file count back from here.
const NOW_MS: i64 = 1_000_000_000;

/// One vector that did not come out.
pub(crate) struct Failure {
    pub(crate) id: String,
    pub(crate) expected: Value,
    pub(crate) got: Value,
}

/// The outcome of a file.
pub(crate) struct Replay {
    pub(crate) passed: usize,
    pub(crate) failures: Vec<Failure>,
}

/// Replays every section. The error names a section or field that is not known.
pub(crate) fn replay(text: &str) -> Result<Replay, String> {
    let file: Value = serde_json::from_str(text).map_err(|error| error.to_string())?;
    let sections = file.as_object().ok_or("the file is not an object of sections")?;
    let mut outcome = Replay { passed: 0, failures: Vec::new() };
    for (name, entries) in sections.iter().filter(|(name, _)| *name != "meta") {
        let section = section(name).ok_or_else(|| format!("unknown section {name:?}"))?;
        for entry in entries.as_array().ok_or_else(|| format!("section {name:?} is not a list"))? {
            let (expected, got) = section(entry);
            if expected == got {
                outcome.passed += 1;
            } else {
                let id = format!("{name}/{}", entry["id"].as_str().unwrap_or("?"));
                outcome.failures.push(Failure { id, expected, got });
            }
        }
    }
    Ok(outcome)
}

type Section = fn(&Value) -> (Value, Value);

fn section(name: &str) -> Option<Section> {
    Some(match name {
        "hpa_external_average_value" => average,
        "hpa_value_target" => value,
        "stabilization" => stabilization,
        "policies" => policies,
        "policy_limits" => policy_limits,
        "event_store" => event_store,
        "kafka_partition_lag" => kafka_partition_lag,
        "kafka_total_lag" => kafka_total_lag,
        "kafka_even_factor" => kafka_even_factor,
        "partition_limitation" => partition_limitation,
        "metric_name" => name_of_metric,
        "hpa_multi_metric" => multi_metric,
        "hpa_reconcile" => reconcile,
        "executor" => executor,
        "fallback" => fallback,
        "sequences" => sequence,
        _ => return None,
    })
}

fn int(value: &Value) -> i64 {
    value.as_i64().unwrap_or_default()
}

fn int32(value: &Value) -> i32 {
    int(value) as i32
}

fn flag(value: &Value) -> bool {
    value.as_bool().unwrap_or_default()
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn before_now(age_s: &Value) -> i64 {
    NOW_MS - (age_s.as_f64().unwrap_or_default() * 1000.0) as i64
}

fn tolerance(entry: &Value) -> Tolerance {
    Tolerance {
        up: entry["tol_up"].as_f64().unwrap_or(0.1),
        down: entry["tol_down"].as_f64().unwrap_or(0.1),
    }
}

fn milli_values(entry: &Value) -> Vec<i64> {
    list(&entry["metric_milli"]).iter().map(int).collect()
}

fn average(entry: &Value) -> (Value, Value) {
    let got = average_value_proposal(
        &milli_values(entry),
        int(&entry["target_milli"]),
        int32(&entry["status_replicas"]),
        tolerance(entry),
    );
    (entry["expected"].clone(), json!(got))
}

fn value(entry: &Value) -> (Value, Value) {
    let got = value_proposal(
        &milli_values(entry),
        int(&entry["target_milli"]),
        int32(&entry["spec_replicas"]),
        int32(&entry["ready_pods"]),
        tolerance(entry),
    );
    (entry["expected"].clone(), json!(got))
}

fn recommendations(value: &Value) -> Vec<Recommendation> {
    list(value)
        .iter()
        .map(|rec| Recommendation { replicas: int32(&rec[0]), at_ms: before_now(&rec[1]) })
        .collect()
}

fn stabilization(entry: &Value) -> (Value, Value) {
    let mut recs = recommendations(&entry["recs"]);
    let desired = int32(&entry["desired"]);
    let got = if entry["path"] == "legacy" {
        stabilize_legacy(&mut recs, desired, NOW_MS)
    } else {
        let window = |name: &str| int(&entry[name]) * 1000;
        let (up, down) = (window("up_window_s"), window("down_window_s"));
        stabilize_with_behavior(&mut recs, desired, int32(&entry["current"]), up, down, NOW_MS)
    };
    let mut actual = json!({ "expected": got });
    let mut expected = json!({ "expected": entry["expected"] });
    if !entry["expected_recs"].is_null() {
        expected["recs"] = entry["expected_recs"].clone();
        actual["recs"] = recs.iter().map(|rec| rec.replicas).collect();
    }
    if !entry["expected_len"].is_null() {
        expected["len"] = entry["expected_len"].clone();
        actual["len"] = json!(recs.len());
    }
    (expected, actual)
}

fn events(value: &Value) -> Vec<ScaleEvent> {
    list(value)
        .iter()
        .map(|event| ScaleEvent {
            change: int32(&event[0]),
            at_ms: before_now(&event[1]),
            outdated: false,
        })
        .collect()
}

fn rules(value: &Value, default: Rules) -> Rules {
    let mut rules = default;
    if let Some(seconds) = value["window_s"].as_i64() {
        rules.stabilization_window_s = Some(seconds as i32);
    }
    match value["select"].as_str() {
        Some("Min") => rules.select = Select::Min,
        Some("Max") => rules.select = Select::Max,
        Some("Disabled") => rules.select = Select::Disabled,
        _ => {}
    }
    if let Some(policies) = value["policies"].as_array() {
        rules.policies = policies
            .iter()
            .map(|policy| Policy {
                kind: if policy[0] == "Pods" { PolicyKind::Pods } else { PolicyKind::Percent },
                value: int32(&policy[1]),
                period_s: int32(&policy[2]),
            })
            .collect();
    }
    rules
}

fn behavior(value: &Value) -> Option<Behavior> {
    (!value.is_null()).then(|| Behavior {
        scale_up: rules(&value["scale_up"], Rules::default_up()),
        scale_down: rules(&value["scale_down"], Rules::default_down()),
    })
}

fn bounds(entry: &Value) -> Bounds {
    Bounds { min: int32(&entry["min"]), max: int32(&entry["max"]) }
}

fn policies(entry: &Value) -> (Value, Value) {
    let (desired, current) = (int32(&entry["desired"]), int32(&entry["current"]));
    let (got, reason) = if entry["path"] == "legacy" {
        limit_legacy(desired, current, bounds(entry))
    } else {
        let rules = behavior(entry).unwrap_or_default();
        let (up, down) = (events(&entry["up_events"]), events(&entry["down_events"]));
        limit_with_behavior(&rules, desired, current, bounds(entry), &up, &down, NOW_MS)
    };
    let mut actual = json!({ "expected": got });
    let mut expected = json!({ "expected": entry["expected"] });
    if !entry["reason"].is_null() {
        expected["reason"] = entry["reason"].clone();
        actual["reason"] = json!(reason.as_str());
    }
    (expected, actual)
}

fn policy_limits(entry: &Value) -> (Value, Value) {
    let (up, down) = (events(&entry["up_events"]), events(&entry["down_events"]));
    let current = int32(&entry["current"]);
    let got = if entry["direction"] == "up" {
        up_limit(&rules(&entry["rule"], Rules::default_up()), current, &up, &down, NOW_MS)
    } else {
        down_limit(&rules(&entry["rule"], Rules::default_down()), current, &up, &down, NOW_MS)
    };
    (entry["expected"].clone(), json!(got))
}

fn event_store(entry: &Value) -> (Value, Value) {
    let mut events = events(&entry["events"]);
    let before = change_in_period(&events, int(&entry["query_period_s"]) * 1000, NOW_MS);
    store_event(
        &mut events,
        int32(&entry["change"]),
        int(&entry["longest_period_s"]) * 1000,
        NOW_MS,
    );
    let after: Vec<Value> =
        events.iter().map(|event| json!([event.change, event.outdated])).collect();
    (json!([entry["expected_sum_before"], entry["expected_after"]]), json!([before, after]))
}

fn committed(value: &Value) -> Option<i64> {
    value.as_i64().filter(|offset| *offset != -1)
}

fn lag_options(entry: &Value) -> LagOptions {
    LagOptions {
        lag_threshold: entry["lag_threshold"].as_i64().unwrap_or(10),
        activation_lag_threshold: int(&entry["activation_threshold"]),
        offset_reset: if entry["policy"] == "earliest" {
            OffsetReset::Earliest
        } else {
            OffsetReset::Latest
        },
        allow_idle_consumers: flag(&entry["allow_idle"]),
        exclude_persistent_lag: flag(&entry["exclude_persistent"]),
        scale_to_zero_on_invalid_offset: flag(&entry["scale_to_zero_on_invalid"]),
        limit_to_partitions_with_lag: flag(&entry["limit_to_partitions_with_lag"]),
        ensure_even_distribution: flag(&entry["ensure_even"]),
        partition_limitation: None,
    }
}

fn kafka_partition_lag(entry: &Value) -> (Value, Value) {
    let mut previous = entry["prev"].as_i64();
    let got = partition_lag(
        committed(&entry["consumer"]),
        entry["latest"].as_i64(),
        &lag_options(entry),
        &mut previous,
    );
    (entry["expected"].clone(), json!([got.0, got.1]))
}

fn kafka_total_lag(entry: &Value) -> (Value, Value) {
    let partitions: Vec<PartitionOffsets> = list(&entry["partitions"])
        .iter()
        .enumerate()
        .map(|(index, pair)| PartitionOffsets {
            partition: index as i32,
            committed: committed(&pair[0]),
            end: pair[1].as_i64(),
        })
        .collect();
    let mut previous = list(&entry["prev_offsets"])
        .iter()
        .enumerate()
        .filter_map(|(index, offset)| Some((index as i32, offset.as_i64()?)))
        .collect();
    let got = total_lag(&partitions, &lag_options(entry), &mut previous);
    (
        json!([
            entry["expected_total"],
            entry["expected_total_with_persistent"],
            entry["expected_active"]
        ]),
        json!([got.total, got.total_with_persistent, got.active]),
    )
}

fn kafka_even_factor(entry: &Value) -> (Value, Value) {
    let got =
        even_factor(int(&entry["total"]), int(&entry["partitions"]), int(&entry["threshold"]));
    (entry["expected"].clone(), json!(got))
}

fn partition_limitation(entry: &Value) -> (Value, Value) {
    let got = match parse_partition_limitation(entry["text"].as_str().unwrap_or_default()) {
        Ok(Some(ids)) => json!(ids),
        Ok(None) => json!([]),
        Err(_) => Value::Null,
    };
    (entry["expected"].clone(), got)
}

fn name_of_metric(entry: &Value) -> (Value, Value) {
    let got = metric_name(
        int(&entry["index"]) as usize,
        entry["topic"].as_str(),
        entry["group"].as_str().unwrap_or_default(),
    );
    (entry["expected"].clone(), json!(got))
}

fn multi_metric(entry: &Value) -> (Value, Value) {
    let proposals: Vec<Option<i32>> =
        list(&entry["proposals"]).iter().map(|p| p.as_i64().map(|p| p as i32)).collect();
    (entry["expected"].clone(), json!(combine(&proposals, int32(&entry["current"]))))
}

fn reconcile(entry: &Value) -> (Value, Value) {
    let rules = behavior(&entry["behavior"]);
    let recs = (!entry["recs"].is_null()).then(|| recommendations(&entry["recs"]));
    let mut hpa = Hpa { recommendations: recs, ..Hpa::default() };
    let proposal = entry["proposal"].as_i64().map(|proposal| proposal as i32);
    let got = hpa.step(HpaInput {
        spec_replicas: int32(&entry["current"]),
        bounds: bounds(entry),
        behavior: rules.as_ref(),
        proposals: &[proposal],
        now_ms: NOW_MS,
    });
    (entry["expected"].clone(), json!(got.desired))
}

fn executor(entry: &Value) -> (Value, Value) {
    let seconds = |name: &str| entry[name].as_i64().map(|seconds| seconds * 1000);
    let current = int32(&entry["current"]);
    let got = execute(ExecutorInput {
        current,
        min: int32(&entry["min"]),
        idle: entry["idle"].as_i64().map(|idle| idle as i32),
        active: flag(&entry["active"]),
        error: flag(&entry["error"]),
        fallback_replicas: entry["fallback_replicas"].as_i64().map(|replicas| replicas as i32),
        last_active_age_ms: seconds("last_active_age_s"),
        object_age_ms: seconds("scaledobject_age_s").unwrap_or_default(),
        cooldown_ms: seconds("cooldown_s").unwrap_or(300_000),
        initial_cooldown_ms: seconds("initial_cooldown_s").unwrap_or(0),
        paused: flag(&entry["paused"]),
        pause_scale_in: flag(&entry["pause_scale_in"]),
        pause_scale_out: flag(&entry["pause_scale_out"]),
        force_activation: flag(&entry["force_activation"]),
    });
    (
        json!([
            entry["expected_replicas"],
            entry["expected_write"],
            entry["expected_last_active_update"]
        ]),
        json!([got.set.unwrap_or(current), got.set.is_some(), got.was_active]),
    )
}

fn fallback(entry: &Value) -> (Value, Value) {
    let behavior = match entry["behavior"].as_str() {
        Some("currentReplicas") => FallbackBehavior::CurrentReplicas,
        Some("currentReplicasIfHigher") => FallbackBehavior::CurrentReplicasIfHigher,
        Some("currentReplicasIfLower") => FallbackBehavior::CurrentReplicasIfLower,
        _ => FallbackBehavior::Static,
    };
    let got = after_evaluation(
        int32(&entry["failures_before"]),
        flag(&entry["success"]),
        Some(Fallback {
            failure_threshold: int32(&entry["threshold"]),
            replicas: int32(&entry["replicas"]),
            behavior,
        }),
        Current { replicas: int32(&entry["current"]), ready: None },
        int(&entry["target"]),
    );
    (json!([entry["expected_failures"], entry["expected_metric_milli"]]), json!([got.0, got.1]))
}

/// A run of many syncs with `status = spec`; `keda_set` writes from outside.
fn sequence(entry: &Value) -> (Value, Value) {
    let rules = behavior(&entry["behavior"]);
    let tolerance = Tolerance {
        up: entry["tol"][0].as_f64().unwrap_or(0.1),
        down: entry["tol"][1].as_f64().unwrap_or(0.1),
    };
    let target_milli = int(&entry["lag_threshold"]) * 1000;
    let mut hpa = Hpa::default();
    let mut replicas = int32(&entry["start_replicas"]);
    let mut got = Vec::new();
    for step in list(&entry["steps"]) {
        if let Some(set) = step["keda_set"].as_i64() {
            replicas = set as i32;
        } else {
            let proposal = step["metric"].as_i64().map(|metric| {
                average_value_proposal(&[metric * 1000], target_milli, replicas, tolerance)
            });
            replicas = hpa
                .step(HpaInput {
                    spec_replicas: replicas,
                    bounds: bounds(entry),
                    behavior: rules.as_ref(),
                    proposals: &[proposal],
                    now_ms: int(&step["t"]) * 1000,
                })
                .desired;
        }
        got.push(replicas);
    }
    (entry["expected"].clone(), json!(got))
}
