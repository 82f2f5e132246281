//! How long an answer of the server is waited for.
//!
//! A server that has vanished behind a proxy or a firewall says nothing and never
//! ends the connection, and whoever is in between answers the keepalives. So an
//! exchange has a limit; after it the connection is given up. Whether its COMMIT
//! arrived is told by the positions.
//!
//! The limit doubles for the partitions of an exchange with each one in a row that
//! passed it: a batch that really takes that long gets through at last. Only a success
//! with the same partitions sets it back. What others are answered meanwhile, on other
//! connections, says nothing about this batch.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tidegate_kafka::TopicPartition;
use tokio::time::timeout;

use crate::sink::SinkError;

/// The limit grows to 64 times its start at most.
const DOUBLINGS_MAX: u32 = 6;

/// The limit of one kind of exchange.
pub(super) struct Patience {
    limit: Duration,
    /// How often in a row it was passed, of the partitions with which it was.
    strikes: Mutex<HashMap<TopicPartition, u32>>,
}

impl Patience {
    pub(super) fn new(limit_ms: u64) -> Self {
        Self { limit: Duration::from_millis(limit_ms), strikes: Mutex::default() }
    }

    fn strikes(&self) -> MutexGuard<'_, HashMap<TopicPartition, u32>> {
        self.strikes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The exchange's answer, or an error that allows a retry.
    pub(super) async fn with<T, E: From<SinkError>>(
        &self,
        doing: &'static str,
        partitions: &[TopicPartition],
        exchange: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        let strikes = {
            let strikes = self.strikes();
            partitions.iter().filter_map(|partition| strikes.get(partition)).max().copied()
        };
        let strikes = strikes.unwrap_or(0).min(DOUBLINGS_MAX);
        let limit = self.limit * (1 << strikes);
        let Ok(answer) = timeout(limit, exchange).await else {
            let more = partitions.iter().map(|partition| (partition.clone(), strikes + 1));
            self.strikes().extend(more);
            return Err(SinkError::Retry(format!("{doing}: no answer within {limit:?}")).into());
        };
        if answer.is_ok() {
            let mut strikes = self.strikes();
            for partition in partitions {
                strikes.remove(partition);
            }
        }
        answer
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::partition;

    async fn after(ms: u64) -> Result<(), SinkError> {
        tokio::time::sleep(Duration::from_millis(ms)).await;
        Ok(())
    }

    #[tokio::test(start_paused = true)]
    async fn the_limit_doubles_until_an_answer_comes() {
        let patience = Patience::new(100);
        let partitions = [partition(0)];
        let slow = |ms| patience.with("writing", &partitions, after(ms));
        assert_eq!(slow(99).await, Ok(()));
        for limit in ["100ms", "200ms"] {
            let error = slow(350).await.expect_err("too slow");
            assert_eq!(error, SinkError::Retry(format!("writing: no answer within {limit}")));
        }
        assert_eq!(slow(350).await, Ok(()));
        assert!(slow(150).await.is_err(), "it starts afresh");
    }

    #[tokio::test(start_paused = true)]
    async fn answers_to_others_do_not_hold_a_slow_batch_up() {
        let patience = Patience::new(100);
        let (slow, others) = ([partition(0), partition(1)], [partition(2)]);
        for _ in 0..2 {
            patience.with("writing", &slow, after(350)).await.expect_err("too slow");
            assert_eq!(patience.with("writing", &others, after(1)).await, Ok(()));
            let refused = async { Err::<(), _>(SinkError::Retry("a row is refused".into())) };
            patience.with("writing", &slow, refused).await.expect_err("not written either");
        }
        let with_another = [partition(1), partition(2)];
        assert_eq!(patience.with("writing", &with_another, after(350)).await, Ok(()));
        let error = patience.with("writing", &others, after(350)).await;
        assert!(error.is_err(), "the others have the first limit");
    }
}
