//! Nothing to call: the tests of this crate hold `deploy/` against the programs.
//!
//! # Layout
//! - `tests/terraform.rs`: every AWS resource against the provider's schema
//! - `tests/combinations.rs`: rules that no provider checks
//! - `tests/observability.rs`: dashboard, alerts and runbooks against the metrics
#![deny(missing_docs)]
