//! Decides without acting: what would the law do where something else decides now?
//!
//! Serves the pages and no gRPC. Objects come from files. Beside its own number stands
//! the HPA's, where the Kubernetes API may be asked, and what KEDA's Kafka trigger and
//! the HPA would do on the same facts, where the file has that trigger. The law always
//! sees the replicas that there are.

mod telling;

use std::collections::HashMap;
use std::sync::Arc;

use tidegate_autoscale::law::{Decision, StockLaw, StockOptions};
use tokio::net::TcpListener;

use crate::clock::Clock;
use crate::http::{Pages, router};
use crate::kubernetes::Client;
use crate::manifest::{Manifest, Trigger};
use crate::metrics::Counters;
use crate::object::{Object, ObjectKey, Status, whole};
use crate::outage::Said;
use crate::server::{shared, sink_watch};
use crate::{Error, ScalerOptions, observe, service};

use self::telling::{Line, Telling};

/// A shadow that is ready to run.
#[derive(Debug)]
pub struct Shadow {
    options: ScalerOptions,
    manifests: Vec<Manifest>,
    target_age_s: f64,
    http: Option<TcpListener>,
}

impl Shadow {
    /// Checks everything, and listens for the pages.
    ///
    /// # Errors
    /// An option, a file or an address that cannot be used.
    pub async fn bind(
        options: ScalerOptions,
        manifests: Vec<Manifest>,
        target_age_s: f64,
    ) -> Result<Self, Error> {
        options.check()?;
        let http = match &options.http {
            Some(address) => Some(
                TcpListener::bind(address)
                    .await
                    .map_err(|source| Error::Listen { address: address.clone(), source })?,
            ),
            None => None,
        };
        Ok(Self { options, manifests, target_age_s, http })
    }

    /// Where the pages are.
    pub fn http_address(&self) -> Option<std::net::SocketAddr> {
        self.http.as_ref().and_then(|http| http.local_addr().ok())
    }

    /// Watches until `shutdown` resolves.
    ///
    /// # Errors
    /// What keeps it from watching.
    pub async fn run(self, shutdown: impl Future<Output = ()>) -> Result<(), Error> {
        let Self { options, manifests, target_age_s, http } = self;
        let clock = Clock::start();
        let shared = shared(&options, clock, false);
        let mut tasks = tokio::task::JoinSet::new();
        let counters = Counters::default();
        tasks.spawn(sink_watch(&options, &shared, &counters).run());
        for manifest in &manifests {
            let (cluster, object) = object(manifest, target_age_s, &options, clock.now_ms())?;
            let object = shared.registry.add(cluster, object).map_err(|full| Error::Option {
                field: "max_objects",
                value: options.max_objects.to_string(),
                allowed: full.to_string(),
            })?;
            tasks.spawn(tell(object));
        }
        for (cluster, connection) in options.clusters.iter().enumerate() {
            observe::start(cluster, connection, shared.clone())?;
        }
        if options.fence_pods {
            tracing::warn!("a shadow does not act: no pod is fenced");
        }
        if let Some(kubernetes) = options.kubernetes.as_ref().filter(|_| options.follow_hpas) {
            let client = Client::new(kubernetes)?;
            tasks.spawn(Arc::clone(&shared.hpas).follow(client));
        }
        if let Some(http) = http {
            let pages = Pages {
                registry: Arc::clone(&shared.registry),
                reads: Arc::clone(&shared.reads),
                counters,
                clock,
                started_ms: clock.now_ms(),
            };
            tasks.spawn(async move {
                if let Err(error) = axum::serve(http, router(pages)).await {
                    tracing::error!(%error, "the pages ended");
                }
            });
        }
        shutdown.await;
        shared.bell.end();
        tasks.abort_all();
        Ok(())
    }
}

fn object(
    manifest: &Manifest,
    target_age_s: f64,
    options: &ScalerOptions,
    now_ms: i64,
) -> Result<(usize, Object), Error> {
    let wrong = |reason: String| Error::Option {
        field: "scaled_object",
        value: format!("{}/{}", manifest.namespace, manifest.name),
        allowed: reason,
    };
    let settings = manifest.settings(target_age_s).map_err(wrong)?;
    let cluster =
        service::cluster(&options.clusters, &settings).map_err(|error| wrong(error.to_string()))?;
    let metadata: HashMap<String, String> = match &manifest.trigger {
        Trigger::External(metadata) => metadata.clone(),
        Trigger::Kafka(_) => HashMap::new(),
    };
    let mut metadata: Vec<(String, String)> = metadata.into_iter().collect();
    metadata.sort_unstable();
    let key =
        ObjectKey { namespace: manifest.namespace.clone(), name: manifest.name.clone(), metadata };
    let object = Object::new(key, settings, now_ms, None).map_err(wrong)?;
    if let Trigger::Kafka(scaled) = &manifest.trigger {
        object.compare_with(StockLaw::new((**scaled).clone(), StockOptions::default(), now_ms));
    }
    // Nobody asks for it, and yet it is not to be forgotten.
    object.keep_for_ever();
    Ok((cluster, object))
}

/// Logs the numbers side by side, and why there are none.
async fn tell(object: Arc<Object>) {
    let mut status = object.subscribe();
    let mut telling = Telling::default();
    loop {
        let now = status.borrow_and_update().clone();
        match telling.look(&now) {
            Some(Line::Numbers) => log(&object, &now),
            Some(Line::Facts(said)) => log_facts(&object, &now, said),
            None => {}
        }
        if status.changed().await.is_err() {
            return;
        }
    }
}

fn log(object: &Object, status: &Status) {
    let text =
        |number: Option<i32>| number.map_or_else(|| "unknown".into(), |n: i32| n.to_string());
    let newest = object.newest();
    let why = newest.as_ref().map(Decision::explanation).unwrap_or_default();
    tracing::info!(
        object = object.label(),
        own = status.wanted,
        hpa = text(status.hpa.map(|hpa| hpa.desired)),
        stock = text(status.stock_wanted),
        members = text(status.members),
        why,
        decision = newest.as_ref().and_then(whole),
        "shadow"
    );
}

fn log_facts(object: &Object, status: &Status, said: Said) {
    let (object, error) = (object.label(), status.error.as_deref());
    match said {
        Said::Began => tracing::warn!(object, error, "Kafka cannot be read; nothing is decided"),
        Said::GoesOn { for_s } => {
            tracing::warn!(object, error, for_s, "Kafka still cannot be read");
        }
        Said::Over { for_s } => tracing::info!(object, for_s, "Kafka is read again"),
    }
}
