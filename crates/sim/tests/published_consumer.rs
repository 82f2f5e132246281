//! The published consumer's own program on a real Kafka, driven along the published run's
//! path of pods (`benches/reference`), simulated from that path. The group's parameters
//! are those calibrated on the published run (`config/scenarios/published.toml`), but for
//! the share of late members, which that run had none of; see `docs/fidelity.md`.

use std::ops::Range;

use tidegate_autoscale::law::Schedule;
use tidegate_sim::{Run, Scenario, simulate};

const SCENARIO: &str = include_str!("../../../config/scenarios/published-consumer.toml");
/// The file's second 0 is the step to 5,000 a second.
const STEP_S: i64 = 180;
/// When the load stops.
const STOP_S: usize = 1140;
/// Processed more than once, counted in its database.
const REPEATED: f64 = 314_161.0;
/// Records a second of a process, measured.
const PROCESS_PER_S: f64 = 94.5;
const SEEDS: Range<u64> = 1..9;

/// One second of the real run.
struct Recorded {
    t_s: i64,
    processed: f64,
    alive: i32,
    lag: Option<i64>,
}

fn recorded() -> Vec<Recorded> {
    let text = include_str!("../../../benches/reference/published-consumer.csv");
    text.lines()
        .skip(1)
        .map(|line| {
            let field: Vec<&str> = line.split(',').collect();
            Recorded {
                t_s: field[0].parse::<i64>().expect("seconds") + STEP_S,
                processed: field[2].parse().expect("records"),
                alive: field[3].parse().expect("processes"),
                lag: field[4].parse().ok(),
            }
        })
        .collect()
}

/// When the number of processes changes: from the second, from so many, to so many.
fn steps(real: &[Recorded]) -> Vec<(usize, i32, i32)> {
    let pairs = real.windows(2).filter(|pair| pair[0].alive != pair[1].alive);
    pairs.map(|pair| (pair[1].t_s as usize, pair[0].alive, pair[1].alive)).collect()
}

fn simulated(text: &str, seed: u64, real: &[Recorded]) -> Run {
    let scenario = Scenario::from_text("published-consumer.toml", text).expect("valid");
    let mut path = vec![(real[0].t_s * 1000, real[0].alive)];
    path.extend(steps(real).iter().map(|(at_s, _, to)| (*at_s as i64 * 1000, *to)));
    simulate(&scenario, seed, &mut Schedule::new(path))
}

/// Least share of the processes' capacity in any five seconds of the minute after a step.
fn worst_of_capacity(processed: &[f64], (at_s, from, to): (usize, i32, i32)) -> f64 {
    let minute = &processed[at_s..(at_s + 60).min(processed.len())];
    let means = minute.windows(5).map(|window| window.iter().sum::<f64>() / 5.0);
    means.fold(f64::MAX, f64::min) / (f64::from(from.min(to)) * PROCESS_PER_S)
}

fn mean(values: impl Iterator<Item = f64>) -> f64 {
    let values: Vec<f64> = values.collect();
    values.iter().sum::<f64>() / values.len() as f64
}

/// The lag that was known at a time.
fn lag_at(real: &[Recorded], until_s: usize) -> f64 {
    real[..until_s].iter().rev().find_map(|row| row.lag).expect("a lag") as f64
}

#[test]
fn its_backlog_dips_and_repetitions_come_out() {
    let real = recorded();
    let runs: Vec<Run> = SEEDS.map(|seed| simulated(SCENARIO, seed, &real)).collect();
    for until_s in (240..=1320).step_by(60) {
        let real = lag_at(&real, until_s);
        let lags = runs.iter().map(|run| run.seconds[until_s - 1].lag_metric as f64);
        let (least, most) =
            lags.clone().fold((f64::MAX, 0.0_f64), |(a, b), l| (a.min(l), b.max(l)));
        let share = mean(lags) / real;
        println!("{until_s} s: lag {real:.0}, simulated {share:.2} times, {least:.0} to {most:.0}");
        // Later a generation more or less decides whether the group catches up.
        if until_s <= 600 {
            assert!((share - 1.0).abs() <= 0.1, "{until_s} s: {share}");
        } else {
            assert!((least..=most).contains(&real), "{until_s} s: {least} to {most}");
            let stopped = until_s > STOP_S;
            assert!(stopped || (share - 1.0).abs() <= 0.4, "{until_s} s: {share}");
        }
    }
    let of_real: Vec<f64> = real.iter().map(|row| row.processed).collect();
    let mut dips = Vec::new();
    for step in steps(&real) {
        let real = worst_of_capacity(&of_real, step);
        let worst = |run: &Run| {
            let processed: Vec<f64> = run.seconds.iter().map(|s| s.processed_per_s).collect();
            worst_of_capacity(&processed, step)
        };
        let simulated = mean(runs.iter().map(worst));
        println!("{step:?}: worst 5 s {real:.2} of the capacity, simulated {simulated:.2}");
        dips.push((real, simulated));
    }
    let (real, simulated) = (mean(dips.iter().map(|d| d.0)), mean(dips.iter().map(|d| d.1)));
    println!("mean of the worst 5 s: {real:.2} of the capacity, simulated {simulated:.2}");
    assert!((simulated - real).abs() <= 0.15, "{simulated} instead of {real}");
    let repeated = mean(runs.iter().map(|run| run.summary.duplicated as f64));
    println!("repeated {repeated:.0} instead of {REPEATED}");
    assert!((REPEATED / 2.0..=REPEATED * 2.0).contains(&repeated), "{repeated}");
}

/// What the published run did not show is what this one was made of.
#[test]
fn without_late_members_it_is_another_run() {
    let real = recorded();
    let text = SCENARIO.replace("late_probability = 0.021", "late_probability = 0.0");
    for seed in SEEDS {
        let run = simulated(&text, seed, &real);
        assert!(run.summary.duplicated < 10_000, "seed {seed}: {}", run.summary);
        let left = run.seconds.last().expect("seconds").lag_metric as f64;
        assert!(left < 0.2 * lag_at(&real, 1320), "seed {seed}: {left}");
    }
}
