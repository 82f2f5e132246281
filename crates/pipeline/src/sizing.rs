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
}

impl Sizing {
    pub(crate) fn new(options: &PipelineOptions) -> Self {
        Self {
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
}
