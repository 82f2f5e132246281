//! Answers from the simulator: which settings are best ([`tune`]), how much of everything
//! is needed ([`plan`]).
//!
//! Contract: scenarios, a ScaledObject and a seed go in; settings and figures come out, the
//! same for the same input whatever the number of threads. No file is read or written here,
//! no clock is read. Long work reports progress and looks at a stop flag.
//!
//! # Layout
//! - [`trial`]: one law with one scenario and one seed, as figures
//! - `known`: runs that are known without being simulated
//! - `parallel`: work on all cores, results in the order of the input
//! - [`tune`]: the search
//! - [`plan`]: the capacity plan
#![deny(missing_docs)]

mod known;
mod parallel;
pub mod plan;
pub mod trial;
pub mod tune;
