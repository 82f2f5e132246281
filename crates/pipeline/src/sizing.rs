//! When a batch closes. The only place that knows: sizes are fixed by option
//! today, and a policy that follows the sink's latency would replace this file.

use std::time::Duration;

use crate::PipelineOptions;

/// Bounds of the next batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Limits {
    pub(crate) max_records: usize,
    pub(crate) max_bytes: usize,
    pub(crate) max_age: Duration,
}

/// The sizing policy.
#[derive(Debug, Clone)]
pub(crate) struct Sizing {
    fixed: Limits,
    writes: usize,
    staged: usize,
    /// Of the last write; zero before the first.
    took: Duration,
}

/// Behind a longer write a staged batch gains nothing, and a revoke would wait for
/// two writes instead of one.
const STAGE_BELOW: Duration = Duration::from_millis(100);

impl Sizing {
    /// `writes` at once is what the sink takes; with `prepares` one more is worth
    /// handing over.
    pub(crate) fn new(options: &PipelineOptions, writes: usize, prepares: bool) -> Self {
        Self {
            writes: writes.max(1),
            staged: usize::from(prepares),
            took: Duration::ZERO,
            fixed: Limits {
                max_records: options.batch_size,
                max_bytes: options.batch_max_bytes,
                max_age: options.batch_timeout(),
            },
        }
    }

    pub(crate) fn limits(&self) -> Limits {
        self.fixed
    }

    /// Writes that the sink works on at once.
    pub(crate) fn writes(&self) -> usize {
        self.writes
    }

    /// Full batches that may wait at the sink behind those.
    pub(crate) fn staged(&self) -> usize {
        if self.took < STAGE_BELOW { self.staged } else { 0 }
    }

    /// A write succeeded, `took` after the sink had begun it.
    pub(crate) fn written(&mut self, took: Duration) {
        self.took = took;
    }
}
