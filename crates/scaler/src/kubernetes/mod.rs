//! As much of the Kubernetes API as is needed, and no more: a list of HPAs now and then,
//! and a watch of pods.
//!
//! Rejected: the `kube` crates, some eighty further dependencies for two requests.
//!
//! # Layout
//! - `client`: requests with the credentials of the pod, over TLS
//! - `hpas`: what the HPAs that KEDA made want and see
//! - `pods`: pods that ended, from a watch

mod client;
mod hpas;
mod pods;

pub use client::{Client, KubernetesOptions};
pub use hpas::{HpaCounts, Hpas};
pub use pods::{GonePod, PodTracker, watch_pods};
