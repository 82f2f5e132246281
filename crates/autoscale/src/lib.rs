//! Pure autoscaling decisions: facts with their times in, decisions out.
//!
//! No clock, no I/O, no runtime: the same code runs in the local world, in a
//! simulator, and next to a cluster, and any decision can be replayed.
//!
//! # Layout
//! - [`scaled_object`]: KEDA's `ScaledObject`, read from YAML and checked
//! - [`lag`]: KEDA's `kafka` trigger: offsets → metric
//! - [`keda`]: the operator: activation, cooldown, fallback
//! - [`hpa`]: the HorizontalPodAutoscaler, bit for bit
//! - [`law`]: the above as one law that a caller ticks; explained decisions
//! - [`external`]: what a ScaledObject tells tidegate's external scaler
//! - [`series`]: a run second by second, as CSV, and figures of it
#![deny(missing_docs)]

pub mod external;
pub mod hpa;
pub mod keda;
pub mod lag;
pub mod law;
pub mod scaled_object;
pub mod series;
