//! Reads a group's lag without joining it.
//!
//! Contract: one request for the committed offsets, one a leader for the ends.
//! The two are not one consistent cut; a lag can be off by what arrived between.
//! Blocking; call it from a thread that may block. No rebalance is ever caused:
//! the client has the group's id and never subscribes.
//!
//! Rejected: the `consumer_lag` of a member's statistics, which goes stale exactly
//! while fetching is paused; `fetch_watermarks`, a request a partition.

use std::collections::HashMap;
use std::time::Duration;

use rdkafka::config::FromClientConfigAndContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use crate::security::context::{Asking, ask};
use crate::{ConnectionOptions, Error};

const TIMEOUT: Duration = Duration::from_secs(5);

/// Offsets of one partition; `None` is unknown (or, for `committed`, never committed).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PartitionOffsets {
    /// Partition number.
    pub partition: i32,
    /// The group's committed next offset.
    pub committed: Option<i64>,
    /// Start of the log.
    pub start: Option<i64>,
    /// End of the log: the offset the next record gets.
    pub end: Option<i64>,
}

impl PartitionOffsets {
    /// Records not yet committed; from the start of the log where nothing is.
    pub fn lag_records(&self) -> i64 {
        let from = self.committed.or(self.start).unwrap_or(0);
        self.end.map_or(0, |end| (end - from).max(0))
    }
}

/// Lag of one group on one topic.
pub struct LagReader {
    client: BaseConsumer<Asking>,
    brokers: String,
    topic: String,
    starts: HashMap<i32, i64>,
    partitions: Vec<i32>,
}

impl LagReader {
    /// A reader with a client of its own.
    ///
    /// # Errors
    /// [`Error::Option`] or [`Error::Client`] when the client cannot be created.
    pub fn new(connection: &ConnectionOptions, group: &str, topic: &str) -> Result<Self, Error> {
        let mut config = connection.client_config()?;
        config.set("group.id", group).set("enable.auto.commit", "false");
        let context = Asking::new(connection.clone());
        let client = BaseConsumer::from_config_and_context(&config, context)
            .map_err(|error| Error::client("create the lag reader", &error))?;
        Ok(Self {
            client,
            brokers: connection.brokers.clone(),
            topic: topic.into(),
            starts: HashMap::new(),
            partitions: Vec::new(),
        })
    }

    /// Committed, start and end offset of every partition, sorted by partition.
    ///
    /// # Errors
    /// [`Error::UnknownTopic`], [`Error::Security`], or [`Error::Unreachable`] within seconds.
    pub fn read(&mut self) -> Result<Vec<PartitionOffsets>, Error> {
        if self.partitions.is_empty() {
            self.partitions = self.topic_partitions()?;
            self.starts = self.listed(Offset::Beginning)?;
        }
        let ends = self.listed(Offset::End)?;
        let list = self.list(Offset::Invalid)?;
        let committed = ask(&self.client, "read committed offsets", |client| {
            client.committed_offsets(list, TIMEOUT)
        })?;
        let committed: HashMap<i32, i64> = committed
            .elements()
            .iter()
            .filter_map(|element| Some((element.partition(), known(element.offset())?)))
            .collect();
        Ok(self
            .partitions
            .iter()
            .map(|partition| PartitionOffsets {
                partition: *partition,
                committed: committed.get(partition).copied(),
                start: self.starts.get(partition).copied(),
                end: ends.get(partition).copied(),
            })
            .collect())
    }

    /// Forgets partitions and log starts, so that the next read asks again.
    pub fn refresh(&mut self) {
        self.partitions.clear();
    }

    fn topic_partitions(&self) -> Result<Vec<i32>, Error> {
        let metadata = ask(&self.client, "look up the topic", |client| {
            client.fetch_metadata(Some(&self.topic), TIMEOUT)
        })?;
        let mut partitions: Vec<i32> = metadata
            .topics()
            .iter()
            .filter(|topic| topic.error().is_none())
            .flat_map(|topic| {
                topic.partitions().iter().map(rdkafka::metadata::MetadataPartition::id)
            })
            .collect();
        partitions.sort_unstable();
        if partitions.is_empty() {
            return Err(Error::UnknownTopic {
                topic: self.topic.clone(),
                brokers: self.brokers.clone(),
            });
        }
        Ok(partitions)
    }

    fn listed(&self, at: Offset) -> Result<HashMap<i32, i64>, Error> {
        let list = self.list(at)?;
        let answer =
            ask(&self.client, "list offsets", |client| client.offsets_for_times(list, TIMEOUT))?;
        Ok(answer
            .elements()
            .iter()
            .filter(|element| element.error().is_ok())
            .filter_map(|element| Some((element.partition(), known(element.offset())?)))
            .collect())
    }

    fn list(&self, offset: Offset) -> Result<TopicPartitionList, Error> {
        let mut list = TopicPartitionList::with_capacity(self.partitions.len());
        for partition in &self.partitions {
            list.add_partition_offset(&self.topic, *partition, offset)
                .map_err(|error| Error::client("list offsets", &error))?;
        }
        Ok(list)
    }
}

fn known(offset: Offset) -> Option<i64> {
    match offset {
        Offset::Offset(offset) => Some(offset),
        _ => None,
    }
}
