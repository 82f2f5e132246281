//! The search for settings: a front of age and cost, and the best of it by an objective.
//!
//! Contract: deterministic for a seed, whatever the number of threads, and whether it ran
//! through or was continued from a [`Checkpoint`]. Race: only those configurations that the
//! first seed does not show to be clearly worse than the front are simulated with the other
//! seeds, and only those can enter the front. Of those that do the same to the last bit with
//! the first seed (a setting that never binds) one is simulated with the others. A simulation
//! of the race ends as soon as what is certain by then (pods and old records so far) is
//! enough to show that it is worse, and does not begin when it is known to go as one before
//! it did; what simulations of a generation have in common is done once. One with the other
//! seeds, which are gone through one after the other, ends as soon as some point of the front
//! is certain to keep the configuration out. That changes the time it takes and not the
//! answer.
//! *Evaluated* is a configuration whose race is over.
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
//! - [`search`]: generations, checkpoint; `race`: with the first seed, as far as it is worth it
//! - [`mod@choose`]: the objective, the hold-out, the reasons

pub mod choose;
pub mod front;
pub mod manifest;
mod policies;
mod race;
pub mod search;
pub mod space;

pub use choose::{BOUND_BROKEN, Choice, Objective, Reason, choose};
pub use front::{Front, Point};
pub use manifest::{Base, BaseError};
pub use search::{Checkpoint, Options, Progress, Search, SearchError};
pub use space::{LawKind, Space};
