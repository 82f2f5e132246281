//! Where logs begin.

use std::collections::HashMap;

use kafka_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use kafka_protocol::messages::{BrokerId, ListOffsetsRequest, TopicName};

use super::partitions::AtStart;
use crate::cluster::{ClusterError, Link};
use crate::wire::text;

const READ_COMMITTED: i8 = 1;
const EARLIEST: i64 = -2;
const VERSION: i16 = 5;

/// First offset by partition; those that the broker does not tell are missing.
pub(super) fn ask(
    link: &mut Link,
    topic: &str,
    partitions: &[AtStart],
) -> Result<HashMap<i32, i64>, ClusterError> {
    let partitions = partitions.iter().map(|(partition, _)| {
        ListOffsetsPartition::default().with_partition_index(*partition).with_timestamp(EARLIEST)
    });
    let asked = ListOffsetsTopic::default()
        .with_name(TopicName(text(topic)))
        .with_partitions(partitions.collect());
    let request = ListOffsetsRequest::default()
        .with_replica_id(BrokerId(-1))
        .with_isolation_level(READ_COMMITTED)
        .with_topics(vec![asked]);
    let answer = link.ask_up_to("look for the start of the log", &request, VERSION)?;
    let partitions = answer.topics.into_iter().flat_map(|topic| topic.partitions);
    let found = partitions.filter(|partition| partition.error_code == 0);
    Ok(found.map(|partition| (partition.partition_index, partition.offset)).collect())
}
