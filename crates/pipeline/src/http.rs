//! `/metrics`, `/healthz` and `/readyz`.
//!
//! Threads: runs on the caller's runtime, next to the engine. A probe that is
//! not answered therefore also tells that the runtime is stuck.
//!
//! | path | 200 | 503 |
//! |---|---|---|
//! | `/metrics` | OpenMetrics text | |
//! | `/healthz` | process and poll thread live | the poll thread ended |
//! | `/readyz` | in the group, its partitions are read, sink reachable | the body says why not |

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use prometheus_client::registry::Registry;
use tokio::net::TcpListener;

use crate::{Error, PipelineHandle};

const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The listening endpoint.
#[derive(Debug)]
pub struct MetricsServer {
    listener: TcpListener,
    address: SocketAddr,
}

/// What the probes ask: whether the process works, and whether it can be used.
pub trait Probes: Send + Sync + 'static {
    /// # Errors
    /// Why a restart would help.
    fn healthy(&self) -> Result<(), String>;
    /// # Errors
    /// Why it cannot do its work now.
    fn ready(&self) -> Result<(), String>;
}

impl Probes for PipelineHandle {
    fn healthy(&self) -> Result<(), String> {
        PipelineHandle::healthy(self)
    }

    fn ready(&self) -> Result<(), String> {
        PipelineHandle::ready(self)
    }
}

#[derive(Clone)]
struct App {
    registry: Arc<Registry>,
    probes: Arc<dyn Probes>,
}

impl MetricsServer {
    /// Listens on `address`, for example `127.0.0.1:8000`; port 0 picks a free one.
    ///
    /// # Errors
    /// [`Error::Listen`] if the address is malformed or taken.
    pub async fn bind(address: &str) -> Result<Self, Error> {
        let failed = |source| Error::Listen { address: address.to_owned(), source };
        let listener = TcpListener::bind(address).await.map_err(failed)?;
        let local = listener.local_addr().map_err(failed)?;
        Ok(Self { listener, address: local })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `shutdown` resolves; open connections are then dropped.
    pub async fn run(
        self,
        registry: Arc<Registry>,
        probes: impl Probes,
        shutdown: impl Future<Output = ()>,
    ) {
        tracing::info!("Metrics available at :{}/metrics", self.address.port());
        let app = Router::new()
            .route("/metrics", get(metrics))
            .route("/healthz", get(healthz))
            .route("/readyz", get(readyz))
            .with_state(App { registry, probes: Arc::new(probes) });
        tokio::select! {
            result = axum::serve(self.listener, app) => {
                if let Err(error) = result {
                    tracing::error!(%error, "metrics endpoint ended");
                }
            }
            () = shutdown => {}
        }
    }
}

async fn metrics(State(app): State<App>) -> Response {
    let mut text = String::new();
    match prometheus_client::encoding::text::encode(&mut text, &app.registry) {
        Ok(()) => ([(header::CONTENT_TYPE, OPENMETRICS)], text).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

async fn healthz(State(app): State<App>) -> Response {
    probe(app.probes.healthy())
}

async fn readyz(State(app): State<App>) -> Response {
    probe(app.probes.ready())
}

fn probe(result: Result<(), String>) -> Response {
    match result {
        Ok(()) => (StatusCode::OK, "ok\n").into_response(),
        Err(why) => (StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n")).into_response(),
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;

    use super::*;
    use crate::status::{Phase, Status};

    async fn get(address: SocketAddr, path: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(address).await.expect("connects");
        let request = format!("GET {path} HTTP/1.1\r\nHost: pod\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.expect("asks");
        let mut response = String::new();
        stream.read_to_string(&mut response).await.expect("answers");
        let (head, body) = response.split_once("\r\n\r\n").expect("has a body");
        (head[9..12].parse().expect("a status code"), body.to_owned())
    }

    #[tokio::test]
    async fn probes_say_why_not_and_metrics_are_complete() {
        let status = Arc::new(Status::new());
        let mut registry = Registry::default();
        status.metrics.register(&mut registry);
        let server = MetricsServer::bind("127.0.0.1:0").await.expect("a free port");
        let address = server.address();
        let handle = PipelineHandle::new(Arc::clone(&status));
        tokio::spawn(server.run(Arc::new(registry), handle, std::future::pending()));

        let ready = async || get(address, "/readyz").await;
        assert_eq!(ready().await, (503, "sink: the sink was not reached yet\n".into()));
        status.set_sink_failure(None);
        assert_eq!(ready().await, (503, "starting: the group is not joined yet\n".into()));
        status.set_phase(Phase::Running);
        assert_eq!(ready().await, (503, "joining the group\n".into()));
        status.set_sink_failure(Some("database is locked"));
        assert_eq!(ready().await, (503, "sink: database is locked\n".into()));
        status.set_sink_failure(None);
        status.set_phase(Phase::Draining);
        assert_eq!(ready().await, (503, "draining\n".into()));
        assert_eq!(get(address, "/healthz").await, (200, "ok\n".into()));
        status.set_phase(Phase::Ended);
        assert_eq!(get(address, "/healthz").await.0, 503);
        let (code, text) = get(address, "/metrics").await;
        assert_eq!(code, 200);
        assert!(text.ends_with("# EOF\n"), "{text}");
    }

    #[tokio::test]
    async fn an_address_that_is_taken_is_named() {
        let first = MetricsServer::bind("127.0.0.1:0").await.expect("a free port");
        let address = first.address().to_string();
        let error = MetricsServer::bind(&address).await.expect_err("taken").to_string();
        assert!(error.contains(&address), "{error}");
    }
}
