//! How long an answer of the server is waited for.
//!
//! A server that has vanished behind a proxy or a firewall says nothing and never
//! ends the connection, and whoever is in between answers the keepalives. So an
//! exchange has a limit; after it the connection is given up. Whether its COMMIT
//! arrived is told by the positions.
//!
//! The limit doubles with each exchange in a row that passed it: a batch that
//! really takes that long gets through at last.

use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::Duration;

use tokio::time::timeout;

use crate::sink::SinkError;

/// The limit grows to 64 times its start at most.
const DOUBLINGS_MAX: u32 = 6;

/// The limit of a sink, and how often in a row it was passed.
pub(super) struct Patience {
    limit: Duration,
    strikes: AtomicU32,
}

impl Patience {
    pub(super) fn new(limit_ms: u64) -> Self {
        Self { limit: Duration::from_millis(limit_ms), strikes: AtomicU32::new(0) }
    }

    /// The exchange's answer, or an error that allows a retry.
    pub(super) async fn with<T, E: From<SinkError>>(
        &self,
        doing: &'static str,
        exchange: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        let limit = self.limit * (1 << self.strikes.load(Relaxed).min(DOUBLINGS_MAX));
        match timeout(limit, exchange).await {
            Ok(answer) => {
                self.strikes.store(0, Relaxed);
                answer
            }
            Err(_) => {
                self.strikes.fetch_add(1, Relaxed);
                Err(SinkError::Retry(format!("{doing}: no answer within {limit:?}")).into())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_limit_doubles_until_an_answer_comes() {
        let patience = Patience::new(100);
        let slow = |ms| async move {
            tokio::time::sleep(Duration::from_millis(ms)).await;
            Ok::<(), SinkError>(())
        };
        assert_eq!(patience.with("writing", slow(99)).await, Ok(()));
        for limit in ["100ms", "200ms"] {
            let error = patience.with("writing", slow(350)).await.expect_err("too slow");
            assert_eq!(error, SinkError::Retry(format!("writing: no answer within {limit}")));
        }
        assert_eq!(patience.with("writing", slow(350)).await, Ok(()));
        assert!(patience.with("writing", slow(150)).await.is_err(), "it starts afresh");
    }
}
