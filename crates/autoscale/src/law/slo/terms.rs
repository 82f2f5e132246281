//! What a decision of the SLO law rests on, and how it reads.

use serde::{Deserialize, Serialize};

/// Which consideration decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SloTerm {
    /// The count is right as it is.
    Enough,
    /// Records arrive faster than the pods can take them.
    Rate,
    /// What waits would not be gone in time.
    Backlog,
    /// Fewer pods keep the promise.
    Fewer,
    /// Fewer would do, but not yet for long enough.
    Hold,
    /// Nothing to do, but not yet for long enough.
    Cooldown,
    /// Nothing to do.
    Idle,
    /// A bound of the options.
    Bounds,
    /// The sink is the limit.
    Sink,
    /// The facts cannot be read.
    Stale,
    /// Too little has been seen.
    Warmup,
}

/// Estimates and intermediate results.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SloTerms {
    /// What decided.
    pub term: SloTerm,
    /// Records that arrive a second.
    pub arrival_per_s: f64,
    /// Standard deviation of that.
    pub arrival_noise_per_s: f64,
    /// Growth of the arrivals, records a second each second.
    pub trend_per_s2: f64,
    /// Records a second of one busy pod.
    pub pod_rate_per_s: f64,
    /// From a decision to ready pods.
    pub pod_start_s: f64,
    /// Records not yet committed.
    pub backlog: i64,
    /// Age of the oldest of them.
    pub oldest_age_s: f64,
    /// The promise.
    pub target_age_s: f64,
    /// Time the backlog may take.
    pub drain_s: f64,
    /// Replicas that the arrivals ask for.
    pub steady_replicas: i32,
    /// Replicas that arrivals and backlog ask for.
    pub wanted_replicas: i32,
    /// Least replicas that hold through a rescale there and back.
    pub enough_replicas: i32,
    /// Partitions of the topic.
    pub partitions: i32,
    /// Of those, on the most loaded pod after this decision.
    pub partitions_per_pod: i32,
    /// Share of a pod's rate that they need.
    pub utilisation: f64,
    /// Times the arrivals that pods are kept ready for; left out when it is 1.
    #[serde(default = "once", skip_serializing_if = "is_once")]
    pub overprovisioning: f64,
}

fn once() -> f64 {
    1.0
}

#[allow(clippy::trivially_copy_pass_by_ref)] // serde's signature
fn is_once(times: &f64) -> bool {
    *times == 1.0
}

impl SloTerms {
    pub(super) fn new(term: SloTerm) -> Self {
        Self {
            term,
            arrival_per_s: 0.0,
            arrival_noise_per_s: 0.0,
            trend_per_s2: 0.0,
            pod_rate_per_s: 0.0,
            pod_start_s: 0.0,
            backlog: 0,
            oldest_age_s: 0.0,
            target_age_s: 0.0,
            drain_s: 0.0,
            steady_replicas: 0,
            wanted_replicas: 0,
            enough_replicas: 0,
            partitions: 0,
            partitions_per_pod: 0,
            utilisation: 0.0,
            overprovisioning: once(),
        }
    }

    /// Arrivals, pods and backlog in words.
    pub(crate) fn inputs(&self) -> String {
        if self.term == SloTerm::Stale {
            return "facts unreadable".into();
        }
        let growing = if self.trend_per_s2 > 0.0 {
            format!(", {:+.0}/s each second", self.trend_per_s2)
        } else {
            String::new()
        };
        format!(
            "{}/s arrive{growing}, a pod does {}/s, {} wait, the oldest {:.1} s of {} s",
            short(self.arrival_per_s),
            short(self.pod_rate_per_s),
            self.backlog,
            self.oldest_age_s,
            self.target_age_s,
        )
    }

    /// Why, in words.
    pub(super) fn reason(&self) -> String {
        let share = format!(
            "{} of {} partitions a pod, {:.0} % busy",
            self.partitions_per_pod,
            self.partitions,
            self.utilisation * 100.0
        );
        let arrivals = if is_once(&self.overprovisioning) {
            "the arrivals need".into()
        } else {
            format!("{} times the arrivals need", self.overprovisioning)
        };
        match self.term {
            SloTerm::Enough => share,
            SloTerm::Rate if self.wanted_replicas > self.steady_replicas => format!(
                "{arrivals} {}, what waits meanwhile {}: {share}",
                self.steady_replicas, self.wanted_replicas
            ),
            SloTerm::Rate => format!("{arrivals} {}: {share}", self.steady_replicas),
            SloTerm::Backlog => {
                format!("the backlog is to be gone {:.0} s after they are ready", self.drain_s)
            }
            SloTerm::Fewer => format!("fewer keep the promise: {share}"),
            SloTerm::Hold => format!("{} would do, held", self.enough_replicas),
            SloTerm::Cooldown => "nothing to do, cooling down".into(),
            SloTerm::Idle => "nothing to do".into(),
            SloTerm::Bounds => "bounds".into(),
            SloTerm::Sink => "the sink is the limit, more pods cannot help".into(),
            SloTerm::Stale => "holding the last good value".into(),
            SloTerm::Warmup => "too little seen yet, holding".into(),
        }
    }
}

/// Whole numbers, but small ones with a decimal.
fn short(value: f64) -> String {
    if value < 10.0 { format!("{value:.1}") } else { format!("{value:.0}") }
}
