//! Times that have to fit into each other, looked at once at the start.
//!
//! What cannot work is refused; what works until something is slow is one line.

use crate::config::{BatchSize, ConsumeConfig};
use crate::exit::bad_input;

/// Between the end of the drain and the end of the process, ms: the group is told,
/// the client closes.
const CLOSE_MS: u64 = 2_000;

/// A line about times that will not fit when something is slow.
pub(super) fn check(consume: &ConsumeConfig) -> anyhow::Result<Option<String>> {
    let grace_ms = (consume.grace_period_s * 1000.0) as u64;
    let drain_ms = consume.drain_timeout_ms;
    if drain_ms + CLOSE_MS > grace_ms {
        return Err(bad_input(format!(
            "consume.drain_timeout_ms = {drain_ms}: with {CLOSE_MS} ms to close it is longer than the \
             grace period of {grace_ms} ms (consume.grace_period_s), so a slow drain would be killed; \
             allowed is at most {}",
            grace_ms.saturating_sub(CLOSE_MS)
        )));
    }
    // Batches that follow the cost of a write are as small as that needs.
    let records = match consume.batch_size {
        BatchSize::Fixed(records) => records,
        BatchSize::Auto => consume.batch_size_min,
    };
    let batch_ms = ((consume.batch_processing_time_s
        + consume.message_processing_time_s * records as f64)
        * 1000.0) as u64;
    // A batch in flight is waited for by the drain for three quarters of its time.
    let bounds = [
        ("revoke_timeout_ms", consume.revoke_timeout_ms, "a revocation would abandon it"),
        ("drain_timeout_ms * 3/4", drain_ms / 4 * 3, "a stop would abandon it"),
        (
            "max_poll_interval_ms / 2",
            consume.max_poll_interval_ms / 2,
            "a rebalance would wait for it",
        ),
    ];
    Ok(bounds.into_iter().find(|(_, bound, _)| batch_ms > *bound).map(|(name, bound, why)| {
        format!(
            "a batch takes {batch_ms} ms, more than {name} ({bound} ms): {why}, and the next owner would write it again"
        )
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Layers;

    fn config(text: &str) -> ConsumeConfig {
        Layers::of(text).and_then(Layers::resolve).expect("resolves").consume
    }

    #[test]
    fn the_defaults_fit() {
        assert_eq!(check(&config("")).expect("fits"), None);
    }

    #[test]
    fn a_drain_longer_than_the_grace_period_is_refused() {
        let error = check(&config("[consume]\ngrace_period_s = 20.0")).expect_err("refused");
        let line = error.to_string();
        assert!(
            line.contains("drain_timeout_ms = 25000") && line.contains("at most 18000"),
            "{line}"
        );
    }

    #[test]
    fn a_batch_longer_than_a_revocation_waits_is_told() {
        let slow =
            config("[consume]\nbatch_processing_time_s = 1.0\nmessage_processing_time_s = 0.1");
        let line = check(&slow).expect("works").expect("told");
        assert!(
            line.contains("11000 ms") && line.contains("revoke_timeout_ms (10000 ms)"),
            "{line}"
        );
    }
}
