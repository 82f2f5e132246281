//! What must hold for any input: one function a target.
//!
//! Contract: a function returns, or panics because something does not hold. The fuzzer
//! (`fuzz/`, outside the workspace) calls them with what it makes up; the test
//! `replay` calls them with its committed corpus, on a stable compiler.
//!
//! # Layout
//! - `batches`: a topic's log
//! - `decode`: records
//! - `documents`: manifests, profiles, scenarios
//! - `urls`: PostgreSQL URLs, broker lists
#![deny(missing_docs)]

pub mod batches;
pub mod decode;
pub mod documents;
pub mod urls;

/// A target: its name, which is its corpus' directory, and its function.
pub type Target = (&'static str, fn(&[u8]));

/// Every target of this crate.
pub const TARGETS: &[Target] = &[
    ("batches", batches::log),
    ("trade", decode::trade),
    ("json", decode::json),
    ("mapped", decode::mapped),
    ("mapping", documents::mapping),
    ("scaled_object", documents::scaled_object),
    ("profile", documents::profile),
    ("scenario", documents::scenario),
    ("postgres_url", urls::postgres),
    ("brokers", urls::brokers),
];

/// Errors are shown on one line.
fn assert_one_line(text: &str) {
    assert!(!text.is_empty() && !text.contains('\n'), "not one line: {text:?}");
}
