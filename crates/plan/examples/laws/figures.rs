//! What a run is judged by.

use std::error::Error;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::available_parallelism;

use tidegate_autoscale::law::{Law, SloLaw, SloOptions};
use tidegate_autoscale::scaled_object::ScaledObject;
use tidegate_sim::{Run, Scenario, simulate, slo_options};

/// A scenario by its path below `config/scenarios`.
pub(crate) fn scenario(name: &str) -> Result<Scenario, Box<dyn Error>> {
    let path = format!("{}/../../config/scenarios/{name}", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(&path).map_err(|error| format!("{path}: {error}"))?;
    Ok(Scenario::from_text(name, &text)?)
}

/// The slo law as an operator of these pods would set it up.
pub(crate) fn slo(
    scenario: &Scenario,
    object: &ScaledObject,
    target_age_s: f64,
) -> Result<SloLaw, Box<dyn Error>> {
    let options = SloOptions { target_age_s, ..slo_options(scenario, object) };
    Ok(SloLaw::new(options, 0)?)
}

/// Figures of a run. Pod-seconds in a window, if one is given.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Figures {
    pub(crate) max_age_s: f64,
    pub(crate) p99_age_s: f64,
    pub(crate) pod_seconds: f64,
    pub(crate) reversals: u32,
    pub(crate) end_backlog: i64,
}

impl Figures {
    pub(crate) fn of(run: &Run, window_s: Option<(usize, usize)>) -> Self {
        let (from, to) = window_s.unwrap_or((0, run.seconds.len()));
        let window = &run.seconds[from.min(run.seconds.len())..to.min(run.seconds.len())];
        Self {
            max_age_s: run.summary.max_age_s,
            p99_age_s: run.summary.p99_age_s,
            pod_seconds: window.iter().map(|second| f64::from(second.replicas_current)).sum(),
            reversals: run.summary.direction_reversals,
            end_backlog: run.summary.end_backlog,
        }
    }
}

/// Runs a scenario under a law.
pub(crate) fn judged(
    scenario: &Scenario,
    seed: u64,
    law: &mut dyn Law,
    window_s: Option<(usize, usize)>,
) -> Figures {
    Figures::of(&simulate(scenario, seed, law), window_s)
}

/// One a core.
pub(crate) fn threads() -> usize {
    available_parallelism().map_or(1, usize::from)
}

/// Maps over the items on all cores; the answers are in the items' order.
pub(crate) fn in_parallel<T: Sync, R: Send>(items: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let next = AtomicUsize::new(0);
    let done = Mutex::new(Vec::with_capacity(items.len()));
    std::thread::scope(|scope| {
        for _ in 0..threads() {
            scope.spawn(|| {
                loop {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    let Some(item) = items.get(index) else { return };
                    let answer = work(item);
                    if let Ok(mut done) = done.lock() {
                        done.push((index, answer));
                    }
                }
            });
        }
    });
    let mut done = done.into_inner().unwrap_or_default();
    done.sort_by_key(|(index, _)| *index);
    done.into_iter().map(|(_, answer)| answer).collect()
}
