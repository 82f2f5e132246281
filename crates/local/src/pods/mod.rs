//! The consumer pods of the local world: child processes with a lifecycle.
//!
//! Contract: the supervisor keeps `desired` pods. A pod is pending (its start is
//! delayed), starting, ready, backing off after a crash, or draining. A pod that
//! is scaled away gets SIGTERM and, after the grace period, SIGKILL. A pod that
//! dies by itself is started again with backoff, and its group membership is
//! ended at once, so that its partitions do not wait for the session timeout.
//!
//! Threads: everything runs on the caller's current-thread runtime; a task a pod
//! reads its reports and waits for its end.

mod backoff;
mod child;
mod lifecycle;
mod supervisor;
mod victims;

pub use child::CommandTemplate;
pub use lifecycle::{PodState, PodView};
pub use supervisor::{PodTotals, Supervisor, SupervisorOptions};

pub(crate) use child::{ChildEvent, ChildProcess};
