//! What the published chart shows, as a simulation has it.

use tidegate_autoscale::series::reversals;
use tidegate_sim::Run;

/// The chart's age is a mean over about a minute.
const AGE_WINDOW_S: usize = 60;
/// The chart's steady state before the spike, seconds.
const STEADY_S: usize = 2040;
/// The chart's 24 minutes began this long before the spike.
const WINDOW_BEGAN_S: usize = 70;
const WINDOW_S: usize = 1440;

/// Times from the spike, ages in seconds.
#[derive(Debug)]
#[allow(dead_code)]
pub(crate) struct Figures {
    pub peak_pods: i32,
    pub peak_at_s: usize,
    pub trough_pods: i32,
    pub settled_pods: i32,
    /// Pods a minute while they climb.
    pub climb: f64,
    pub max_age_s: f64,
    pub settled_age_s: f64,
    pub max_backlog: i64,
    /// Most that the law was told.
    pub max_lag_metric: i64,
    /// The highest age once the pods are down.
    pub second_age_peak_s: f64,
    pub settled_backlog: i64,
    /// Its change over the last four minutes.
    pub drift: i64,
    /// Least processed in any 60 s after the peak, records a second.
    pub dip_per_s: f64,
    /// Changes of direction of the wanted pods since the spike.
    pub reversals: u32,
    /// In the 24 minutes that the chart's figures are summed over.
    pub pod_seconds: i32,
    /// The same before the spike.
    pub steady: Steady,
}

/// Half an hour and more of constant load.
#[derive(Debug)]
#[allow(dead_code)]
pub(crate) struct Steady {
    pub least_pods: i32,
    pub most_pods: i32,
    pub mean_pods: f64,
    pub age_s: f64,
    pub least_age_s: f64,
    pub most_age_s: f64,
    pub least_lag: i64,
    pub most_lag: i64,
    pub reversals: u32,
    pub mean_nodes: f64,
}

impl Steady {
    fn new(run: &Run, spike_s: usize) -> Self {
        let seconds = &run.seconds[spike_s - STEADY_S..spike_s];
        let count = seconds.len() as f64;
        let pods = || seconds.iter().map(|second| second.replicas_current);
        let lag = || seconds.iter().map(|second| second.lag_metric);
        let ages: Vec<f64> = (spike_s - STEADY_S..spike_s)
            .filter_map(|until_s| run.mean_age_s(until_s, AGE_WINDOW_S))
            .collect();
        Self {
            least_pods: pods().min().unwrap_or(0),
            most_pods: pods().max().unwrap_or(0),
            mean_pods: f64::from(pods().sum::<i32>()) / count,
            age_s: ages.iter().sum::<f64>() / ages.len() as f64,
            least_age_s: ages.iter().copied().fold(f64::MAX, f64::min),
            most_age_s: ages.iter().copied().fold(0.0, f64::max),
            least_lag: lag().min().unwrap_or(0),
            most_lag: lag().max().unwrap_or(0),
            reversals: reversals(seconds),
            mean_nodes: seconds.iter().map(|second| f64::from(second.nodes)).sum::<f64>() / count,
        }
    }
}

impl Figures {
    pub(crate) fn new(run: &Run, spike_s: usize) -> Self {
        let seconds = &run.seconds;
        let pods = |at_s: usize| seconds[at_s - 1].replicas_current;
        let end_s = seconds.len();
        let most = |from_s: usize| (from_s..=end_s).map(pods).max().unwrap_or(0);
        let peak_pods = most(spike_s);
        let peak_s = (spike_s..=end_s).find(|at_s| pods(*at_s) == peak_pods).unwrap_or(end_s);
        let before = pods(spike_s);
        let first_s = (spike_s + 30..=end_s).find(|at_s| pods(*at_s) > before + 3);
        let first_s = first_s.unwrap_or(spike_s);
        // The chart has no point either where nothing was processed.
        let age_s = |until_s| run.mean_age_s(until_s, AGE_WINDOW_S).unwrap_or(0.0);
        let settled_backlog = seconds[end_s - 1].backlog;
        let dip = seconds[peak_s..]
            .windows(60)
            .map(|window| window.iter().map(|second| second.processed_per_s).sum::<f64>() / 60.0);
        let window = spike_s - WINDOW_BEGAN_S..spike_s - WINDOW_BEGAN_S + WINDOW_S;
        Self {
            peak_pods,
            peak_at_s: peak_s - spike_s,
            trough_pods: (peak_s..=end_s).map(pods).min().unwrap_or(0),
            settled_pods: pods(end_s),
            climb: f64::from(pods(first_s + 360) - pods(first_s)) / 6.0,
            max_age_s: (spike_s..=spike_s + 900).map(age_s).fold(0.0, f64::max),
            settled_age_s: age_s(end_s),
            max_backlog: run.summary.max_backlog,
            max_lag_metric: seconds.iter().map(|second| second.lag_metric).max().unwrap_or(0),
            second_age_peak_s: (spike_s + 800..=end_s).map(age_s).fold(0.0, f64::max),
            settled_backlog,
            drift: settled_backlog - seconds[end_s - 241].backlog,
            dip_per_s: dip.fold(f64::MAX, f64::min),
            reversals: reversals(&seconds[spike_s..]),
            pod_seconds: window.map(|at| seconds[at].replicas_current).sum(),
            steady: Steady::new(run, spike_s),
        }
    }
}
