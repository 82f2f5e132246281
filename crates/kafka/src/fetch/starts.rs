//! Where logs begin.

use std::collections::HashMap;

use super::partitions::AtStart;
use crate::cluster::topics::{EARLIEST, offsets_request};
use crate::cluster::{ClusterError, Link};

const VERSION: i16 = 5;

/// First offset by partition; those that the broker does not tell are missing.
pub(super) fn ask(
    link: &mut Link,
    topic: &str,
    partitions: &[AtStart],
) -> Result<HashMap<i32, i64>, ClusterError> {
    let partitions = partitions.iter().map(|(partition, _)| *partition).collect();
    let request = offsets_request(&[(topic, partitions)], EARLIEST);
    let answer = link.ask_up_to("look for the start of the log", &request, VERSION)?;
    let partitions = answer.topics.into_iter().flat_map(|topic| topic.partitions);
    let found = partitions.filter(|partition| partition.error_code == 0);
    Ok(found.map(|partition| (partition.partition_index, partition.offset)).collect())
}
