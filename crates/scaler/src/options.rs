//! How a scaler runs.

use std::path::PathBuf;
use std::time::Duration;

use tidegate_kafka::ConnectionOptions;

use crate::Error;
use crate::kubernetes::KubernetesOptions;
use crate::sink::PodMetrics;

/// Options of a scaler.
#[derive(Debug, Clone)]
pub struct ScalerOptions {
    /// Where gRPC listens, `HOST:PORT`; port 0 picks a free one.
    pub listen: String,
    /// Where `/metrics`, `/healthz`, `/readyz` and `/decisions` listen; `None` is nowhere.
    pub http: Option<String>,
    /// Clusters that objects may name; the first is the default.
    pub clusters: Vec<ConnectionOptions>,
    /// Time between two reads of a cluster, 100 ms to a minute.
    pub interval: Duration,
    /// Time between two looks for a record while an object at zero is listened to,
    /// 50 ms to a minute.
    pub wake_interval: Duration,
    /// Objects at most, 1 to 100000.
    pub max_objects: usize,
    /// TLS of the gRPC server.
    pub tls: Option<TlsFiles>,
    /// The Kubernetes API, where it may be used.
    pub kubernetes: Option<KubernetesOptions>,
    /// Takes replica counts from the HPAs, and has KEDA mend those without our metric.
    /// Needs `kubernetes`.
    pub follow_hpas: bool,
    /// Where pods are asked for their sink, by group.
    pub pod_metrics: Vec<PodMetrics>,
    /// Takes members out of their group whose pods are gone. Needs `kubernetes`.
    pub fence_pods: bool,
}

/// PEM files of the gRPC server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// Certificate chain.
    pub certificate: PathBuf,
    /// Private key.
    pub key: PathBuf,
    /// CA that clients must have a certificate of; `None` lets anybody in.
    pub client_ca: Option<PathBuf>,
}

impl ScalerOptions {
    /// # Errors
    /// The first option outside its range.
    pub fn check(&self) -> Result<(), Error> {
        within("interval_ms", self.interval, 100, 60_000)?;
        within("wake_interval_ms", self.wake_interval, 50, 60_000)?;
        if !(1..=100_000).contains(&self.max_objects) {
            return Err(Error::Option {
                field: "max_objects",
                value: self.max_objects.to_string(),
                allowed: "allowed is 1 to 100000".into(),
            });
        }
        if self.clusters.is_empty() {
            return Err(Error::Option {
                field: "brokers",
                value: String::new(),
                allowed: "at least one cluster".into(),
            });
        }
        if self.fence_pods && self.kubernetes.is_none() {
            return Err(Error::Option {
                field: "fence_pods",
                value: "true".into(),
                allowed: "needs the Kubernetes API: give --kubernetes".into(),
            });
        }
        Ok(())
    }
}

fn within(field: &'static str, value: Duration, low: u64, high: u64) -> Result<(), Error> {
    let allowed = Duration::from_millis(low)..=Duration::from_millis(high);
    if allowed.contains(&value) {
        return Ok(());
    }
    Err(Error::Option {
        field,
        value: value.as_millis().to_string(),
        allowed: format!("allowed is {low} to {high}"),
    })
}
