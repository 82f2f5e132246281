//! Milliseconds since 1970 that never go back: the wall clock at the start, and the
//! monotonic clock since.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// A clock for decisions.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    started: Instant,
    started_ms: i64,
}

impl Clock {
    /// Starts from the wall clock.
    pub fn start() -> Self {
        let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let started_ms = i64::try_from(since_1970.as_millis()).unwrap_or(i64::MAX);
        Self { started: Instant::now(), started_ms }
    }

    /// Now.
    pub fn now_ms(&self) -> i64 {
        let elapsed_ms = i64::try_from(self.started.elapsed().as_millis()).unwrap_or(i64::MAX);
        self.started_ms.saturating_add(elapsed_ms)
    }
}
