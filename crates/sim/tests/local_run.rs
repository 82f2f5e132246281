//! A run of `tidegate up` on a real Kafka with real pods (two cores), simulated from its
//! configuration. Of its parameters only the phase of the controller's seconds was
//! set after looking; see `docs/fidelity.md`.

use tidegate_autoscale::scaled_object::ScaledObject;
use tidegate_sim::{Run, Scenario, simulate, stock_law};

/// Age of the oldest record of the real run, and the 99th percentile, from its database.
const MAX_AGE_S: f64 = 2.646;
const P99_AGE_S: f64 = 0.807;

/// One second of the real run.
struct Recorded {
    t_s: usize,
    backlog: i64,
    lag: i64,
    replicas: i32,
}

fn recorded() -> Vec<Recorded> {
    include_str!("data/local-demo.csv")
        .lines()
        .skip(1)
        .map(|line| {
            let field: Vec<&str> = line.split(',').collect();
            Recorded {
                t_s: field[0].parse().expect("seconds"),
                backlog: field[3].parse().expect("records"),
                lag: field[4].parse().expect("records"),
                replicas: field[6].parse().expect("replicas"),
            }
        })
        .filter(|row| row.t_s > 0)
        .collect()
}

fn simulated() -> Run {
    let text = include_str!("../../../config/scenarios/local-demo.toml");
    let scenario = Scenario::from_text("local-demo.toml", text).expect("a valid scenario");
    let manifest = include_str!("../../../config/scaled-object-local.yaml");
    let object = ScaledObject::from_yaml(manifest, "local").expect("a valid manifest");
    simulate(&scenario, 1, &mut stock_law(object, &scenario.control))
}

fn near(value: f64, like: f64, share: f64) -> bool {
    (value - like).abs() <= like * share
}

#[test]
fn a_run_of_up_is_reproduced() {
    let (run, real) = (simulated(), recorded());
    let summary = &run.summary;
    assert!(near(summary.max_age_s, MAX_AGE_S, 0.15), "{summary}");
    let max_backlog = real.iter().map(|row| row.backlog).max().expect("rows");
    assert!(near(summary.max_backlog as f64, max_backlog as f64, 0.15), "{summary}");
    let pods = real.iter().map(|row| row.replicas).max().expect("rows");
    assert_eq!(summary.peak_replicas, pods);
    // Mean lag while 1,000 and while 5,000 a second are settled.
    for seconds in [50..90, 110..205] {
        let mean = |lag: &dyn Fn(usize) -> i64| {
            seconds.clone().map(lag).sum::<i64>() as f64 / seconds.len() as f64
        };
        let real = mean(&|t_s| real[t_s - 1].lag);
        let simulated = mean(&|t_s| run.seconds[t_s - 1].lag_metric);
        assert!(near(simulated, real, 0.1), "{seconds:?}: {simulated} instead of {real}");
    }
    let close = real
        .iter()
        .filter(|row| (run.seconds[row.t_s - 1].replicas_desired - row.replicas).abs() <= 2);
    let share = close.count() as f64 / real.len() as f64;
    println!("within two pods in {:.1} % of {} s\n{summary}", share * 100.0, real.len());
    assert!(share >= 0.95, "{share}");
}

/// The simulated group takes longer to work off what waited when pods were added.
#[test]
fn its_99th_percentile_is_not_reached() {
    let summary = simulated().summary;
    assert!(summary.p99_age_s > P99_AGE_S * 1.15, "{summary}");
}
