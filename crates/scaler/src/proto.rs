//! KEDA's interface, generated from `proto/externalscaler.proto`; a test holds the two
//! together (`tests/generated.rs`), so that no build needs a protocol compiler.
#![allow(missing_docs, unreachable_pub, clippy::all, clippy::pedantic)]

include!("generated/externalscaler.rs");

/// The interface's description, for reflection.
pub const DESCRIPTOR: &[u8] = include_bytes!("generated/externalscaler.fds");
