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
        (self.handler)(batch).await?;
        Ok(Written::now())
    }
}
