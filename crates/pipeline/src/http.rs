//! `/metrics`, `/healthz` and `/readyz`.
//!
//! Threads: runs on the caller's runtime, next to the engine. A probe that is
//! not answered therefore also tells that the runtime is stuck.
//!
//! | path | 200 | 503 |
//! |---|---|---|
//! | `/metrics` | OpenMetrics text | |
//! | `/healthz` | process and poll thread live | the poll thread ended |
//! | `/readyz` | in the group, sink reachable | the body says why not |

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

#[derive(Clone)]
struct App {
    registry: Arc<Registry>,
    handle: PipelineHandle,
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
        handle: PipelineHandle,
        shutdown: impl Future<Output = ()>,
    ) {
        if self.address.ip().is_unspecified() {
            tracing::info!("Metrics available at :{}/metrics", self.address.port());
        } else {
            tracing::info!("Metrics available at {}/metrics", self.address);
        }
        let app = Router::new()
            .route("/metrics", get(metrics))
            .route("/healthz", get(healthz))
            .route("/readyz", get(readyz))
            .with_state(App { registry, handle });
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
    probe(app.handle.healthy())
}

async fn readyz(State(app): State<App>) -> Response {
    probe(app.handle.ready())
}

fn probe(result: Result<(), String>) -> Response {
    match result {
        Ok(()) => (StatusCode::OK, "ok\n").into_response(),
        Err(why) => (StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n")).into_response(),
    }
}
