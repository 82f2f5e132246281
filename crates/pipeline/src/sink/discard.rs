//! Nowhere: what reading and decoding alone can do.

use std::sync::Arc;

use tidegate_kafka::TopicPartition;

use super::{Sink, SinkError, Written};
use crate::batch::Batch;
use crate::decode::Row;

/// Drops every batch, and calls it written: for measurements. Kafka's committed
/// offsets follow, so the records are gone for this group.
#[derive(Debug, Clone, Copy, Default)]
pub struct DiscardSink;

impl<R: Row> Sink<R> for DiscardSink {
    async fn positions(
        &self,
        partitions: &[TopicPartition],
    ) -> Result<Vec<Option<i64>>, SinkError> {
        Ok(vec![None; partitions.len()])
    }

    async fn write(&self, _: Arc<Batch<R>>) -> Result<Written, SinkError> {
        Ok(Written::now())
    }
}
