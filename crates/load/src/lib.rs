//! Load with a proof: profiles, trades, an open-loop producer, a ledger, an audit.
//!
//! # Layout
//! - [`profile`]: rates over time, and when each record is due; the crate
//!   `tidegate-profile` under the name it has here
//! - [`trade`]: trades deterministic from a seed, and records that are none (pure)
//! - [`produce`]: sends what is due, with the time when it was due
//! - [`ledger`]: what was acknowledged, on disk
//! - [`mod@audit`]: ledger against database
#![deny(missing_docs)]

pub mod audit;
mod error;
pub mod ledger;
pub mod produce;
pub mod trade;

pub use error::Error;
pub use tidegate_profile as profile;
pub use tidegate_profile::LoadProfile;
