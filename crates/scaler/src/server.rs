//! Everything together: observers, gRPC, pages, the watch of pods.
//!
//! Threads: the caller's runtime serves; one thread a cluster reads Kafka; fencing
//! runs on the blocking pool.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::transport::server::{Server, ServerTlsConfig};

use crate::clock::Clock;
use crate::fence::Fencer;
use crate::http::{Pages, router};
use crate::kubernetes::{Client, Hpas};
use crate::mend::Mender;
use crate::metrics::Counters;
use crate::observe::{self, Bell, Reads, Shared};
use crate::proto::DESCRIPTOR;
use crate::proto::external_scaler_server::ExternalScalerServer;
use crate::registry::Registry;
use crate::service::Service;
use crate::sink::SinkWatch;
use crate::tls::server_tls;
use crate::{Error, ScalerOptions};

/// A scaler that listens already.
#[derive(Debug)]
pub struct Scaler {
    options: ScalerOptions,
    grpc: TcpListener,
    http: Option<TcpListener>,
    tls: Option<ServerTlsConfig>,
    kubernetes: Option<Client>,
}

impl Scaler {
    /// Checks the options and listens.
    ///
    /// # Errors
    /// An option, a file or an address that cannot be used.
    pub async fn bind(options: ScalerOptions) -> Result<Self, Error> {
        options.check()?;
        for cluster in &options.clusters {
            cluster.validate()?;
        }
        let tls = options.tls.as_ref().map(server_tls).transpose()?;
        let kubernetes = options.kubernetes.as_ref().map(Client::new).transpose()?;
        let grpc = listen(&options.listen).await?;
        let http = match &options.http {
            Some(address) => Some(listen(address).await?),
            None => None,
        };
        Ok(Self { options, grpc, http, tls, kubernetes })
    }

    /// Where gRPC listens.
    ///
    /// # Errors
    /// [`Error::Listen`].
    pub fn address(&self) -> Result<SocketAddr, Error> {
        local(&self.grpc)
    }

    /// Where the pages listen.
    ///
    /// # Errors
    /// [`Error::Listen`].
    pub fn http_address(&self) -> Result<Option<SocketAddr>, Error> {
        self.http.as_ref().map(local).transpose()
    }

    /// Serves until `shutdown` resolves; open streams are ended then.
    ///
    /// # Errors
    /// What keeps it from serving.
    pub async fn run(self, shutdown: impl Future<Output = ()>) -> Result<(), Error> {
        let Self { options, grpc, http, tls, kubernetes } = self;
        let clock = Clock::start();
        let shared = shared(&options, clock, true);
        for (cluster, connection) in options.clusters.iter().enumerate() {
            observe::start(cluster, connection, shared.clone())?;
        }
        let counters = Counters::default();
        let (over, is_over) = watch::channel(false);
        let mut tasks = tokio::task::JoinSet::new();
        tasks.spawn(sink_watch(&options, &shared, &counters).run());
        if let Some(client) = &kubernetes {
            if options.follow_hpas {
                tasks.spawn(Mender::new(&shared, counters.clone()).run(client.clone()));
                tasks.spawn(Arc::clone(&shared.hpas).follow(client.clone()));
            }
            if options.fence_pods {
                let fencer = Fencer::new(&shared, counters.clone(), &options.clusters);
                tasks.spawn(fencer.run(client.clone()));
            }
        }
        if let Some(http) = http {
            let pages = Pages {
                registry: Arc::clone(&shared.registry),
                reads: Arc::clone(&shared.reads),
                counters: counters.clone(),
                clock,
                started_ms: clock.now_ms(),
            };
            tasks.spawn(async move {
                if let Err(error) = axum::serve(http, router(pages)).await {
                    tracing::error!(%error, "the pages ended");
                }
            });
        }
        let service = Service {
            registry: Arc::clone(&shared.registry),
            bell: Arc::clone(&shared.bell),
            clusters: Arc::new(options.clusters),
            counters,
            clock,
            shutdown: is_over,
        };
        let served = serve(grpc, tls, service, shutdown, over).await;
        shared.bell.end();
        tasks.abort_all();
        served
    }
}

/// Who asks the pods, for a scaler or a shadow.
pub(crate) fn sink_watch(
    options: &ScalerOptions,
    shared: &Shared,
    counters: &Counters,
) -> SinkWatch {
    SinkWatch {
        registry: Arc::clone(&shared.registry),
        given: options.pod_metrics.clone(),
        counters: counters.clone(),
        clock: shared.clock,
    }
}

/// What observers share, for a scaler or a shadow.
pub(crate) fn shared(options: &ScalerOptions, clock: Clock, acts: bool) -> Shared {
    Shared {
        registry: Arc::new(Registry::new(options.clusters.len(), options.max_objects)),
        bell: Arc::new(Bell::default()),
        reads: Arc::new(Reads::new(options.clusters.len())),
        hpas: Arc::new(Hpas::default()),
        clock,
        interval: options.interval,
        wake_interval: options.wake_interval,
        acts,
    }
}

async fn serve(
    listener: TcpListener,
    tls: Option<ServerTlsConfig>,
    service: Service,
    shutdown: impl Future<Output = ()>,
    over: watch::Sender<bool>,
) -> Result<(), Error> {
    let failed = |error: &dyn std::fmt::Display| Error::Serve(error.to_string());
    let (health, health_service) = tonic_health::server::health_reporter();
    health.set_serving::<ExternalScalerServer<Service>>().await;
    // Clients of before 2023, and Python's, ask for the older of the two.
    let reflection = || {
        tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(DESCRIPTOR)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
    };
    let reflection_v1 = reflection().build_v1().map_err(|error| failed(&error))?;
    let reflection_v1alpha = reflection().build_v1alpha().map_err(|error| failed(&error))?;
    let mut server = Server::builder()
        .http2_keepalive_interval(Some(std::time::Duration::from_secs(30)))
        .tcp_nodelay(true);
    if let Some(tls) = tls {
        server = server.tls_config(tls).map_err(|error| failed(&error))?;
    }
    let stop = async move {
        shutdown.await;
        // Streams end first; a graceful end waits for them.
        over.send_replace(true);
    };
    server
        .add_service(health_service)
        .add_service(reflection_v1)
        .add_service(reflection_v1alpha)
        .add_service(ExternalScalerServer::new(service))
        .serve_with_incoming_shutdown(TcpListenerStream::new(listener), stop)
        .await
        .map_err(|error| failed(&error))
}

async fn listen(address: &str) -> Result<TcpListener, Error> {
    TcpListener::bind(address)
        .await
        .map_err(|source| Error::Listen { address: address.to_owned(), source })
}

fn local(listener: &TcpListener) -> Result<SocketAddr, Error> {
    listener
        .local_addr()
        .map_err(|source| Error::Listen { address: "the bound address".into(), source })
}
