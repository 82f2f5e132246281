//! The whole pipeline on one machine: broker, producer, autoscaled pods.
//!
//! # Layout
//! - [`broker`]: Apache Kafka found or fetched once, one KRaft node
//! - [`process`]: child processes that never become orphans
//! - [`pods`]: a supervisor of consumer processes; dead ones are fenced
//! - [`controller`]: observe, decide, act, once a second
//! - [`world`]: the loop that holds them together, run directories, `world.json`
//! - [`series`], [`report`]: what happened, and what it was worth
//! - [`get`]: a look at a running world from outside
#![deny(missing_docs)]

pub mod broker;
mod clock;
pub mod controller;
mod error;
mod events;
pub mod get;
pub mod pods;
pub mod process;
pub mod report;
pub mod world;

pub use error::Error;
pub use events::{Event, EventLog};
pub use tidegate_autoscale::series;
