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
//! - `together`: many laws in one world, their common beginnings once
//! - `parallel`: work on all cores
//! - [`tune`]: the search
//! - [`plan`]: the capacity plan
#![deny(missing_docs)]

mod known;
mod parallel;
pub mod plan;
mod together;
pub mod trial;
pub mod tune;
