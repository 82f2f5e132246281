//! What values a scenario may have.

use super::{Fault, Group, Nodes, Pod, Protocol, Range, Scenario, Topic};

const DAY_S: f64 = 86_400.0;
const MAX_S: f64 = 30.0 * DAY_S;

impl Scenario {
    /// The first field that is wrong, its value and what is allowed.
    pub(super) fn check(&self) -> Result<(), String> {
        within("duration_s", f64::from(self.duration_s), 1.0, MAX_S)?;
        self.load.check().map_err(|reason| format!("load.{reason}"))?;
        check_topic(&self.topic)?;
        check_pod(&self.pod)?;
        check_group(&self.group)?;
        check_nodes(&self.nodes)?;
        within("sink.rows_per_s", self.sink.rows_per_s, 0.0, 1e9)?;
        let control = &self.control;
        within("control.poll_offset_s", control.poll_offset_s, 0.0, DAY_S)?;
        within("control.sync_offset_s", control.sync_offset_s, 0.0, DAY_S)?;
        within("control.sync_period_s", control.sync_period_s, 1.0, 3600.0)?;
        within("control.reconcile_s", control.reconcile_s, 0.0, 3600.0)?;
        for (index, fault) in self.faults.iter().enumerate() {
            check_fault(fault).map_err(|reason| format!("faults[{index}].{reason}"))?;
        }
        Ok(())
    }
}

fn check_topic(topic: &Topic) -> Result<(), String> {
    within("topic.partitions", f64::from(topic.partitions), 1.0, 10_000.0)?;
    within("topic.backlog_records", f64::from(topic.backlog_records), 0.0, 1e9)?;
    within("topic.backlog_age_s", topic.backlog_age_s, 0.0, MAX_S)?;
    within("topic.retention_s", topic.retention_s, 0.0, MAX_S)?;
    let (given, partitions) = (topic.weights.len(), topic.partitions);
    if given != 0 && given != partitions as usize {
        return Err(format!(
            "topic.weights = {given} values: allowed is none or {partitions}, one a partition"
        ));
    }
    for (index, weight) in topic.weights.iter().enumerate() {
        within(&format!("topic.weights[{index}]"), *weight, 1e-6, 1e6)?;
    }
    Ok(())
}

fn check_pod(pod: &Pod) -> Result<(), String> {
    within("pod.replicas", f64::from(pod.replicas), 0.0, 1000.0)?;
    within("pod.batch_size", f64::from(pod.batch_size), 1.0, 1e6)?;
    within("pod.batch_timeout_s", pod.batch_timeout_s, 0.0, 60.0)?;
    within("pod.batch_s", pod.batch_s, 0.0, 3600.0)?;
    within("pod.record_s", pod.record_s, 0.0, 60.0)?;
    // The least time keeps a batch an event that lies after the one before.
    within("pod.batch_s + pod.record_s", pod.batch_s + pod.record_s, 1e-3, 3660.0)?;
    within("pod.batch_latency_s", pod.batch_latency_s, 0.0, 3600.0)?;
    within("pod.jitter", pod.jitter, 0.0, 0.9)?;
    range("pod.start_s", pod.start_s, 3600.0)?;
    within("pod.ready_s", pod.ready_s, 0.0, 3600.0)?;
    range("pod.ramp_up_s", pod.ramp_up_s, 3600.0)?;
    within("pod.ramp_up_from", pod.ramp_up_from, 0.01, 1.0)?;
    range("pod.grace_s", pod.grace_s, 3600.0)
}

fn check_group(group: &Group) -> Result<(), String> {
    let times = group.times();
    within("group.detect_s", times.detect_s, 0.0, 3600.0)?;
    range("group.settle_s", times.settle_s, 3600.0)?;
    within("group.session_timeout_s", times.session_timeout_s, 0.0, 3600.0)?;
    within("group.commit_interval_s", group.commit_interval_s, 0.0, 60.0)?;
    let Some(blind) = &group.blind else { return Ok(()) };
    if group.protocol != Protocol::CooperativeBlind {
        return Err("group.blind: allowed only with protocol = \"cooperative-blind\"".into());
    }
    within("group.blind.late_probability", blind.late_probability, 0.0, 0.5)?;
    within("group.blind.short_batch_probability", blind.short_batch_probability, 0.0, 1.0)?;
    within("group.blind.round_s", blind.round_s, 0.0, 60.0)
}

fn check_nodes(nodes: &Nodes) -> Result<(), String> {
    within("nodes.capacity_pods", f64::from(nodes.capacity_pods), 0.0, 1000.0)?;
    within("nodes.min", f64::from(nodes.min), 1.0, 1000.0)?;
    range("nodes.provision_s", nodes.provision_s, DAY_S)?;
    within("nodes.remove_after_s", nodes.remove_after_s, 0.0, DAY_S)?;
    within("nodes.consolidate_after_s", nodes.consolidate_after_s, 0.0, DAY_S)?;
    within("nodes.other", f64::from(nodes.other), 0.0, 1000.0)
}

fn check_fault(fault: &Fault) -> Result<(), String> {
    let (at_s, duration_s) = match *fault {
        Fault::PodCrash { at_s, pods } => {
            within("pods", f64::from(pods), 1.0, 1000.0)?;
            (at_s, 0.0)
        }
        Fault::MissingMetric { at_s, duration_s }
        | Fault::StaleMetric { at_s, duration_s }
        | Fault::BrokerPause { at_s, duration_s } => (at_s, duration_s),
        Fault::SlowSink { at_s, duration_s, factor } => {
            within("factor", factor, 1.0, 1000.0)?;
            (at_s, duration_s)
        }
    };
    within("at_s", at_s, 0.0, MAX_S)?;
    within("duration_s", duration_s, 0.0, MAX_S)
}

fn range(field: &str, value: Range, high: f64) -> Result<(), String> {
    within(&format!("{field}.min"), value.min, 0.0, high)?;
    within(&format!("{field}.max"), value.max, value.min, high)
}

fn within(field: &str, value: f64, low: f64, high: f64) -> Result<(), String> {
    if value >= low && value <= high {
        return Ok(());
    }
    Err(format!("{field} = {value}: allowed is {low} to {high}"))
}
