//! What the HPAs that KEDA made want and see: one list request now and then.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Duration;

use super::Client;
use crate::object::{ObjectKey, lock};

const EVERY: Duration = Duration::from_secs(5);
/// KEDA labels the HPAs it makes.
const MADE_BY_KEDA: &str = "labelSelector=app.kubernetes.io%2Fmanaged-by%3Dkeda-operator";

/// Replica counts of an HPA's status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HpaCounts {
    /// `desiredReplicas`: what the last sync wrote.
    pub desired: i32,
    /// `currentReplicas`: what it saw.
    pub current: i32,
}

/// Counts by namespace and name of the ScaledObject.
#[derive(Debug, Default)]
pub struct Hpas {
    counts: Mutex<HashMap<(String, String), HpaCounts>>,
}

impl Hpas {
    /// Counts of an object's HPA, where they are known.
    pub fn of(&self, key: &ObjectKey) -> Option<HpaCounts> {
        let counts = lock(&self.counts);
        if counts.is_empty() {
            return None;
        }
        counts.get(&(key.namespace.clone(), key.name.clone())).copied()
    }

    /// Keeps the counts fresh for ever. While they cannot be read there are none.
    pub async fn follow(self: std::sync::Arc<Self>, client: Client) {
        let path = match &client.options().namespace {
            Some(namespace) => {
                format!(
                    "/apis/autoscaling/v2/namespaces/{namespace}/horizontalpodautoscalers?{MADE_BY_KEDA}"
                )
            }
            None => format!("/apis/autoscaling/v2/horizontalpodautoscalers?{MADE_BY_KEDA}"),
        };
        let mut failing = false;
        loop {
            let read = client.get(&path).await;
            match &read {
                Ok(_) => failing = false,
                Err(error) if !failing => {
                    tracing::warn!(%error, "HPAs cannot be read; members of the groups count instead");
                    failing = true;
                }
                Err(_) => {}
            }
            *lock(&self.counts) = read.map(|list| counts(&list)).unwrap_or_default();
            tokio::time::sleep(EVERY).await;
        }
    }
}

/// KEDA names the HPA after the object, unless it was told otherwise; the label says it.
fn counts(list: &serde_json::Value) -> HashMap<(String, String), HpaCounts> {
    let items = list["items"].as_array().map(Vec::as_slice).unwrap_or_default();
    items
        .iter()
        .filter_map(|hpa| {
            let namespace = hpa["metadata"]["namespace"].as_str()?;
            let label = hpa["metadata"]["labels"]["scaledobject.keda.sh/name"].as_str();
            let name = hpa["metadata"]["name"].as_str();
            let name = label.or_else(|| name?.strip_prefix("keda-hpa-"))?;
            let number = |field: &str| {
                let value = hpa["status"][field].as_i64().unwrap_or(0);
                i32::try_from(value).ok()
            };
            let counts = HpaCounts {
                desired: number("desiredReplicas")?,
                current: number("currentReplicas")?,
            };
            Some(((namespace.to_owned(), name.to_owned()), counts))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_found_by_label_or_by_name() {
        let list = serde_json::json!({"items": [
            {"metadata": {"namespace": "a", "name": "own-name", "labels": {"scaledobject.keda.sh/name": "so"}},
             "status": {"desiredReplicas": 7, "currentReplicas": 5}},
            {"metadata": {"namespace": "a", "name": "keda-hpa-other"}, "status": {"desiredReplicas": 1}},
            {"metadata": {"namespace": "a", "name": "not-ours"}, "status": {}},
        ]});
        let counts = counts(&list);
        let of = |name: &str| counts.get(&("a".to_owned(), name.to_owned())).copied();
        assert_eq!(of("so"), Some(HpaCounts { desired: 7, current: 5 }));
        assert_eq!(of("other"), Some(HpaCounts { desired: 1, current: 0 }));
        assert_eq!(counts.len(), 2);
    }
}
