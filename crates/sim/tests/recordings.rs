//! Recordings of a real KEDA 2.18.3 and a real Kubernetes 1.35 HPA, simulated from their
//! configuration alone: nothing of the recording but its first second, its load and the
//! phases of polls and syncs goes into the simulation.

use tidegate_autoscale::scaled_object::ScaledObject;
use tidegate_autoscale::series::Second;
use tidegate_sim::{Run, Scenario, simulate, stock_law};

/// One second of a recording.
struct Recorded {
    t_s: i64,
    lag: i64,
    replicas: i32,
    ready: i32,
}

fn recorded(csv: &str) -> Vec<Recorded> {
    csv.lines()
        .skip(2)
        .map(|line| {
            let field: Vec<&str> = line.split(',').collect();
            let number = |index: usize| field[index].parse::<f64>().expect("a number");
            Recorded {
                t_s: number(0).round() as i64,
                lag: number(3) as i64,
                replicas: number(4) as i32,
                ready: number(5) as i32,
            }
        })
        .collect()
}

fn simulated(scenario: &str, manifest: &str, seed: u64) -> Run {
    let scenario = Scenario::from_text("recording.toml", scenario).expect("a valid scenario");
    let object = ScaledObject::from_yaml(manifest, "recording").expect("a valid manifest");
    simulate(&scenario, seed, &mut stock_law(object, &scenario.control))
}

/// How near a simulation comes to a recording.
#[derive(Debug)]
struct Fidelity {
    seconds: usize,
    /// Seconds with other wanted replicas than recorded.
    other_replicas: usize,
    /// Seconds with other Ready pods.
    other_ready: usize,
    /// Largest difference of the lag, as a share of it, where it is one replica's worth or
    /// more.
    worst_lag: f64,
    /// Largest difference of the lag where it is less, records.
    worst_small_lag: i64,
}

/// The seed draws the start of each pod.
const SEEDS: std::ops::RangeInclusive<u64> = 1..=5;

/// One replica's worth: the recordings' `lagThreshold`.
const LAG_THRESHOLD: i64 = 10_000;

/// Compares second by second, without shifting one against the other.
fn fidelity(run: &Run, recording: &[Recorded], offset_s: i64) -> Fidelity {
    let at = |t_s: i64| &run.seconds[usize::try_from(t_s + offset_s - 1).expect("in the run")];
    let pairs: Vec<_> = recording.iter().map(|row| (row, at(row.t_s))).collect();
    let other = |differs: &dyn Fn(&Recorded, &Second) -> bool| {
        pairs.iter().filter(|(row, second)| differs(row, second)).count()
    };
    let (large, small): (Vec<_>, Vec<_>) =
        pairs.iter().partition(|(row, _)| row.lag >= LAG_THRESHOLD);
    let difference = |row: &Recorded, second: &Second| (second.lag_metric - row.lag).abs();
    Fidelity {
        seconds: pairs.len(),
        other_replicas: other(&|row, second| row.replicas != second.replicas_desired),
        other_ready: other(&|row, second| row.ready != second.pods_ready),
        worst_lag: large
            .iter()
            .map(|(row, second)| difference(row, second) as f64 / row.lag as f64)
            .fold(0.0, f64::max),
        worst_small_lag: small
            .iter()
            .map(|(row, second)| difference(row, second))
            .max()
            .unwrap_or(0),
    }
}

fn assert_near(fidelity: &Fidelity, least_seconds: usize) {
    assert!(fidelity.seconds >= least_seconds, "{fidelity:?}");
    assert!(fidelity.other_replicas * 100 <= fidelity.seconds, "{fidelity:?}");
    assert!(fidelity.other_ready * 100 <= fidelity.seconds * 2, "{fidelity:?}");
    assert!(fidelity.worst_lag <= 0.05, "{fidelity:?}");
    assert!(fidelity.worst_small_lag <= LAG_THRESHOLD / 10, "{fidelity:?}");
}

#[test]
fn the_demo_config_recording() {
    let recording = recorded(include_str!("data/demo-config.csv"));
    for seed in SEEDS {
        let run = simulated(
            include_str!("data/demo-config.toml"),
            include_str!("../../autoscale/tests/data/keda-hpa-runs/demo-config.yaml"),
            seed,
        );
        let fidelity = fidelity(&run, &recording, 45);
        println!("demo-config, seed {seed}: {fidelity:?}");
        assert_near(&fidelity, 1500);
        assert_eq!(run.summary.peak_replicas, 68);
    }
}

#[test]
fn the_idle_then_burst_recording() {
    let recording = recorded(include_str!("data/idle-then-burst.csv"));
    for seed in SEEDS {
        let run = simulated(
            include_str!("data/idle-then-burst.toml"),
            include_str!("../../autoscale/tests/data/keda-hpa-runs/idle-then-burst.yaml"),
            seed,
        );
        let fidelity = fidelity(&run, &recording, 200);
        println!("idle-then-burst, seed {seed}: {fidelity:?}");
        assert_near(&fidelity, 600);
        assert_eq!(run.summary.peak_replicas, 56);
    }
}
