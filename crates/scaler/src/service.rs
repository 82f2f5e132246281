//! The four calls of KEDA.
//!
//! Contract: no call waits for Kafka, but the first one for a new object waits a moment
//! for its first read. `GetMetricSpec` only reads metadata: an HPA sync makes it each
//! time. An error is a gRPC status with one sentence that says what to do; KEDA shows it
//! in the operator's log and in the ScaledObject's events.
//!
//! | status | when |
//! |---|---|
//! | `INVALID_ARGUMENT` | metadata: the key, its value, what is allowed |
//! | `NOT_FOUND` | the topic does not exist |
//! | `PERMISSION_DENIED` | an ACL is missing, or Kafka refuses certificate, password or token |
//! | `INTERNAL` | the object's law failed, a defect of the scaler's own |
//! | `UNAVAILABLE` | Kafka does not answer, or members are still being counted |
//! | `RESOURCE_EXHAUSTED` | too many objects |

use std::collections::BTreeSet;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tidegate_kafka::{ClusterError, ConnectionOptions};
use tokio::sync::{mpsc, watch};
use tokio_stream::Stream;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status as GrpcStatus};

use crate::clock::Clock;
use crate::encoding::TARGET;
use crate::metadata::{BadMetadata, LawSettings, Settings};
use crate::metrics::Counters;
use crate::object::{Object, ObjectKey, Status, Trouble};
use crate::observe::Bell;
use crate::proto::external_scaler_server::ExternalScaler;
use crate::proto::{
    GetMetricSpecResponse, GetMetricsRequest, GetMetricsResponse, IsActiveResponse, MetricSpec,
    MetricValue, ScaledObjectRef,
};
use crate::registry::Registry;

/// The metric of the slo law: pods wanted.
pub const PODS_METRIC: &str = "tidegate-pods";
/// The metric of the stock law: records that wait.
pub const LAG_METRIC: &str = "tidegate-lag";
/// A new object's first read is waited for this long; KEDA's own limit is 3 s.
const FIRST_READ: Duration = Duration::from_millis(2500);

/// The service.
#[derive(Debug, Clone)]
pub struct Service {
    /// Objects.
    pub registry: Arc<Registry>,
    /// Wakes the observers.
    pub bell: Arc<Bell>,
    /// Clusters that may be named.
    pub clusters: Arc<Vec<ConnectionOptions>>,
    /// Counters.
    pub counters: Counters,
    /// Time.
    pub clock: Clock,
    /// Ends streams.
    pub shutdown: watch::Receiver<bool>,
}

type Answer<T> = Result<Response<T>, GrpcStatus>;

#[tonic::async_trait]
impl ExternalScaler for Service {
    async fn is_active(&self, request: Request<ScaledObjectRef>) -> Answer<IsActiveResponse> {
        let answer = async {
            let object = self.object(&request.into_inner())?;
            let status = self.first_read(&object).await;
            match &status.trouble {
                // Pods that are being counted are there.
                None | Some(Trouble::Settling { .. }) => {
                    Ok(IsActiveResponse { result: status.active })
                }
                Some(trouble) => Err(refused(&object, trouble)),
            }
        };
        self.counted("IsActive", answer.await)
    }

    type StreamIsActiveStream =
        Pin<Box<dyn Stream<Item = Result<IsActiveResponse, GrpcStatus>> + Send>>;

    async fn stream_is_active(
        &self,
        request: Request<ScaledObjectRef>,
    ) -> Answer<Self::StreamIsActiveStream> {
        let answer = self.object(&request.into_inner()).map(|object| {
            let (send, receive) = mpsc::channel(4);
            tokio::spawn(push(object, send, self.shutdown.clone(), self.clock));
            self.bell.ring();
            Box::pin(ReceiverStream::new(receive)) as Self::StreamIsActiveStream
        });
        self.counted("StreamIsActive", answer)
    }

    async fn get_metric_spec(
        &self,
        request: Request<ScaledObjectRef>,
    ) -> Answer<GetMetricSpecResponse> {
        let answer = self.object(&request.into_inner()).map(|object| {
            let (name, target) = spec_of(object.settings());
            GetMetricSpecResponse {
                metric_specs: vec![MetricSpec {
                    metric_name: name.into(),
                    target_size: target,
                    target_size_float: target as f64,
                }],
            }
        });
        self.counted("GetMetricSpec", answer)
    }

    async fn get_metrics(&self, request: Request<GetMetricsRequest>) -> Answer<GetMetricsResponse> {
        let answer = async {
            let GetMetricsRequest { scaled_object_ref, metric_name } = request.into_inner();
            let reference = scaled_object_ref
                .ok_or_else(|| GrpcStatus::invalid_argument("scaledObjectRef is missing"))?;
            let object = self.object(&reference)?;
            let (name, _) = spec_of(object.settings());
            if without_index(&metric_name) != name && !metric_name.is_empty() {
                return Err(GrpcStatus::invalid_argument(format!(
                    "metricName = {metric_name:?}: allowed is {name:?}"
                )));
            }
            self.first_read(&object).await;
            let (_, value) =
                object.metric(self.clock.now_ms()).map_err(|trouble| refused(&object, &trouble))?;
            Ok(GetMetricsResponse {
                metric_values: vec![MetricValue {
                    metric_name,
                    metric_value: value,
                    metric_value_float: value as f64,
                }],
            })
        };
        self.counted("GetMetrics", answer.await)
    }
}

impl Service {
    /// The object of a reference, registered where it is new.
    fn object(&self, reference: &ScaledObjectRef) -> Result<Arc<Object>, GrpcStatus> {
        let mut metadata: Vec<(String, String)> =
            reference.scaler_metadata.clone().into_iter().collect();
        metadata.sort_unstable();
        let key = ObjectKey {
            namespace: reference.namespace.clone(),
            name: reference.name.clone(),
            metadata,
        };
        let now_ms = self.clock.now_ms();
        if let Some(object) = self.registry.get(&key) {
            object.touch(now_ms);
            return Ok(object);
        }
        let invalid = |error: BadMetadata| {
            GrpcStatus::invalid_argument(format!("{}/{}: {error}", key.namespace, key.name))
        };
        let settings =
            Settings::read(&reference.name, &reference.scaler_metadata).map_err(invalid)?;
        let cluster = cluster(&self.clusters, &settings).map_err(invalid)?;
        let spec = self.registry.wanted_before(&key, &settings.group);
        let object =
            Object::new(key, settings, now_ms, spec).map_err(GrpcStatus::invalid_argument)?;
        let object = self
            .registry
            .add(cluster, object)
            .map_err(|full| GrpcStatus::resource_exhausted(full.to_string()))?;
        tracing::info!(
            object = object.label(),
            group = object.settings().group,
            topic = object.settings().topic,
            "serving"
        );
        self.bell.ring();
        Ok(object)
    }

    /// Waits a moment for the first read of a new object.
    async fn first_read(&self, object: &Object) -> Status {
        let mut status = object.subscribe();
        let read = status.wait_for(|status| status.at_ms > 0);
        match tokio::time::timeout(FIRST_READ, read).await {
            Ok(Ok(status)) => status.clone(),
            _ => object.status(),
        }
    }

    fn counted<T>(&self, method: &'static str, answer: Result<T, GrpcStatus>) -> Answer<T> {
        let code = answer.as_ref().map_or_else(GrpcStatus::code, |_| tonic::Code::Ok);
        self.counters.request(method, code);
        answer.map(Response::new)
    }
}

/// Sends the state at once and whenever it changes.
async fn push(
    object: Arc<Object>,
    send: mpsc::Sender<Result<IsActiveResponse, GrpcStatus>>,
    mut shutdown: watch::Receiver<bool>,
    clock: Clock,
) {
    let _listening = object.listen();
    let mut status = object.subscribe();
    let mut sent = None;
    loop {
        let now = status.borrow_and_update().clone();
        let known = now.at_ms > 0 && matches!(now.trouble, None | Some(Trouble::Settling { .. }));
        if known && sent != Some(now.active) {
            if send.send(Ok(IsActiveResponse { result: now.active })).await.is_err() {
                return;
            }
            sent = Some(now.active);
        }
        object.touch(clock.now_ms());
        tokio::select! {
            changed = status.changed() => if changed.is_err() { return },
            () = send.closed() => return,
            _ = shutdown.changed() => return,
        }
    }
}

/// Name and target of an object's metric.
fn spec_of(settings: &Settings) -> (&'static str, i64) {
    match settings.law {
        LawSettings::Slo(_) => (PODS_METRIC, TARGET),
        LawSettings::Stock { lag_threshold, .. } => (LAG_METRIC, lag_threshold),
    }
}

/// Whether an HPA that asks for this metric asks for one of ours.
pub(crate) fn is_ours(metric_name: &str) -> bool {
    [PODS_METRIC, LAG_METRIC].contains(&without_index(metric_name))
}

/// KEDA takes its `s0-` away before it asks; others may not.
fn without_index(name: &str) -> &str {
    match name.strip_prefix('s').and_then(|rest| rest.split_once('-')) {
        Some((index, rest)) if !index.is_empty() && index.bytes().all(|b| b.is_ascii_digit()) => {
            rest
        }
        _ => name,
    }
}

/// Which cluster an object means. Others than the scaler's own are refused: the
/// scaler's credentials are not for whoever may edit a ScaledObject.
pub(crate) fn cluster(
    clusters: &[ConnectionOptions],
    settings: &Settings,
) -> Result<usize, BadMetadata> {
    fn list(text: &str) -> BTreeSet<&str> {
        text.split(',').map(str::trim).collect()
    }
    let Some(named) = &settings.bootstrap_servers else { return Ok(0) };
    let wanted = list(named);
    let found = clusters.iter().position(|known| !list(&known.brokers).is_disjoint(&wanted));
    found.ok_or_else(|| BadMetadata {
        key: "bootstrapServers".into(),
        value: Some(named.clone()),
        allowed: format!(
            "a cluster of the scaler's own: {}",
            clusters.iter().map(|known| known.brokers.as_str()).collect::<Vec<_>>().join(" or ")
        ),
    })
}

fn refused(object: &Object, trouble: &Trouble) -> GrpcStatus {
    let label = object.label();
    match trouble {
        Trouble::NotRead => {
            GrpcStatus::unavailable(format!("{label}: Kafka has not been read yet"))
        }
        Trouble::Settling { left_s } => GrpcStatus::unavailable(format!(
            "{label}: started a moment ago, counting the group's members for {left_s:.0} s more; the count is held meanwhile"
        )),
        Trouble::Law { why } => GrpcStatus::internal(format!(
            "{label}: the law failed: {why}; the count is held, and the next look may mend it: restart the scaler if it does not"
        )),
        Trouble::Kafka { error, for_s, held } => {
            let then = match held {
                Some(held) => format!(
                    "; {held} pods were held for {for_s:.0} s, and no fallbackReplicas is set"
                ),
                None => "; nothing is decided before it was read once".into(),
            };
            let text = format!("{label}: {error}{then}");
            match error {
                ClusterError::UnknownTopic { .. } => GrpcStatus::not_found(text),
                ClusterError::Denied { .. } | ClusterError::Untrusted { .. } => {
                    GrpcStatus::permission_denied(text)
                }
                _ => GrpcStatus::unavailable(text),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_index_is_taken_away_where_it_is_there() {
        assert_eq!(without_index("s0-tidegate-pods"), "tidegate-pods");
        assert_eq!(without_index("s12-tidegate-pods"), "tidegate-pods");
        assert_eq!(without_index("tidegate-pods"), "tidegate-pods");
        assert_eq!(without_index("stock-lag"), "stock-lag");
    }

    #[test]
    fn only_the_scalers_own_clusters_may_be_named() {
        let clusters = ["a:1,b:1", "c:1"].map(ConnectionOptions::new);
        let named = |servers: Option<&str>| {
            let mut given = std::collections::HashMap::from([
                ("consumerGroup".into(), "g".into()),
                ("topic".into(), "t".into()),
            ]);
            given
                .extend(servers.map(|servers| ("bootstrapServers".to_owned(), servers.to_owned())));
            cluster(&clusters, &Settings::read("so", &given).expect("settings"))
        };
        assert_eq!(named(None), Ok(0));
        assert_eq!(named(Some("b:1")), Ok(0));
        assert_eq!(named(Some("c:1, d:1")), Ok(1));
        let error = named(Some("evil:1")).expect_err("refused").to_string();
        assert_eq!(
            error,
            "metadata.bootstrapServers = \"evil:1\": allowed is a cluster of the scaler's own: a:1,b:1 or c:1"
        );
    }
}
