//! An async closure as a sink: at least once.

use std::fmt;
use std::future::Future;
use std::sync::Arc;

use tidegate_kafka::TopicPartition;

use super::{Sink, SinkError, Written};
use crate::batch::Batch;
use crate::decode::Row;

/// Calls a closure with each batch. Kafka's committed offsets follow its
/// success, so after a crash or a rebalance the last batch can come again.
///
/// Dead letters are in [`Batch::dead_letters`]; a handler that ignores them
/// leaves them to the log and the metrics.
///
/// It answers [`SinkError::Retry`] to get the batch again, [`SinkError::Fatal`] to end the
/// pipeline. Positions are not its own, so [`SinkError::Fenced`] is no answer of it. As
/// [`Sink::write`], it must not block its thread.
pub struct HandlerSink<F> {
    handler: F,
}

impl<F> HandlerSink<F> {
    /// `handler` gets a batch and returns when its effects are durable.
    pub fn new<R, Fut>(handler: F) -> Self
    where
        R: Row,
        F: Fn(Arc<Batch<R>>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(), SinkError>> + Send,
    {
        Self { handler }
    }
}

impl<F> fmt::Debug for HandlerSink<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HandlerSink")
    }
}

impl<R, F, Fut> Sink<R> for HandlerSink<F>
where
    R: Row,
    F: Fn(Arc<Batch<R>>) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<(), SinkError>> + Send,
{
    async fn positions(
        &self,
        partitions: &[TopicPartition],
    ) -> Result<Vec<Option<i64>>, SinkError> {
        Ok(vec![None; partitions.len()])
    }

    async fn write(&self, batch: Arc<Batch<R>>) -> Result<Written, SinkError> {
        match (self.handler)(batch).await {
            Ok(()) => Ok(Written::now()),
            Err(error @ SinkError::Fenced { .. }) => Err(SinkError::Fatal(format!(
                "the handler answered \"{error}\", and it keeps no positions to tell that by: \
                 Retry or Fatal are its errors"
            ))),
            Err(error) => Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{batch, partition, trade};

    /// The engine would read positions that nobody keeps, and say that they have vanished.
    #[tokio::test]
    async fn a_handler_that_says_it_is_fenced_is_told_what_it_may_say() {
        let fenced = || SinkError::Fenced { partitions: vec![partition(0)] };
        let sink = HandlerSink::new(move |_: Arc<Batch<crate::TradeRow>>| {
            std::future::ready(Err(fenced()))
        });
        let said = sink.write(Arc::new(batch(vec![trade(0, 0)], None))).await;
        let Err(SinkError::Fatal(said)) = said else { panic!("{said:?}") };
        assert!(said.contains("Retry or Fatal"), "{said}");
    }
}
