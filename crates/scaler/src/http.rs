//! `/metrics`, `/healthz`, `/readyz` and `/decisions`.
//!
//! | path | 200 | 503 |
//! |---|---|---|
//! | `/metrics` | OpenMetrics text | |
//! | `/healthz` | the observers read, or wait for an answer within its bounds | one is stuck |
//! | `/readyz` | gRPC is served | it is not |
//! | `/decisions` | JSON, see below | |
//!
//! Ready does not mean that Kafka answers: a scaler that is not ready is not asked, and
//! could then neither hold a count nor say why.
//!
//! `GET /decisions` is an object of lists by `namespace/name`; an element is a
//! [`tidegate_autoscale::law::Decision`], the newest last.
//! `?namespace=N&name=N` selects, `&last=N` shortens.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use axum::Router;
use axum::extract::{Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde::Deserialize;
use tidegate_autoscale::law::Decision;

use crate::clock::Clock;
use crate::metrics::{Counters, text};
use crate::observe::Reads;
use crate::registry::Registry;

const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
/// An observer that has not finished a round for this long is stuck: a read of a
/// cluster that does not answer ends well before.
const STUCK_MS: i64 = 120_000;

/// What the pages show.
#[derive(Debug, Clone)]
pub struct Pages {
    /// Objects.
    pub registry: Arc<Registry>,
    /// Counters of the observers.
    pub reads: Arc<Reads>,
    /// Counters of the rest.
    pub counters: Counters,
    /// Time.
    pub clock: Clock,
    /// When the scaler started, milliseconds.
    pub started_ms: i64,
}

/// The routes.
pub fn router(pages: Pages) -> Router {
    Router::new()
        .route("/metrics", get(metrics))
        .route("/healthz", get(healthz))
        .route("/readyz", get(|| async { "ok\n" }))
        .route("/decisions", get(decisions))
        .with_state(pages)
}

async fn metrics(State(pages): State<Pages>) -> Response {
    match text(&pages.registry, &pages.reads, &pages.counters, pages.clock.now_ms()) {
        Ok(text) => ([(header::CONTENT_TYPE, OPENMETRICS)], text).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

async fn healthz(State(pages): State<Pages>) -> Response {
    let now_ms = pages.clock.now_ms();
    let stuck =
        pages.reads.rounds_ms.iter().position(|round| {
            now_ms - round.load(Ordering::Relaxed).max(pages.started_ms) > STUCK_MS
        });
    match stuck {
        None => (StatusCode::OK, "ok\n").into_response(),
        Some(cluster) => {
            let why = format!("cluster {cluster}: no round for {} s\n", STUCK_MS / 1000);
            (StatusCode::SERVICE_UNAVAILABLE, why).into_response()
        }
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Which {
    namespace: Option<String>,
    name: Option<String>,
    last: Option<usize>,
}

async fn decisions(State(pages): State<Pages>, Query(which): Query<Which>) -> Response {
    let is_asked =
        |asked: &Option<String>, value: &str| asked.as_deref().is_none_or(|a| a == value);
    let mut answer: BTreeMap<String, Vec<Decision>> = BTreeMap::new();
    for object in pages.registry.all() {
        let key = object.key();
        if is_asked(&which.namespace, &key.namespace) && is_asked(&which.name, &key.name) {
            answer.entry(object.label()).or_default().extend(object.decisions());
        }
    }
    for decisions in answer.values_mut() {
        // Two triggers of one object are told together.
        decisions.sort_by_key(|decision| decision.at_ms);
        let surplus = decisions.len().saturating_sub(which.last.unwrap_or(usize::MAX));
        decisions.drain(..surplus);
    }
    axum::Json(answer).into_response()
}
