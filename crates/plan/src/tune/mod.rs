//! The search for settings: a front of age and cost, and the best of it by an objective.
//!
//! Contract: deterministic for a seed, whatever the number of threads, and whether it ran
//! through or was continued from a [`Checkpoint`]. *Evaluated* is a configuration that was
//! simulated to the end on every scenario with at least one seed. Race: only those that the
//! first seed does not show to be clearly worse than the front are simulated with the other
//! seeds, and only those can enter the front.
//!
//! Method: random settings first, then mutations and crossings of the front's, in
//! generations; random ones go on, so that no region is given up. Rejected: a grid (12
//! settings of 3 to 17 values are 10¹⁰ combinations), and a model of the answer (the
//! simulation is cheaper than the model).
//!
//! # Layout
//! - [`space`]: what may be set, and to which values
//! - `policies`: scaling policies from slow to fast
//! - [`manifest`]: settings as a ScaledObject, with reasons
//! - [`front`]: what is not beaten in both
//! - [`search`]: generations, race, checkpoint
//! - [`mod@choose`]: the objective, the hold-out, the reasons

pub mod choose;
pub mod front;
pub mod manifest;
mod policies;
pub mod search;
pub mod space;

pub use choose::{Choice, Objective, Reason, choose};
pub use front::{Front, Point};
pub use manifest::{Base, BaseError};
pub use search::{Checkpoint, Options, Progress, Search, SearchError};
pub use space::{LawKind, Space};
