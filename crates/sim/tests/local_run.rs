//! Runs of `tidegate up` on a real Kafka with real pods (two cores), simulated from their
//! configuration. Of its parameters only the phase of the controller's seconds was
//! set after looking at the first run; see `docs/fidelity.md`.
//!
//! Real runs of the same configuration differ: a machine of two cores is slow for a moment
//! now and then. So a figure is held against the range of the runs, and what a run is second
//! by second against each of them.

use tidegate_autoscale::scaled_object::ScaledObject;
use tidegate_sim::{Run, Scenario, simulate, stock_law};

/// How far outside of the runs' range a simulated figure may be.
const TOLERANCE: f64 = 0.15;

/// A real run.
struct Real {
    name: &'static str,
    seconds: Vec<Second>,
    /// Ages, from its database.
    max_age_s: f64,
    p99_age_s: f64,
    p50_age_s: f64,
}

/// One second of it.
struct Second {
    t_s: usize,
    backlog: i64,
    lag: i64,
    replicas: i32,
}

fn real_runs() -> Vec<Real> {
    let run = |name, csv: &str, [p50_age_s, p99_age_s, max_age_s]: [f64; 3]| Real {
        name,
        seconds: seconds(csv),
        max_age_s,
        p99_age_s,
        p50_age_s,
    };
    vec![
        run("2026-11-24", include_str!("data/local-demo.csv"), [0.37, 0.807, 2.646]),
        run("2026-11-30", include_str!("data/local-demo-2.csv"), [0.377, 1.320, 2.575]),
    ]
}

fn seconds(csv: &str) -> Vec<Second> {
    csv.lines()
        .skip(1)
        .map(|line| {
            let field: Vec<&str> = line.split(',').collect();
            Second {
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

#[test]
fn figures_of_runs_of_up_are_reproduced() {
    let (summary, real) = (simulated().summary, real_runs());
    let most = |run: &Real| run.seconds.iter().map(|row| row.backlog).max().expect("rows") as f64;
    let figures: [(&str, f64, Vec<f64>); 4] = [
        ("oldest record", summary.max_age_s, real.iter().map(|run| run.max_age_s).collect()),
        ("99 % within", summary.p99_age_s, real.iter().map(|run| run.p99_age_s).collect()),
        ("half within", summary.p50_age_s, real.iter().map(|run| run.p50_age_s).collect()),
        ("most waiting", summary.max_backlog as f64, real.iter().map(most).collect()),
    ];
    for (name, simulated, real) in &figures {
        println!("{name}: {simulated:.3}, real {real:?}");
    }
    for (name, simulated, real) in figures {
        let low = real.iter().copied().fold(f64::INFINITY, f64::min) * (1.0 - TOLERANCE);
        let high = real.iter().copied().fold(0.0, f64::max) * (1.0 + TOLERANCE);
        assert!((low..=high).contains(&simulated), "{name}: {simulated} outside {low} to {high}");
    }
}

#[test]
fn each_run_of_up_is_reproduced_second_by_second() {
    let run = simulated();
    for real in real_runs() {
        let rows = &real.seconds;
        let pods = rows.iter().map(|row| row.replicas).max().expect("rows");
        assert_eq!(run.summary.peak_replicas, pods, "{}", real.name);
        // Mean lag while 1,000 and while 5,000 a second are settled.
        for seconds in [50..90, 110..205] {
            let mean = |lag: &dyn Fn(usize) -> i64| {
                seconds.clone().map(lag).sum::<i64>() as f64 / seconds.len() as f64
            };
            let recorded = mean(&|t_s| rows[t_s - 1].lag);
            let simulated = mean(&|t_s| run.seconds[t_s - 1].lag_metric);
            println!("{} {seconds:?}: lag {simulated:.0}, real {recorded:.0}", real.name);
            let near = (simulated - recorded).abs() <= recorded * 0.1;
            assert!(near, "{} {seconds:?}: {simulated} instead of {recorded}", real.name);
        }
        let close = rows
            .iter()
            .filter(|row| (run.seconds[row.t_s - 1].replicas_desired - row.replicas).abs() <= 2);
        let share = close.count() as f64 / rows.len() as f64;
        println!("{}: within two pods in {:.1} % of {} s", real.name, share * 100.0, rows.len());
        assert!(share >= 0.95, "{}: {share}", real.name);
    }
}
