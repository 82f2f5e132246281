//! The poll thread.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, TryRecvError};
use std::time::{Duration, Instant};

use rdkafka::config::FromClientConfigAndContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use tokio::sync::mpsc::Sender;
use tokio::sync::oneshot;

use super::close::close;
use super::context::{ANSWER_WAIT, Context};
use super::events::GroupEvent;
use super::handle::{Command, Shared};
use super::kip_848;
use super::{GroupOptions, GroupProtocol};
use crate::fetch::Fetcher;
use crate::security::token::install;
use crate::{Error, TopicPartition};

/// How long a poll waits for a rebalance. Bounds how long a command waits; an idle member
/// wakes this often and does nothing.
const POLL_WAIT: Duration = Duration::from_millis(100);

pub(super) struct Poller {
    pub(super) consumer: BaseConsumer<Context>,
    pub(super) protocol: GroupProtocol,
    /// Since when the instance id has been refused as held.
    pub(super) held_since: Option<Instant>,
    /// When a new client takes the place of one that ended.
    pub(super) renew_at: Option<Instant>,
    /// When the coordinator is asked whether it is there.
    pub(super) ask_at: Instant,
    /// When the topic is asked for; `None` once it is known.
    pub(super) topic_at: Option<Instant>,
    inbox: Receiver<Command>,
    pub(super) shared: Arc<Shared>,
    commit_interval: Duration,
    commit_at: Instant,
}

impl Poller {
    pub(super) fn new(
        options: GroupOptions,
        protocol: GroupProtocol,
        fetcher: Fetcher,
        events: Sender<GroupEvent>,
        inbox: Receiver<Command>,
        shared: Arc<Shared>,
    ) -> Result<Self, Error> {
        let commit_interval = Duration::from_millis(options.commit_interval_ms);
        let ask_at = Instant::now() + Duration::from_millis(options.session_timeout_ms);
        let context = Context::new(options, Arc::new(fetcher), events, shared.clone());
        let consumer = subscribed(context, protocol)?;
        Ok(Self {
            consumer,
            protocol,
            held_since: None,
            renew_at: None,
            ask_at,
            topic_at: (protocol == GroupProtocol::Consumer).then(Instant::now),
            inbox,
            shared,
            commit_interval,
            commit_at: Instant::now(),
        })
    }

    pub(super) fn run(mut self) {
        let leaving = loop {
            match self.serve_commands() {
                Ok(None) => {}
                Ok(Some(leaving)) => break Some(leaving),
                Err(error) => break self.fail(error),
            }
            self.begin_anew_if_unanswered();
            self.ask_coordinator_if_due();
            let outcome = match self.renew_at {
                None => self.poll_once(),
                Some(at) if at <= Instant::now() => self.renew(),
                Some(_) => {
                    std::thread::sleep(POLL_WAIT);
                    Ok(())
                }
            };
            if let Err(error) = outcome.or_else(|error| self.survive(error)) {
                break self.fail(error);
            }
        };
        self.leave();
        self.shared.status().alive = false;
        let place = self.place_to_give_up();
        let closed = close(self.consumer);
        if !closed {
            tracing::warn!(
                "the group's coordinator does not answer: the group keeps the partitions of \
                 this member until its session ends"
            );
        }
        if let Some((options, member_id)) = place.filter(|_| closed) {
            kip_848::give_up_place(&options, &member_id);
        }
        if let Some(done) = leaving {
            let _ = done.send(());
        }
    }

    fn fail(&self, error: Error) -> Option<oneshot::Sender<()>> {
        if !matches!(error, Error::Ended) {
            tracing::error!(%error, "the group member ends");
            self.consumer.context().tell(GroupEvent::Fatal(error));
        }
        None
    }

    fn poll_once(&mut self) -> Result<(), Error> {
        self.find_topic()?;
        let context = self.consumer.context();
        // What it fetched before it was paused is read by the fetcher.
        if let Some(Err(error)) = self.consumer.poll(POLL_WAIT) {
            self.client_error(&error)?;
        }
        if let Some(error) = context.state().end.take().or_else(|| context.fetcher.error()) {
            return Err(error);
        }
        context.find_starts(&self.consumer);
        context.fetcher.publish();
        context.take_answer(Duration::ZERO);
        if Instant::now() >= self.commit_at {
            context.commit_due(&self.consumer);
            self.commit_at = Instant::now() + self.commit_interval;
        }
        Ok(())
    }

    /// Only fatal errors end the member; the client recovers from all others.
    pub(super) fn client_error(&self, error: &KafkaError) -> Result<(), Error> {
        let options = &self.consumer.context().options;
        if let Some((code, reason)) = self.consumer.client().fatal_error() {
            let reason = match (code, &options.instance_id) {
                (RDKafkaErrorCode::FencedInstanceId, Some(id)) => {
                    format!("another member has joined with instance id {id:?}: {reason}")
                }
                _ => reason,
            };
            return Err(Error::Client { action: "consume", reason, code: Some(code) });
        }
        match error.rdkafka_error_code() {
            Some(
                RDKafkaErrorCode::GroupAuthorizationFailed
                | RDKafkaErrorCode::TopicAuthorizationFailed,
            ) => Err(Error::Security {
                brokers: options.connection.brokers.clone(),
                reason: format!(
                    "no permission to read topic {} as group {}: {error}",
                    options.topic, options.group
                ),
            }),
            Some(
                RDKafkaErrorCode::UnknownTopicOrPartition
                | RDKafkaErrorCode::UnknownTopic
                | RDKafkaErrorCode::InvalidTopic,
            ) => Err(Error::UnknownTopic {
                topic: options.topic.clone(),
                brokers: options.connection.brokers.clone(),
            }),
            code @ Some(RDKafkaErrorCode::InvalidSessionTimeout) => Err(Error::Client {
                action: "join the group",
                reason: format!(
                    "the broker refuses session_timeout_ms {}: allowed is what its \
                     group.min.session.timeout.ms and group.max.session.timeout.ms say",
                    options.session_timeout_ms
                ),
                code,
            }),
            // The context was told the same.
            _ => Ok(()),
        }
    }

    /// Serves what the engine asked for; a request to leave ends the loop.
    fn serve_commands(&mut self) -> Result<Option<oneshot::Sender<()>>, Error> {
        loop {
            match self.inbox.try_recv() {
                Ok(Command::Commit(positions)) => {
                    let mut state = self.consumer.context().state();
                    positions.iter().for_each(|position| state.commits.want(position));
                }
                Ok(Command::Seek(partition, next_offset)) => self.seek(partition, next_offset),
                Ok(Command::Leave(done)) => return Ok(Some(done)),
                Err(TryRecvError::Empty) => return Ok(None),
                Err(TryRecvError::Disconnected) => return Err(Error::Ended),
            }
        }
    }

    fn seek(&self, partition: TopicPartition, next_offset: i64) {
        let context = self.consumer.context();
        context.fetcher.seek(partition.partition, next_offset, || {
            context.tell(GroupEvent::Seeked { partition, next_offset });
        });
    }

    /// Unsubscribes and polls until the revocation was served, or until the client should
    /// have asked for it: it does not while a commit of earlier is under way. A static member
    /// that keeps its place does not unsubscribe, which would give it up: closing the client
    /// then tells the group nothing.
    fn leave(&self) {
        let context = self.consumer.context();
        context.commit_due(&self.consumer);
        if self.keeps_place() {
            let instance_id = &context.options.instance_id;
            tracing::info!(instance_id, "keeps its place in the group");
        } else {
            self.consumer.unsubscribe();
            let deadline = Instant::now() + ANSWER_WAIT;
            while Instant::now() < deadline && context.state().commits.owned().next().is_some() {
                // Records that still arrive belong to partitions that go: not ours to deliver.
                let _ = self.consumer.poll(Duration::from_millis(20));
            }
        }
        context.give_up_all(&self.consumer);
    }
}

/// A client that has asked to join the group.
pub(super) fn subscribed(
    context: Context,
    protocol: GroupProtocol,
) -> Result<BaseConsumer<Context>, Error> {
    let config = context.options.client_config(protocol)?;
    let token = context.options.connection.token()?;
    let topic = context.options.topic.clone();
    let consumer = BaseConsumer::from_config_and_context(&config, context)
        .map_err(|error| Error::client("create the consumer", &error))?;
    if let Some(token) = token {
        install(consumer.client(), &token)?;
    }
    consumer.subscribe(&[&topic]).map_err(|error| Error::client("subscribe", &error))?;
    Ok(consumer)
}
