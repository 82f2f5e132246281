//! What is known about the world a manifest runs in, and from where.

use tidegate_sim::Scenario;

use crate::source::Document;

/// What the caller knows; it goes before what scenario and Deployment say.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Known {
    /// Partitions of the topic.
    pub partitions: Option<u32>,
    /// Records a second one pod does with full batches.
    pub pod_rate_per_s: Option<f64>,
    /// The promise: no record should wait longer, seconds.
    pub target_age_s: Option<f64>,
}

/// A pod nobody wants to wait for longer than this without a promise that says so.
const DEFAULT_TARGET_AGE_S: f64 = 10.0;

/// Facts for one ScaledObject, one workload and one scenario.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Facts<'a> {
    known: Known,
    pub(crate) scenario: Option<&'a Scenario>,
    workload: Option<&'a Document>,
}

impl<'a> Facts<'a> {
    pub(crate) fn new(
        known: Known,
        scenario: Option<&'a Scenario>,
        workload: Option<&'a Document>,
    ) -> Self {
        Self { known, scenario, workload }
    }

    pub(crate) fn partitions(&self) -> Option<i64> {
        let scenario = self.scenario.map(|scenario| scenario.topic.partitions);
        self.known.partitions.or(scenario).map(i64::from)
    }

    /// Records a second of one pod with full batches.
    pub(crate) fn pod_rate_per_s(&self) -> Option<f64> {
        let scenario = self.scenario.map(|scenario| scenario.pod.capacity_per_s());
        let environment = || {
            let size = self.env_number("BATCH_SIZE")?;
            Some(size / self.env_batch_s()?)
        };
        self.known.pod_rate_per_s.or(scenario).or_else(environment).filter(|rate| *rate > 0.0)
    }

    /// Seconds a full batch takes.
    pub(crate) fn batch_s(&self) -> Option<f64> {
        let scenario = self.scenario.map(|scenario| {
            let pod = &scenario.pod;
            pod.batch_s + pod.record_s * f64::from(pod.batch_size)
        });
        scenario.or_else(|| self.env_batch_s())
    }

    fn env_batch_s(&self) -> Option<f64> {
        let fixed = self.env_number("BATCH_PROCESSING_TIME");
        let record = self.env_number("MESSAGE_PROCESSING_TIME");
        let size = self.env_number("BATCH_SIZE");
        let seconds = fixed.unwrap_or(0.0) + record.unwrap_or(0.0) * size.unwrap_or(0.0);
        (seconds > 0.0).then_some(seconds)
    }

    fn env_number(&self, name: &str) -> Option<f64> {
        environment(self.workload?, name)?.1.parse().ok()
    }

    /// The promise, or what is taken for one.
    pub(crate) fn target_age_s(&self) -> f64 {
        self.known.target_age_s.unwrap_or(DEFAULT_TARGET_AGE_S)
    }

    /// From the order to a pod that consumes, seconds, at most; without nodes.
    pub(crate) fn pod_start_s(&self) -> Option<f64> {
        self.scenario.map(|scenario| scenario.pod.start_s.max)
    }

    /// What one change of the pods costs: start, and the rest of what moves, seconds.
    pub(crate) fn rescale_s(&self) -> Option<f64> {
        let scenario = self.scenario?;
        Some(scenario.pod.start_s.max + scenario.group.times().settle_s.max)
    }
}

/// A variable of a workload's containers: its path and its literal value.
pub(crate) fn environment<'a>(workload: &'a Document, name: &str) -> Option<(String, &'a str)> {
    let containers = workload.node(CONTAINERS)?.items();
    for (c, container) in containers.iter().enumerate() {
        let Some(variables) = container.node("env") else { continue };
        for (v, variable) in variables.items().iter().enumerate() {
            if variable.node("name").and_then(|node| node.text()) == Some(name) {
                let value = variable.node("value")?.text()?;
                return Some((format!("{CONTAINERS}.{c}.env.{v}.value"), value));
            }
        }
    }
    None
}

/// Path of a workload's containers.
pub(crate) const CONTAINERS: &str = "spec.template.spec.containers";
/// Path of a workload's pod template.
pub(crate) const POD: &str = "spec.template.spec";
