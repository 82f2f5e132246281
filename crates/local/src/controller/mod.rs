//! Observe, decide, act: once a second.
//!
//! Contract: `observe` reads Kafka on a thread of its own and never stalls the
//! loop; facts carry their time, and stale ones are an error to the law.
//! `decide` is the pure law, or a fixed schedule. Acting is the supervisor's
//! `scale`.

mod decide;
mod observe;
mod path;

pub use decide::{Decided, Law, LawReplicas};
pub use observe::{Facts, Observer};
pub use path::ReplicaPath;
