//! Has KEDA look again at an HPA that it made without our metric.
//!
//! KEDA asks for the specification of the metric when it makes the HPA. If no scaler
//! answers just then, as when both are installed together, the HPA has no metric, which
//! Kubernetes reads as 80 % of cpu; with a `fallback` KEDA (2.18.3) never looks again. It
//! does when an annotation of the HPA changes: it asks anew, writes the metric and takes
//! the annotation away.
//!
//! Contract: only HPAs of objects that this scaler was asked for, at most one change of
//! an HPA in [`AGAIN`]. Needs the right to `patch` them; without it a warning says what is
//! to be done by hand.
//!
//! Rejected: a hook of Helm that waits for the scaler (it makes the ScaledObject anew
//! with each upgrade, and leaves it behind at the end); `scalingModifiers` (KEDA then makes
//! a metric of its own, and still knows of none to compute it from); answering the
//! first calls with errors (with a `fallback` KEDA only logs them).

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde_json::json;

use crate::kubernetes::{Client, Hpas};
use crate::metrics::Counters;
use crate::object::{Object, ObjectKey};
use crate::observe::Shared;
use crate::registry::Registry;

/// KEDA is given this long to write the metric.
const AGAIN: Duration = Duration::from_secs(30);
/// Its value is the time, seconds since 1970.
const ANNOTATION: &str = "tidegate.without-metric";

/// Looks after each list of the HPAs.
#[derive(Debug)]
pub(crate) struct Mender {
    registry: Arc<Registry>,
    hpas: Arc<Hpas>,
    counters: Counters,
    asked: HashMap<ObjectKey, Instant>,
}

impl Mender {
    /// For the objects of a scaler.
    pub(crate) fn new(shared: &Shared, counters: Counters) -> Self {
        Self {
            registry: Arc::clone(&shared.registry),
            hpas: Arc::clone(&shared.hpas),
            counters,
            asked: HashMap::new(),
        }
    }

    /// Runs for ever.
    pub(crate) async fn run(mut self, client: Client) {
        let mut listed = self.hpas.listed();
        while listed.changed().await.is_ok() {
            self.asked.retain(|_, at| at.elapsed() < AGAIN);
            for object in self.registry.all() {
                let Some(hpa) = self.hpas.without_metric(object.key()) else { continue };
                if !self.asked.contains_key(object.key()) {
                    self.asked.insert(object.key().clone(), Instant::now());
                    self.ask(&client, &object, &hpa).await;
                }
            }
        }
    }

    async fn ask(&self, client: &Client, object: &Object, hpa: &str) {
        let namespace = &object.key().namespace;
        let path =
            format!("/apis/autoscaling/v2/namespaces/{namespace}/horizontalpodautoscalers/{hpa}");
        let now_s = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let part = json!({"metadata": {"annotations": {ANNOTATION: now_s.to_string()}}});
        let asked = client.merge(&path, &part).await;
        self.counters.mended(asked.is_ok());
        let object = object.label();
        match asked {
            Ok(()) => {
                tracing::warn!(
                    object,
                    hpa,
                    "KEDA made the HPA while no scaler answered, without a metric; asked KEDA to look again"
                );
            }
            Err(error) => {
                tracing::error!(
                    object, hpa, %error,
                    "the HPA has no metric and will not scale; run: kubectl --namespace {namespace} delete hpa {hpa}"
                );
            }
        }
    }
}
