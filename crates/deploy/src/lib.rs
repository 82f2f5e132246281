//! The tests of this crate hold `deploy/` against the programs.
//!
//! # Layout
//! - `observability`: what dashboard and alerts ask Prometheus for; for tests here, and for
//!   one that scrapes running programs
//! - `tests/terraform.rs`: every AWS resource against the provider's schema
//! - `tests/combinations.rs`: rules that no provider checks
//! - `tests/observability.rs`: dashboard, alerts and runbooks against the metrics
//! - `tests/errors.rs`: `docs/errors.md` against the programs' errors
#![deny(missing_docs)]

pub mod observability;
