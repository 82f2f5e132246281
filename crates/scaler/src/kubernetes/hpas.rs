//! The HPAs that KEDA made: what they want and see, and whether they ask for our metric.
//! One list request now and then.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use super::Client;
use crate::clock::Clock;
use crate::object::ObjectKey;
use crate::outage::{Outage, Said};
use crate::service::is_ours;

const EVERY: Duration = Duration::from_secs(5);

/// An HPA's counts and metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HpaFacts {
    /// `desiredReplicas` of its status: what the last sync wrote. Where no sync has come to
    /// a number yet, because none had a metric, it is what there is.
    pub desired: i32,
    /// `currentReplicas` of its status: what that sync saw.
    pub current: i32,
    /// Whether a metric of ours is in its spec; without one it never asks.
    pub has_metric: bool,
}

/// An HPA as it was listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Listed {
    name: String,
    facts: HpaFacts,
    /// Whether a sync has written its status. Before that it has no conditions, and its
    /// counts are 0, whatever runs.
    is_synced: bool,
}

pub(crate) type ByObject = HashMap<(String, String), Listed>;

/// HPAs by namespace and name of the ScaledObject.
#[derive(Debug, Default)]
pub struct Hpas {
    seen: watch::Sender<ByObject>,
}

impl Hpas {
    /// Facts of an object's HPA, where they are known: not before its first sync.
    pub fn of(&self, key: &ObjectKey) -> Option<HpaFacts> {
        self.found(key, |hpa| hpa.is_synced.then_some(hpa.facts)).flatten()
    }

    /// Its name, when it has no metric of ours.
    pub fn without_metric(&self, key: &ObjectKey) -> Option<String> {
        self.found(key, |hpa| (!hpa.facts.has_metric).then(|| hpa.name.clone())).flatten()
    }

    fn found<T>(&self, key: &ObjectKey, what: impl Fn(&Listed) -> T) -> Option<T> {
        let seen = self.seen.borrow();
        if seen.is_empty() {
            return None;
        }
        seen.get(&(key.namespace.clone(), key.name.clone())).map(what)
    }

    /// Changes with each list.
    pub(crate) fn listed(&self) -> watch::Receiver<ByObject> {
        self.seen.subscribe()
    }

    /// Keeps them fresh for ever. While they cannot be read there are none.
    pub async fn follow(self: Arc<Self>, client: Client) {
        let path = match &client.options().namespace {
            Some(namespace) => {
                format!("/apis/autoscaling/v2/namespaces/{namespace}/horizontalpodautoscalers")
            }
            None => "/apis/autoscaling/v2/horizontalpodautoscalers".to_owned(),
        };
        let clock = Clock::start();
        let mut outage = Outage::default();
        loop {
            let read = client.get(&path).await;
            let error = read.as_ref().err().map(ToString::to_string);
            match outage.look(clock.now_ms(), error.as_deref()) {
                Some(Said::Began) => {
                    tracing::warn!(
                        error,
                        "HPAs cannot be read; members of the groups count instead"
                    );
                }
                Some(Said::GoesOn { for_s }) => {
                    tracing::warn!(error, for_s, "HPAs still cannot be read");
                }
                Some(Said::Over { for_s }) => tracing::info!(for_s, "HPAs are read again"),
                None => {}
            }
            self.seen.send_replace(read.map(|list| by_object(&list)).unwrap_or_default());
            tokio::time::sleep(EVERY).await;
        }
    }
}

/// The object is what owns the HPA. Its labels do not say it: KEDA puts the object's own over
/// those that it gives, `app.kubernetes.io/managed-by` among them.
fn by_object(list: &serde_json::Value) -> ByObject {
    let items = list["items"].as_array().map(Vec::as_slice).unwrap_or_default();
    items
        .iter()
        .filter_map(|hpa| {
            let namespace = hpa["metadata"]["namespace"].as_str()?;
            let name = hpa["metadata"]["name"].as_str()?;
            let owners = hpa["metadata"]["ownerReferences"].as_array()?;
            let owner = owners.iter().find(|owner| owner["kind"] == "ScaledObject")?;
            let object = owner["name"].as_str()?;
            let number = |field: &str| {
                let value = hpa["status"][field].as_i64().unwrap_or(0);
                i32::try_from(value).ok()
            };
            let metrics = hpa["spec"]["metrics"].as_array().map(Vec::as_slice).unwrap_or_default();
            let conditions = hpa["status"]["conditions"].as_array().map_or(0, Vec::len);
            let (desired, current) = (number("desiredReplicas")?, number("currentReplicas")?);
            let is_synced = conditions > 0 || desired > 0 || current > 0;
            let facts = HpaFacts {
                desired: if desired == 0 { current } else { desired },
                current,
                has_metric: metrics.iter().any(|metric| {
                    metric["external"]["metric"]["name"].as_str().is_some_and(is_ours)
                }),
            };
            let listed = Listed { name: name.to_owned(), facts, is_synced };
            Some(((namespace.to_owned(), object.to_owned()), listed))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hpas_are_found_by_their_owner_and_say_whether_they_ask() {
        let cpu = serde_json::json!({"type": "Resource", "resource": {"name": "cpu"}});
        let external = |name: &str| serde_json::json!({"type": "External", "external": {"metric": {"name": name}}});
        let metadata = |name: &str, kind: &str, object: &str| {
            serde_json::json!({"namespace": "a", "name": name,
                "labels": {"app.kubernetes.io/managed-by": "Helm"},
                "ownerReferences": [{"kind": kind, "name": object}]})
        };
        let list = serde_json::json!({"items": [
            {"metadata": metadata("own-name", "ScaledObject", "so"),
             "spec": {"metrics": [cpu, external("s1-tidegate-pods")]},
             "status": {"desiredReplicas": 7, "currentReplicas": 5}},
            {"metadata": metadata("keda-hpa-other", "ScaledObject", "other"),
             "spec": {"metrics": [cpu]}, "status": {"desiredReplicas": 1}},
            {"metadata": metadata("keda-hpa-kafka", "ScaledObject", "kafka"),
             "spec": {"metrics": [external("s0-kafka-trades")]}, "status": {}},
            {"metadata": metadata("keda-hpa-of-others", "Operator", "of-others"), "status": {}},
            {"metadata": {"namespace": "a", "name": "made-by-hand"}, "status": {}},
        ]});
        let hpas = by_object(&list);
        let of = |object: &str| {
            hpas.get(&("a".to_owned(), object.to_owned())).cloned().map(|hpa| (hpa.name, hpa.facts))
        };
        let facts = |desired, current, has_metric| HpaFacts { desired, current, has_metric };
        assert_eq!(of("so"), Some(("own-name".into(), facts(7, 5, true))));
        assert_eq!(of("other"), Some(("keda-hpa-other".into(), facts(1, 0, false))));
        assert_eq!(of("kafka"), Some(("keda-hpa-kafka".into(), facts(0, 0, false))));
        assert_eq!(hpas.len(), 3);
    }

    #[test]
    fn an_hpa_that_never_came_to_a_number_does_not_want_zero() {
        let hpas = Hpas::default();
        let list = |status: &serde_json::Value| {
            let metadata = serde_json::json!({"namespace": "a", "name": "keda-hpa-so",
                "ownerReferences": [{"kind": "ScaledObject", "name": "so"}]});
            let item = serde_json::json!({"metadata": metadata, "status": status});
            hpas.seen.send_replace(by_object(&serde_json::json!({"items": [item]})));
            let key = ObjectKey { namespace: "a".into(), name: "so".into(), metadata: Vec::new() };
            assert_eq!(hpas.without_metric(&key).as_deref(), Some("keda-hpa-so"));
            hpas.of(&key).map(|hpa| (hpa.desired, hpa.current))
        };
        let fresh = serde_json::json!({"currentMetrics": null, "desiredReplicas": 0});
        assert_eq!(list(&fresh), None, "no sync was made yet");
        let conditions = serde_json::json!([{"type": "ScalingActive", "status": "False"}]);
        let without_metric = serde_json::json!({
            "currentReplicas": 12, "desiredReplicas": 0, "conditions": conditions});
        assert_eq!(list(&without_metric), Some((12, 12)));
        let at_zero = serde_json::json!({"desiredReplicas": 0, "conditions": conditions});
        assert_eq!(list(&at_zero), Some((0, 0)));
    }
}
