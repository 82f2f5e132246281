//! The plan: kept in the simulation, or the limit that forbids it by name.

use std::sync::atomic::AtomicBool;

use tidegate_autoscale::scaled_object::ScaledObject;
use tidegate_plan::plan::{Inputs, Plan, Wishes, plan, text};
use tidegate_sim::Scenario;

const DEMO: &str = include_str!("../../../config/scaled-object-demo.yaml");

const RAMP: &str = "
duration_s = 300
[load]
phases = [
  { kind = 'step', rate_per_s = 200.0, duration_s = 100.0 },
  { kind = 'step', rate_per_s = 1500.0, duration_s = 200.0 },
]
[topic]
partitions = 24
[pod]
replicas = 3
batch_s = 1.0
start_s = { min = 2.0, max = 4.0 }
";

fn planned(scenario: &str, wishes: &Wishes) -> Plan {
    let scenario = Scenario::from_text("s.toml", scenario).expect("scenario");
    let object = ScaledObject::from_yaml(DEMO, "demo").expect("manifest");
    let inputs = Inputs { scenario: &scenario, object: &object, wishes };
    plan(inputs, &AtomicBool::new(false)).expect("a plan").expect("not stopped")
}

fn wishes(slo_s: f64) -> Wishes {
    Wishes {
        slo_s,
        partitions: None,
        max_pods: None,
        sink_rows_per_s: None,
        sink_commits_per_s: None,
        connections_per_s: 20.0,
        price_per_pod_hour: Some(0.1),
        seeds: vec![1, 2],
        threads: 2,
    }
}

#[test]
fn a_promise_that_can_be_kept_is_kept_by_the_simulation() {
    let plan = planned(RAMP, &wishes(30.0));
    assert!(plan.is_kept && plan.chosen.p99_age_s <= 30.0, "{plan:?}");
    assert!(plan.chosen.partitions >= 15 && plan.peak_rate_per_s == 1500.0);
    assert_eq!(plan.stretches.len(), 2);
    assert_eq!(plan.stretches[0].needed_pods, 2);
    assert!(plan.budget.rows_per_s >= 1400.0, "{:?}", plan.budget);
    let cost = plan.cost.expect("a price was given");
    assert!((cost - 0.1 * plan.pod_hours).abs() < 1e-9);
    let text = text(&plan, "s.toml", true);
    assert!(text.contains("simulated      p99 age") && text.contains("binding"), "{text}");
}

/// A batch of two seconds cannot be seen stored within one, with any number of pods.
#[test]
fn a_batch_that_takes_longer_than_the_promise_binds() {
    let slow = RAMP.replace("batch_s = 1.0", "batch_s = 2.0");
    let plan = planned(&slow, &wishes(1.0));
    assert!(!plan.is_kept);
    assert_eq!(plan.binding, "batch time", "{plan:?}");
    assert!(plan.advice.contains("not more pods"), "{}", plan.advice);
}

#[test]
fn pods_stand_by_where_starting_takes_too_long() {
    let late = RAMP.replace("{ min = 2.0, max = 4.0 }", "{ min = 40.0, max = 60.0 }");
    let plan = planned(&late, &wishes(10.0));
    assert!(plan.is_kept, "{}", text(&plan, "s.toml", true));
    assert!(plan.chosen.standby_pods >= 14, "{plan:?}");
}

#[test]
fn a_hot_partition_binds_and_no_pod_helps() {
    let weights: Vec<String> =
        (0..24).map(|p| if p == 0 { "10.0" } else { "1.0" }.to_owned()).collect();
    let hot = RAMP.replace(
        "partitions = 24",
        &format!("partitions = 24\nweights = [{}]", weights.join(", ")),
    );
    let plan = planned(&hot, &Wishes { partitions: Some(24), ..wishes(30.0) });
    assert!(!plan.is_kept);
    assert_eq!(plan.binding, "hot partition", "{}", text(&plan, "s.toml", true));
}

#[test]
fn a_database_that_takes_less_than_arrives_binds() {
    let wished = Wishes { sink_rows_per_s: Some(500.0), ..wishes(60.0) };
    let of_the_scenario = format!("{RAMP}[sink]\nrows_per_s = 500.0\n");
    let plans = [planned(RAMP, &wished), planned(&of_the_scenario, &wishes(60.0))];
    for plan in &plans {
        assert_eq!(plan.binding, "database rows", "{}", text(plan, "s.toml", true));
        assert!(!plan.is_kept && plan.chosen.p99_age_s > 60.0, "{plan:?}");
    }
    assert_eq!(plans[0], plans[1], "the same sink");
}

/// The tighter one counts, and one that suffices forbids nothing.
#[test]
fn a_database_that_takes_what_arrives_does_not_bind() {
    let wide = format!("{RAMP}[sink]\nrows_per_s = 1e6\n");
    let plan = planned(&wide, &Wishes { sink_rows_per_s: Some(4000.0), ..wishes(30.0) });
    assert!(plan.is_kept, "{}", text(&plan, "s.toml", true));
    let rows = plan.limits.iter().find(|limit| limit.name == "database rows").expect("a limit");
    assert_eq!(rows.allowed, 4000.0);
}

/// A pod commits once in 1.01 s at most: 10 commits are 10 pods, and the load needs 15.
#[test]
fn commits_that_the_database_does_not_take_break_the_promise() {
    let plan = planned(RAMP, &Wishes { sink_commits_per_s: Some(10.0), ..wishes(30.0) });
    assert!(!plan.is_kept && plan.chosen.peak_pods <= 10, "{plan:?}");
    assert_eq!(plan.binding, "database commits", "{}", text(&plan, "s.toml", true));
    // One pod is the least there is.
    let calm = RAMP.replace("1500.0", "50.0").replace("200.0, ", "50.0, ");
    let plan = planned(&calm, &Wishes { sink_commits_per_s: Some(0.5), ..wishes(30.0) });
    assert!(!plan.is_kept && plan.binding == "database commits", "{plan:?}");
}

/// A join that is spread over more seconds is later and breaks no age by itself.
#[test]
fn connections_bind_where_nothing_else_does() {
    let tight = Wishes { connections_per_s: 0.5, ..wishes(30.0) };
    assert_eq!(planned(RAMP, &tight).binding, "connections");
    let slow = RAMP.replace("batch_s = 1.0", "batch_s = 2.0");
    let plan = planned(&slow, &Wishes { connections_per_s: 0.5, ..wishes(1.0) });
    assert_eq!(plan.binding, "batch time", "{}", text(&plan, "s.toml", true));
    let late = RAMP.replace("{ min = 2.0, max = 4.0 }", "{ min = 40.0, max = 60.0 }");
    let plan = planned(&late, &Wishes { connections_per_s: 0.5, ..wishes(40.0) });
    assert_eq!(plan.binding, "pod start", "{}", text(&plan, "s.toml", true));
}
