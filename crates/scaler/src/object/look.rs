//! A look: new facts go to the law, and what comes of it is answered from then on.
//!
//! Contract: the observer's thread alone looks. A look that fails is the object's own
//! trouble and nobody else's.

use std::collections::HashMap;
use std::time::Instant;

use tidegate_autoscale::law::Decision;
use tidegate_kafka::{ClusterError, GroupMember, PartitionOffsets};

use super::{Mind, Object, Status, Trouble, lock, whole};
use crate::decide::Seen;
use crate::kubernetes::HpaFacts;
use crate::metadata::LawSettings;

/// Members must have been as many for this long after a start, at most.
const SETTLE_MOST_S: f64 = 30.0;
const SETTLE_LEAST_S: f64 = 5.0;

impl Object {
    /// The law looks at new facts.
    pub fn observe(
        &self,
        now_ms: i64,
        offsets: Result<Vec<PartitionOffsets>, ClusterError>,
        members: Option<Vec<GroupMember>>,
        hpa: Option<HpaFacts>,
        acts: bool,
    ) {
        let mut mind = self.mind();
        let count =
            members.as_ref().map(|members| i32::try_from(members.len()).unwrap_or(i32::MAX));
        if let Some(members) = members {
            mind.see(members);
        }
        let error = offsets.as_ref().err().cloned();
        if error.is_none() {
            mind.good_ms = Some(now_ms);
        }
        if acts {
            mind.present.follow(now_ms, hpa);
        }
        let present = hpa.map(|hpa| hpa.desired).or(count);
        // Without acting (shadow) the world decides what there is.
        let spec = match mind.present.spec.filter(|_| acts) {
            Some(spec) => Some(spec),
            None => present,
        };
        let settle_s = self.settle_s();
        let left_s = mind.present.settling_s(now_ms, count, hpa, settle_s);
        let before = self.status();
        let mut after = Status { at_ms: now_ms, members: count, hpa, ..before.clone() };
        after.error = error.as_ref().map(ToString::to_string);
        after.facts_ms = mind.good_ms.unwrap_or(before.facts_ms);
        if mind.good_ms.is_none() {
            let for_s = seconds(now_ms - self.created_ms);
            after.trouble = error.map(|error| Trouble::Kafka { error, for_s, held: None });
        } else {
            let seen = Seen {
                now_ms,
                spec: spec.unwrap_or(before.wanted),
                ready: count.or(spec).unwrap_or(before.wanted),
                offsets: offsets.map_err(|error| error.to_string()),
                sink: self.sink(now_ms),
            };
            let decided = mind.decider.decide(&seen);
            after.lag = decided.lag.unwrap_or(before.lag);
            after.is_fallback = decided.is_fallback;
            after.stock_wanted = decided.stock_wanted;
            after.wanted = if left_s.is_some() { seen.spec } else { decided.wanted };
            after.active = decided.active || after.wanted > 0 && error.is_some();
            after.trouble = self.trouble(now_ms, &mind, error, after.wanted, left_s);
            if left_s.is_none() {
                mind.present.spec = Some(after.wanted);
                if let Some(decision) = decided.decision {
                    // What a shadow tells of its numbers is its own affair.
                    if acts && decision.changes() {
                        self.log(&decision);
                    }
                    lock(&self.history).keep(decision);
                }
            }
        }
        drop(mind);
        self.status.send_replace(after);
    }

    fn log(&self, decision: &Decision) {
        tracing::info!(
            object = self.label(),
            from = decision.from,
            to = decision.to,
            why = decision.explanation(),
            decision = whole(decision),
            "decided"
        );
    }

    fn trouble(
        &self,
        now_ms: i64,
        mind: &Mind,
        error: Option<ClusterError>,
        held: i32,
        left_s: Option<f64>,
    ) -> Option<Trouble> {
        if let Some(error) = error {
            let for_s = seconds(now_ms - mind.good_ms.unwrap_or(now_ms));
            let over = for_s > self.settings.stale_after_s;
            return (over && self.settings.fallback_replicas.is_none()).then_some(Trouble::Kafka {
                error,
                for_s,
                held: Some(held),
            });
        }
        left_s.map(|left_s| Trouble::Settling { left_s })
    }

    fn settle_s(&self) -> f64 {
        match &self.settings.law {
            LawSettings::Slo(options) => options.pod_start_s.clamp(SETTLE_LEAST_S, SETTLE_MOST_S),
            // The lag is the metric, whatever there is.
            LawSettings::Stock { .. } => 0.0,
        }
    }
}

impl Mind {
    /// Members are known by their ids: those that are there still were seen before.
    fn see(&mut self, members: Vec<GroupMember>) {
        let now = Instant::now();
        let first: HashMap<String, Instant> =
            self.members.drain(..).map(|(member, since)| (member.member_id, since)).collect();
        let since = |member: &GroupMember| first.get(&member.member_id).copied().unwrap_or(now);
        self.members = members
            .into_iter()
            .map(|member| {
                let since = since(&member);
                (member, since)
            })
            .collect();
    }
}

fn seconds(ms: i64) -> f64 {
    ms as f64 / 1000.0
}
