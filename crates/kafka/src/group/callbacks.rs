//! Rebalance callbacks. They run on the poll thread, inside `poll`.
//!
//! The default callback of the client wrapper is overridden: it drops the errors
//! of assign and unassign, and it cannot set start offsets.

use std::sync::{Arc, Mutex, MutexGuard, mpsc};
use std::time::{Duration, Instant};

use rdkafka::client::{ClientContext, OAuthToken};
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer, ConsumerContext};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use rdkafka::types::RDKafkaRespErr;
use tokio::sync::mpsc::Sender;

use super::GroupOptions;
use super::commits::Commits;
use super::events::{AssignReply, GroupEvent, RevokeReply};
use super::handle::Shared;
use super::rejoin::Rejoin;
use crate::fetch::Fetcher;
use crate::security::context::oauth_token;
use crate::security::refusal;
use crate::{Error, Position, StartPosition, TopicPartition, member_id};

/// How long an assignment waits for the group's offsets before it goes on without.
const START_WAIT: Duration = Duration::from_secs(2);
/// Where the client, which reads nothing, is told to start a partition that has no position.
const ANYWHERE: i64 = 0;

/// Everything the poll thread and its callbacks share.
pub(super) struct Context {
    pub(super) options: GroupOptions,
    pub(super) topic: Arc<str>,
    events: Sender<GroupEvent>,
    shared: Arc<Shared>,
    pub(super) fetcher: Arc<Fetcher>,
    state: Mutex<State>,
}

/// Touched by the poll thread only; the lock is never contended.
#[derive(Default)]
pub(super) struct State {
    pub(super) commits: Commits,
    /// Why the thread must end.
    pub(super) end: Option<Error>,
    /// An assignment came: the brokers and we trust each other.
    joined: bool,
    /// Whether the answer to a join is due.
    pub(super) rejoin: Rejoin,
}

impl Context {
    pub(super) fn new(
        options: GroupOptions,
        fetcher: Arc<Fetcher>,
        events: Sender<GroupEvent>,
        shared: Arc<Shared>,
    ) -> Self {
        let topic = Arc::from(options.topic.as_str());
        let state = State { rejoin: Rejoin::begun(Instant::now()), ..State::default() };
        Self { options, topic, events, shared, fetcher, state: Mutex::new(state) }
    }

    /// The same for a client that takes this one's place: it owns nothing yet.
    pub(super) fn renewed(&self) -> Self {
        let (fetcher, events) = (self.fetcher.clone(), self.events.clone());
        Self::new(self.options.clone(), fetcher, events, self.shared.clone())
    }

    /// Tells the engine that everything is gone: this client will not say it.
    pub(super) fn lose_everything(&self) {
        let mut partitions: Vec<TopicPartition> = self.state().commits.owned().cloned().collect();
        partitions.sort();
        self.stop_reading(&partitions);
        if !partitions.is_empty() {
            tracing::warn!(partitions = partitions.len(), "partitions lost with the client");
            self.tell(GroupEvent::Lost { partitions });
        }
        let mut status = self.shared.status();
        status.assigned.clear();
        status.member_id = None;
    }

    /// Whether an assignment ever came.
    pub(super) fn has_joined(&self) -> bool {
        self.state().joined
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// No record of these is told after this.
    fn stop_reading(&self, partitions: &[TopicPartition]) {
        self.fetcher.remove(partitions.iter().map(|partition| partition.partition));
    }

    /// Tells the engine; an engine that is gone ends the member.
    pub(super) fn tell(&self, event: GroupEvent) -> bool {
        let told = self.events.blocking_send(event).is_ok();
        if !told {
            self.state().end.get_or_insert(Error::Ended);
        }
        told
    }

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
        let partitions = partitions.as_slice();
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
        {
            let mut state = self.state();
            for partition in partitions {
                state.commits.remove(partition);
            }
        }
        let mut list = TopicPartitionList::with_capacity(partitions.len());
        for partition in partitions {
            list.add_partition(&partition.topic, partition.partition);
        }
        consumer
            .incremental_unassign(&list)
            .map_err(|error| Error::client("give up revoked partitions", &error))
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
                self.commit_due(consumer);
            }
            Err(error) => tracing::warn!(%error, "revoked without an answer from the engine"),
        }
    }

    /// Commits what is due; counts what is refused.
    pub(super) fn commit_due(&self, consumer: &BaseConsumer<Self>) {
        let due = self.state().commits.due();
        if due.is_empty() {
            return;
        }
        match commit(consumer, &due) {
            Ok(()) => {
                self.state().commits.done(&due);
                self.shared.status().commits_total += 1;
            }
            Err(error) => self.commit_refused(&error),
        }
    }

    fn commit_refused(&self, error: &KafkaError) {
        let code = error.rdkafka_error_code();
        if code == Some(RDKafkaErrorCode::NoOffset) {
            return;
        }
        let reason = code.map_or_else(|| error.to_string(), |code| format!("{code:?}"));
        tracing::debug!(reason, "commit refused, due again while the partitions are ours");
        *self.shared.status().commit_failures.entry(reason).or_default() += 1;
    }

    fn publish(&self, member_id: Option<String>) {
        let mut assigned: Vec<TopicPartition> = self.state().commits.owned().cloned().collect();
        assigned.sort();
        let mut status = self.shared.status();
        status.rebalances_total += 1;
        status.assigned = assigned;
        status.member_id = member_id;
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

fn commit(consumer: &BaseConsumer<Context>, positions: &[Position]) -> KafkaResult<()> {
    let mut list = TopicPartitionList::with_capacity(positions.len());
    for position in positions {
        list.add_partition_offset(
            &position.topic,
            position.partition,
            Offset::Offset(position.next_offset),
        )?;
    }
    consumer.commit(&list, CommitMode::Sync)
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

impl ClientContext for Context {
    const ENABLE_REFRESH_OAUTH_TOKEN: bool = true;

    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        crate::log::line(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        if let Some(refusal) = (!self.has_joined())
            .then(|| refusal::of(&self.options.connection, &error, reason))
            .flatten()
        {
            self.state().end.get_or_insert(refusal);
            return;
        }
        // Once it was a member, whatever is refused may be mended outside.
        tracing::warn!(%error, reason, "kafka client");
    }

    fn generate_oauth_token(
        &self,
        _: Option<&str>,
    ) -> Result<OAuthToken, Box<dyn std::error::Error>> {
        oauth_token(&self.options.connection)
    }
}

impl ConsumerContext for Context {
    fn rebalance(
        &self,
        consumer: &BaseConsumer<Self>,
        code: RDKafkaRespErr,
        list: &mut TopicPartitionList,
    ) {
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
