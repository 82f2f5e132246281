//! As much of the Kubernetes API as is needed, and no more: a list of HPAs now and then,
//! a watch of pods, an annotation of an HPA.
//!
//! Rejected: the `kube` crates, some eighty further dependencies for three requests.
//!
//! # Layout
//! - `client`: requests with the credentials of the pod, over TLS
//! - `hpas`: what the HPAs that KEDA made want, see and ask for
//! - `pods`: pods that ended, from a watch

mod client;
mod hpas;
mod pods;

pub use client::{ACCOUNT, Client, KubernetesOptions};
pub use hpas::{HpaFacts, Hpas};
pub use pods::{GonePod, PodTracker, watch_pods};
