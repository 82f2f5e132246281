//! The one-machine world: broker, topic, producer, controller, pods, in one loop.
//!
//! Contract: [`World::run`] ends when the load is over, the backlog is gone and the
//! pods are at zero, or when it is told to stop: drained at the first request, at
//! once at the second. Whatever it started has ended when it returns.
//!
//! Threads: the caller's current-thread runtime on the main thread, from which all
//! children are spawned; a thread for the lag reader; client threads of librdkafka.

mod meter;
mod options;
mod producer;
mod run_dir;
mod runner;
mod snapshot;
mod start;
mod state;

pub use options::{LawOptions, WorldOptions};
pub use producer::ProducerReport;
pub use run_dir::{RunDir, runs_root};
pub use runner::{StopLevel, WorldEnd};
pub use snapshot::Snapshot;
pub use start::World;
pub use state::{HpaState, ProcessState, WorldState};
