//! A simulated world around an autoscaling law: traffic, partitions, pods, nodes, group.
//!
//! Contract: a [`Scenario`], a seed and a [`Law`](tidegate_autoscale::law::Law) go in, a
//! series of seconds and a [`Summary`] come out; the same input gives the same bytes. No
//! clock, no I/O, no threads. The law is the one that runs elsewhere, unchanged.
//!
//! Model: every batch of every pod is an event. A partition is three positions (read,
//! written, committed) on one arrival curve, so that the age of any record is exact and no
//! queue of records is kept. What is not modelled: the broker's own limits and the network.
//!
//! Rejected: a fixed tick (it rounds the phases of polls and syncs, which decide when a
//! step is seen); fluid flow (it has no batches in flight, so nothing to lose or repeat at
//! a rebalance); one shared queue (with 68 pods on 100 partitions it drains a backlog that
//! real partitions keep for ever).
//!
//! # Layout
//! - [`scenario`]: traffic and world, read from TOML or YAML and checked
//! - `load`: the arrival curve, and each partition's share of it
//! - `world`: the event loop; `pods`, `batches`, `group`, `nodes`, `control`
//! - [`Summary`]: what a run was worth
#![deny(missing_docs)]

mod load;
pub mod scenario;
mod summary;
mod world;

pub use load::partition_weights;
pub use scenario::{Scenario, ScenarioError};
pub use summary::{SoFar, Summary};
pub use world::{Prepared, Run, Team, Went, simulate, slo_options, stock_law, through_keda};
