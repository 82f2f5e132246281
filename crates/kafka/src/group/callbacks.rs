//! Rebalance callbacks: assign, revoke, lost, and where to start reading. They run on the
//! poll thread, inside `poll`.
//!
//! The default callback of the client wrapper is overridden: it drops the errors
//! of assign and unassign, and it cannot set start offsets.

use std::sync::mpsc;
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use rdkafka::types::RDKafkaRespErr;

use super::context::Context;
use super::events::{AssignReply, GroupEvent, RevokeReply};
use crate::{Error, StartPosition, TopicPartition, member_id};

/// How long an assignment waits for the group's offsets before it goes on without.
const START_WAIT: Duration = Duration::from_secs(2);
/// Where the client, which reads nothing, is told to start a partition that has no position.
const ANYWHERE: i64 = 0;

impl Context {
    fn assign(
        &self,
        consumer: &BaseConsumer<Self>,
        partitions: Vec<TopicPartition>,
    ) -> Result<(), Error> {
        let starts =
            if partitions.is_empty() { Vec::new() } else { self.start_positions(&partitions)? };
        let list = start_list(&starts)?;
        // Both always answer Ok; an error of one partition is not reported. Before, for
        // those that the client knows already; after, for the others.
        let _ = consumer.pause(&list);
        consumer
            .incremental_assign(&list)
            .map_err(|error| Error::client("take over assigned partitions", &error))?;
        let _ = consumer.pause(&list);
        {
            let mut state = self.state();
            partitions.into_iter().for_each(|partition| state.commits.assign(partition));
        }
        self.fetcher.add(&starts);
        self.find_starts(consumer);
        Ok(())
    }

    /// Starts of the partitions that the engine has no position of: the group's offsets,
    /// else the start of the log. Those that cannot be told now are asked for again.
    pub(super) fn find_starts(&self, consumer: &BaseConsumer<Self>) {
        let unknown = self.fetcher.without_start();
        if unknown.is_empty() {
            return;
        }
        let mut list = TopicPartitionList::with_capacity(unknown.len());
        for partition in unknown {
            list.add_partition(&self.topic, partition);
        }
        match consumer.committed_offsets(list, START_WAIT) {
            Ok(committed) => {
                for element in committed.elements() {
                    match (element.error(), element.offset()) {
                        (Err(error), _) => tracing::debug!(%error, "the group's offset"),
                        (Ok(()), Offset::Offset(offset)) => {
                            self.fetcher.start(element.partition(), Some(offset));
                        }
                        (Ok(()), _) => self.fetcher.start(element.partition(), None),
                    }
                }
            }
            Err(error) => tracing::debug!(%error, "the group's offsets are not known yet"),
        }
    }

    fn start_positions(&self, partitions: &[TopicPartition]) -> Result<Vec<StartPosition>, Error> {
        let (reply, answer) = mpsc::channel();
        if !self
            .tell(GroupEvent::Assign { partitions: partitions.to_vec(), reply: AssignReply(reply) })
        {
            return Err(Error::Ended);
        }
        answer.recv_timeout(Duration::from_millis(self.options.assign_timeout_ms)).map_err(
            |error| match error {
                mpsc::RecvTimeoutError::Disconnected => Error::Ended,
                mpsc::RecvTimeoutError::Timeout => Error::AssignTimeout {
                    partitions: partitions.len(),
                    timeout_ms: self.options.assign_timeout_ms,
                },
            },
        )
    }

    fn revoke(
        &self,
        consumer: &BaseConsumer<Self>,
        named: Vec<TopicPartition>,
    ) -> Result<(), Error> {
        // A member that leaves while an assignment is on its way is told to give up
        // partitions it was never given, and the client refuses to unassign those:
        // it would then wait for ever for a valid answer.
        let partitions: Vec<TopicPartition> = {
            let state = self.state();
            named.into_iter().filter(|partition| state.commits.owns(partition)).collect()
        };
        self.give_up(consumer, &partitions);
        let mut list = TopicPartitionList::with_capacity(partitions.len());
        for partition in &partitions {
            list.add_partition(&partition.topic, partition.partition);
        }
        consumer
            .incremental_unassign(&list)
            .map_err(|error| Error::client("give up revoked partitions", &error))
    }

    /// Tells the engine that these go, or are gone, and commits where it has got to.
    fn give_up(&self, consumer: &BaseConsumer<Self>, partitions: &[TopicPartition]) {
        self.stop_reading(partitions);
        let lost = consumer.assignment_lost();
        if !partitions.is_empty() {
            if lost {
                tracing::warn!(partitions = partitions.len(), "partitions lost to another member");
                self.tell(GroupEvent::Lost { partitions: partitions.to_vec() });
            } else {
                self.hand_over(consumer, partitions);
            }
        }
        let mut state = self.state();
        for partition in partitions {
            state.commits.remove(partition);
        }
    }

    /// The same for all, before the client says so.
    pub(super) fn give_up_all(&self, consumer: &BaseConsumer<Self>) {
        let mut partitions: Vec<TopicPartition> = self.state().commits.owned().cloned().collect();
        partitions.sort();
        if !partitions.is_empty() {
            self.give_up(consumer, &partitions);
            self.publish_again();
        }
    }

    fn hand_over(&self, consumer: &BaseConsumer<Self>, partitions: &[TopicPartition]) {
        let (reply, answer) = mpsc::channel();
        if !self
            .tell(GroupEvent::Revoke { partitions: partitions.to_vec(), reply: RevokeReply(reply) })
        {
            return;
        }
        match answer.recv_timeout(Duration::from_millis(self.options.revoke_timeout_ms)) {
            Ok(positions) => {
                {
                    let mut state = self.state();
                    positions.iter().for_each(|position| state.commits.want(position));
                }
                self.commit_last(consumer);
            }
            Err(error) => tracing::warn!(%error, "revoked without an answer from the engine"),
        }
    }

    fn partitions(&self, list: &TopicPartitionList) -> Vec<TopicPartition> {
        if list.count() == 0 {
            return Vec::new();
        }
        list.elements()
            .iter()
            .map(|element| TopicPartition {
                topic: self.topic.clone(),
                partition: element.partition(),
            })
            .collect()
    }
}

/// The client waits for an answer to each assignment: without one it would serve no
/// revocation any more, not even that of leaving the group.
fn take_nothing(consumer: &BaseConsumer<Context>) {
    if let Err(error) = consumer.incremental_assign(&TopicPartitionList::new()) {
        tracing::debug!(%error, "an assignment that nobody wants");
    }
}

fn start_list(starts: &[StartPosition]) -> Result<TopicPartitionList, Error> {
    let mut list = TopicPartitionList::with_capacity(starts.len());
    for start in starts {
        let offset = Offset::Offset(start.next_offset.unwrap_or(ANYWHERE));
        list.add_partition_offset(&start.partition.topic, start.partition.partition, offset)
            .map_err(|error| Error::client("set a start position", &error))?;
    }
    Ok(list)
}

impl ConsumerContext for Context {
    fn rebalance(
        &self,
        consumer: &BaseConsumer<Self>,
        code: RDKafkaRespErr,
        list: &mut TopicPartitionList,
    ) {
        if self.state().retired {
            // Any answer will do: a client that is being closed gives everything up.
            let _ = consumer.incremental_unassign(&TopicPartitionList::new());
            return;
        }
        let partitions = self.partitions(list);
        // Before the answer: a client that is being closed may end with it, and whoever asks
        // one that has just ended waits for ever.
        let member_id = member_id::of(consumer.client());
        let outcome = match code {
            RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS => {
                self.assign(consumer, partitions).inspect_err(|_| take_nothing(consumer))
            }
            _ => self.revoke(consumer, partitions),
        };
        if let Err(error) = outcome {
            self.state().end.get_or_insert(error);
        }
        {
            let mut state = self.state();
            state.joined = true;
            match code {
                RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS => state.rejoin.joined(),
                _ => state.rejoin.left(Instant::now()),
            }
        }
        self.publish(member_id);
    }
}
