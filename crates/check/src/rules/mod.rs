//! The rules: an id never changes its meaning, and none is used twice.
//!
//! # Layout
//! - `registry`: id, name, severity, page
//! - `schema`: fields that exist, values that are accepted (TG001, TG002)
//! - `target`: the workload that is scaled (TG003, TG005)
//! - `trigger`: what it is scaled by (TG007)
//! - `capacity`: pods, partitions, load (TG010 to TG013)
//! - `waiting`: threshold, tolerance, trigger (TG020 to TG027)
//! - `policies`: how fast it may change (TG030 to TG035)
//! - `zero`: to zero and back (TG040 to TG046)
//! - `fallback`: when the lag cannot be read (TG050 to TG052)
//! - `external`: a trigger for `tidegate scaler` (TG001, TG002, TG006, TG036)
//! - `pod`: the workload (TG060 to TG069)
//! - `disruption`: PodDisruptionBudget and Service (TG070 to TG073)

mod capacity;
mod disruption;
mod external;
mod fallback;
mod numbers;
mod pod;
mod policies;
mod registry;
mod schema;
mod target;
mod trigger;
mod waiting;
mod zero;

pub use registry::{RULES, Rule, rule};

use crate::Known;
use crate::facts::Facts;
use crate::finding::Findings;
use crate::source::{Document, Kind};

/// A ScaledObject with what it is checked against.
struct Scaling<'a> {
    object: &'a Document,
    workload: Option<&'a Document>,
    facts: Facts<'a>,
}

impl Scaling<'_> {
    fn min(&self) -> i64 {
        self.object.int("spec.minReplicaCount").unwrap_or(0)
    }

    fn max(&self) -> i64 {
        self.object.int("spec.maxReplicaCount").unwrap_or(100)
    }

    fn polling_s(&self) -> i64 {
        self.object.int("spec.pollingInterval").unwrap_or(30)
    }

    fn cooldown_s(&self) -> i64 {
        self.object.int("spec.cooldownPeriod").unwrap_or(300)
    }

    /// Index of its Kafka trigger.
    fn kafka(&self) -> Option<usize> {
        let triggers = self.object.node("spec.triggers")?.items();
        triggers.iter().position(trigger::is_kafka)
    }

    /// Path of a key of the Kafka trigger.
    fn trigger_path(&self, key: &str) -> String {
        format!("spec.triggers.{}.{key}", self.kafka().unwrap_or(0))
    }

    /// A value of the Kafka trigger's metadata.
    fn metadata(&self, key: &str) -> Option<&str> {
        self.kafka()?;
        self.object.text(&self.trigger_path(&format!("metadata.{key}")))
    }

    fn flag(&self, key: &str) -> bool {
        self.metadata(key) == Some("true")
    }

    fn lag_threshold(&self) -> Option<i64> {
        self.kafka()?;
        match self.metadata("lagThreshold") {
            None => Some(10),
            Some(text) => text.parse().ok().filter(|threshold| *threshold > 0),
        }
    }

    /// The tolerance upwards; 0.1 is the controller's own.
    fn tolerance_up(&self) -> f64 {
        self.object.number(&format!("{BEHAVIOR}.scaleUp.tolerance")).unwrap_or(0.1)
    }
}

const BEHAVIOR: &str = "spec.advanced.horizontalPodAutoscalerConfig.behavior";

/// Runs all rules over all documents.
pub(crate) fn run(documents: &[Document], known: Known, out: &mut Findings) {
    let of_kind = |kind: Kind| documents.iter().filter(move |document| document.kind == kind);
    let workloads: Vec<&Document> = of_kind(Kind::Workload).collect();
    let mut scenarios: Vec<Option<&Document>> =
        documents.iter().filter(|document| document.as_scenario().is_some()).map(Some).collect();
    if scenarios.is_empty() {
        scenarios.push(None);
    }
    for document in documents {
        schema::fields(document, out);
    }
    for object in of_kind(Kind::ScaledObject) {
        schema::values(object, out);
        trigger::check(object, out);
        let workload = target::check(object, &workloads, out);
        for scenario in &scenarios {
            let simulated = scenario.and_then(Document::as_scenario);
            let facts = Facts::new(known, simulated, workload);
            let scaling = Scaling { object, workload, facts };
            capacity::check(&scaling, out);
            waiting::check(&scaling, out);
            policies::check(&scaling, out);
            zero::check(&scaling, out);
            fallback::check(&scaling, out);
            external::check(&scaling, out);
        }
    }
    for workload in &workloads {
        let scaled = of_kind(Kind::ScaledObject).any(|object| target::scales(object, workload));
        for scenario in &scenarios {
            let simulated = scenario.and_then(Document::as_scenario);
            let facts = Facts::new(known, simulated, Some(workload));
            pod::check(workload, scaled, &facts, out);
        }
    }
    for scenario in scenarios.iter().flatten() {
        pod::check_scenario(scenario, out);
    }
    for budget in of_kind(Kind::DisruptionBudget) {
        disruption::budget(budget, &workloads, out);
    }
    for service in of_kind(Kind::Service) {
        disruption::service(service, &workloads, out);
    }
}
