//! Draws what was recorded beside what is simulated, for `docs/fidelity.md`:
//! `cargo run --release -p tidegate-sim --example fidelity -- docs/images`

#[allow(dead_code)]
#[path = "../../../benches/src/chart.rs"]
mod chart;

use std::error::Error;
use std::path::Path;

use chart::{Line, Panel, svg};
use tidegate_autoscale::law::Schedule;
use tidegate_autoscale::scaled_object::ScaledObject;
use tidegate_autoscale::series::Second;
use tidegate_sim::{Run, Scenario, simulate, stock_law};

const REAL: &str = "#c2410c";
const SIMULATED: &str = "#2563eb";
const SEED: u64 = 1;

fn main() -> Result<(), Box<dyn Error>> {
    let folder = std::env::args().nth(1).ok_or("fidelity FOLDER")?;
    let folder = Path::new(&folder);
    std::fs::write(folder.join("fidelity-published.svg"), published()?)?;
    std::fs::write(folder.join("fidelity-consumer.svg"), consumer()?)?;
    std::fs::write(folder.join("fidelity-local.svg"), local()?)?;
    Ok(())
}

/// A column of a file with a header, a number a row; without one the last one goes on.
fn column(text: &str, index: usize) -> Vec<f64> {
    let mut last = 0.0;
    let rows = text.lines().skip(1);
    rows.map(|row| {
        last = row.split(',').nth(index).and_then(|field| field.parse().ok()).unwrap_or(last);
        last
    })
    .collect()
}

fn values(run: &Run, of: impl Fn(&Second) -> f64) -> Vec<f64> {
    run.seconds.iter().map(of).collect()
}

fn panel<'a>(title: &'a str, real: &'a [f64], simulated: &'a [f64]) -> Panel<'a> {
    Panel {
        title,
        lines: vec![
            Line { name: "recorded", color: REAL, values: real },
            Line { name: "simulated", color: SIMULATED, values: simulated },
        ],
    }
}

fn stock(scenario: &str, manifest: &str) -> Result<Run, Box<dyn Error>> {
    let scenario = Scenario::from_text("scenario", scenario)?;
    let object = ScaledObject::from_yaml(manifest, "manifest")?;
    Ok(simulate(&scenario, SEED, &mut stock_law(object, &scenario.control)))
}

/// The published run from 34 minutes before its spike on.
fn published() -> Result<String, Box<dyn Error>> {
    /// A row every so many seconds, and the first one's time in the simulation.
    const STEP_S: usize = 15;
    const FROM_S: usize = 1490;
    /// The chart's age is a mean over about a minute.
    const AGE_WINDOW_S: usize = 60;
    let chart = include_str!("../../../benches/reference/published-run.csv");
    let run = stock(
        include_str!("../../../config/scenarios/published.toml"),
        include_str!("../../../config/scaled-object-demo.yaml"),
    )?;
    let until_s = FROM_S + STEP_S * chart.lines().skip(1).count();
    let seconds = || (FROM_S..until_s).filter(|at_s| *at_s < run.seconds.len());
    let every_second = |index| {
        let rows = column(chart, index);
        rows.iter().flat_map(|value| std::iter::repeat_n(*value, STEP_S)).collect::<Vec<_>>()
    };
    let pods: Vec<f64> = seconds().map(|s| f64::from(run.seconds[s].replicas_current)).collect();
    let ages: Vec<f64> =
        seconds().map(|s| run.mean_age_s(s, AGE_WINDOW_S).unwrap_or(0.0)).collect();
    let lag: Vec<f64> = seconds().map(|s| run.seconds[s].lag_metric as f64).collect();
    let their_lag: Vec<f64> =
        every_second(4).iter().zip(every_second(5)).map(|(a_pod, pods)| a_pod * pods).collect();
    Ok(svg(&[
        panel("pods", &every_second(5), &pods),
        panel("mean age, s", &every_second(7), &ages),
        panel("lag metric", &their_lag, &lag),
    ]))
}

/// The published consumer on one machine.
fn consumer() -> Result<String, Box<dyn Error>> {
    let text = include_str!("../../../benches/reference/published-consumer.csv");
    let scenario = include_str!("../../../config/scenarios/published-consumer.toml");
    let scenario = Scenario::from_text("published-consumer.toml", scenario)?;
    let (processed, alive, lag) = (column(text, 2), column(text, 3), column(text, 4));
    let path = alive.iter().enumerate().map(|(at_s, pods)| (at_s as i64 * 1000, *pods as i32));
    let run = simulate(&scenario, SEED, &mut Schedule::new(path.collect()));
    Ok(svg(&[
        panel("lag", &lag, &values(&run, |second| second.lag_metric as f64)),
        panel(
            "processed a second, mean of ten seconds",
            &smooth(&processed),
            &smooth(&values(&run, |second| second.processed_per_s)),
        ),
        panel("processes", &alive, &values(&run, |second| f64::from(second.replicas_current))),
    ]))
}

fn smooth(values: &[f64]) -> Vec<f64> {
    let mean = |end: usize| {
        let window = &values[end.saturating_sub(10)..end];
        window.iter().sum::<f64>() / window.len().max(1) as f64
    };
    (1..=values.len()).map(mean).collect()
}

/// A run of `tidegate up`.
fn local() -> Result<String, Box<dyn Error>> {
    let text = include_str!("../tests/data/local-demo.csv");
    let run = stock(
        include_str!("../../../config/scenarios/local-demo.toml"),
        include_str!("../../../config/scaled-object-local.yaml"),
    )?;
    Ok(svg(&[
        panel("pods", &column(text, 6), &values(&run, |second| f64::from(second.replicas_desired))),
        panel("lag", &column(text, 4), &values(&run, |second| second.lag_metric as f64)),
        panel("oldest record that waits, s", &column(text, 5), &values(&run, |s| s.oldest_age_s)),
    ]))
}
