//! The workload that an object scales: it is there, and both mean the same group and topic.

use super::Scaling;
use crate::facts::{Facts, environment};
use crate::finding::Findings;
use crate::source::Document;
use crate::{Known, Severity};

const TARGET: (&str, Severity) = ("TG003", Severity::Warning);
const DIFFERS: (&str, Severity) = ("TG005", Severity::Error);

/// TG003 and TG005: the workload an object scales.
pub(super) fn check<'a>(
    object: &Document,
    workloads: &[&'a Document],
    out: &mut Findings,
) -> Option<&'a Document> {
    let found = workloads.iter().copied().find(|workload| scales(object, workload));
    let Some(workload) = found else {
        if !workloads.is_empty() {
            let name = object.text("spec.scaleTargetRef.name").unwrap_or("(nothing)");
            let have: Vec<&str> = workloads.iter().map(|workload| workload.name()).collect();
            out.add(
                TARGET,
                object,
                "spec.scaleTargetRef.name",
                format!(
                    "it scales {name}, which is not among the files; they hold {}",
                    have.join(", ")
                ),
                "name the Deployment, in the same namespace",
            );
        }
        return None;
    };
    for (key, variable) in [("consumerGroup", "CONSUMER_GROUP"), ("topic", "KAFKA_TOPIC")] {
        let scaling =
            Scaling { object, workload: None, facts: Facts::new(Known::default(), None, None) };
        let (Some(counted), Some((path, read))) =
            (scaling.metadata(key), environment(workload, variable))
        else {
            continue;
        };
        if counted != read && !read.contains("${") && !counted.contains("${") {
            out.add(
                DIFFERS,
                workload,
                &path,
                format!(
                    "the pods use {variable} = {read}, the trigger counts the lag of {key} = {counted}: it scales by someone else's lag"
                ),
                format!("the same name in both: {counted}"),
            );
        }
    }
    Some(workload)
}

/// Whether an object's target is this workload.
pub(super) fn scales(object: &Document, workload: &Document) -> bool {
    object.text("spec.scaleTargetRef.name") == workload.text("metadata.name")
        && namespace(object) == namespace(workload)
}

fn namespace(document: &Document) -> &str {
    document.text("metadata.namespace").unwrap_or("default")
}
