//! The HorizontalPodAutoscaler controller, for external metrics.
//!
//! Contract: one call of [`Hpa::step`] is one sync. Everything the controller
//! remembers is in [`Hpa`]; everything it sees is passed in. Integer milliseconds
//! keep the strict and the inclusive window edges apart; `f64` stands exactly where
//! Kubernetes has it, since the rounding of `100 * 1.1` is part of the behaviour.
//! Source: `pkg/controller/podautoscaler` of Kubernetes 1.33 to 1.36.
//!
//! - `proposal`: metric → raw proposal, and several of them combined
//! - `stabilize`: the recommendation window, legacy and with behavior
//! - `limits`: scaling policies and the events they count
//! - `step`: one sync

mod behavior;
mod limits;
mod proposal;
mod stabilize;
mod step;

pub use behavior::{Behavior, Policy, PolicyKind, Rules, Select};
pub use limits::{ScaleEvent, change_in_period, down_limit, store_event, up_limit};
pub use proposal::{Tolerance, average_value_proposal, combine, value_proposal};
pub use stabilize::{Recommendation, stabilize_legacy, stabilize_with_behavior};
pub use step::{Bounds, Hpa, HpaDecision, HpaInput, Reason, limit_legacy, limit_with_behavior};

/// The downscale stabilization of an HPA without behavior, milliseconds
/// (`--horizontal-pod-autoscaler-downscale-stabilization`).
pub const DOWNSCALE_STABILIZATION_MS: i64 = 300_000;
