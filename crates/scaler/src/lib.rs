//! KEDA external scaler: observes Kafka, decides with a law, serves the decision.
//!
//! One process serves hundreds of ScaledObjects with one connection a broker and one
//! thread a cluster. What is decided is [`tidegate_autoscale`]'s; here is what it takes
//! to feed it and to make an HPA follow it.
//!
//! # Layout
//! - [`metadata`]: what a ScaledObject says about itself (of `tidegate-autoscale`)
//! - [`encoding`]: a wanted number of pods as a metric
//! - [`object`], [`registry`]: ScaledObjects and their laws; `decide`: the law itself, and
//!   `stale`: what is wanted while Kafka cannot be read
//! - [`observe`]: reads the clusters, one thread each
//! - [`service`], [`proto`]: KEDA's four calls
//! - [`http`], [`metrics`]: pages for people and Prometheus
//! - [`kubernetes`]: HPAs, pods; [`fence`]: dead pods leave their group at once; `mend`: HPAs
//!   that KEDA made without our metric get it
//! - `sink`: whether the sink is the limit, from the pods' own pages
//! - [`shadow`], [`replay`]: decisions without acting, on live and on recorded facts; `outage`:
//!   failures that last are said now and then
//! - [`server`], [`options`]: everything together; `tls`: certificates towards KEDA
#![deny(missing_docs)]

pub mod clock;
mod decide;
pub mod encoding;
mod error;
pub mod fence;
pub mod http;
pub mod kubernetes;
pub mod manifest;
mod mend;
pub mod metrics;
pub mod object;
pub mod observe;
pub mod options;
mod outage;
pub mod proto;
pub mod registry;
pub mod replay;
pub mod server;
pub mod service;
pub mod shadow;
mod sink;
mod stale;
mod tls;

pub use error::Error;
pub use metrics::{METRICS, MetricInfo};
pub use object::DECISION_LOG;
pub use options::{ScalerOptions, TlsFiles};
pub use server::Scaler;
pub use sink::PodMetrics;
pub use tidegate_autoscale::external as metadata;
