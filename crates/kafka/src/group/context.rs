//! What the poll thread and its callbacks share: the member's state, the way to the engine,
//! the commit of what is due, and what the client says of itself.
//!
//! Threads: the state is touched by the poll thread only; callbacks run on it, inside `poll`.
//! A client that is being closed may still call from another thread; it is answered and told
//! nothing.
//!
//! A commit is sent, and its answer is looked for at every poll. Only the last one of partitions
//! that go is waited for, for [`ANSWER_WAIT`]: the client waits without a limit, a session
//! timeout and more while the coordinator is away. If the answer comes later, the group still
//! moves on after it: the client finishes giving partitions up only when no commit is under way.
//!
//! A last commit that is not sent, because an earlier one is unanswered, costs nothing where the
//! sink holds the positions: the next owner asks the sink, and its assignment commits them. A
//! sink without positions gets again what came since the last commit that was answered, which
//! is the at least once that it has anyway.
//!
//! Rejected: the wrapper's commits, which wait for ever or drop the outcome; sending the last
//! one behind one that is under way, which the client may send again later than the last one.

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use rdkafka::client::{ClientContext, OAuthToken};
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use tokio::sync::mpsc::Sender;

use super::GroupOptions;
use super::commit::Sent;
use super::commits::Commits;
use super::events::GroupEvent;
use super::handle::Shared;
use super::rejoin::Rejoin;
use crate::fetch::Fetcher;
use crate::said::Said;
use crate::security::context::oauth_token;
use crate::security::refusal;
use crate::{Error, TopicPartition};

/// How long partitions that go wait for the answer to their last commit, and a stop for its
/// client to say so. A coordinator that is there takes milliseconds.
pub(super) const ANSWER_WAIT: Duration = Duration::from_secs(2);

/// Everything the poll thread and its callbacks share.
pub(super) struct Context {
    pub(super) options: GroupOptions,
    pub(super) topic: Arc<str>,
    events: Sender<GroupEvent>,
    shared: Arc<Shared>,
    pub(super) fetcher: Arc<Fetcher>,
    state: Mutex<State>,
    /// Outlives the client.
    said: Arc<Mutex<Said>>,
}

/// Touched by the poll thread only; the lock is never contended.
#[derive(Default)]
pub(super) struct State {
    pub(super) commits: Commits,
    /// The commit that is under way.
    sent: Option<Sent>,
    /// The client is being closed: what it says is of no interest any more.
    pub(super) retired: bool,
    /// Why the thread must end.
    pub(super) end: Option<Error>,
    /// An assignment came: the brokers and we trust each other.
    pub(super) joined: bool,
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
        let (state, said) = (Mutex::new(state), Arc::default());
        Self { options, topic, events, shared, fetcher, state, said }
    }

    /// The same for a client that takes this one's place: it owns nothing yet.
    pub(super) fn renewed(&self) -> Self {
        let (fetcher, events) = (self.fetcher.clone(), self.events.clone());
        let new = Self::new(self.options.clone(), fetcher, events, self.shared.clone());
        Self { said: self.said.clone(), ..new }
    }

    /// If an error of the client is to be said now: how often it came since it was last said.
    pub(super) fn to_say(&self, kind: Option<RDKafkaErrorCode>) -> Option<u64> {
        self.said().comes(kind, Instant::now())
    }

    /// A broker has answered the client.
    pub(super) fn answered(&self) {
        if self.said().is_over(RDKafkaErrorCode::AllBrokersDown) {
            tracing::info!("kafka client: a broker answers again");
        }
    }

    fn said(&self) -> MutexGuard<'_, Said> {
        self.said.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Tells the engine that everything is gone: this client will not say it.
    pub(super) fn lose_everything(&self) {
        let mut partitions: Vec<TopicPartition> = self.state().commits.owned().cloned().collect();
        partitions.sort();
        self.stop_reading(&partitions);
        if !partitions.is_empty() {
            tracing::warn!(partitions = partitions.len(), "partitions lost with the client");
            let mut state = self.state();
            partitions.iter().for_each(|partition| state.commits.remove(partition));
            drop(state);
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
    pub(super) fn stop_reading(&self, partitions: &[TopicPartition]) {
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

    /// Sends what is due, unless a commit is under way.
    pub(super) fn commit_due(&self, consumer: &BaseConsumer<Self>) {
        if !self.take_answer(Duration::ZERO) {
            return;
        }
        let due = self.state().commits.due();
        if due.is_empty() {
            return;
        }
        match Sent::new(consumer.client(), &due) {
            Ok(sent) => {
                let mut state = self.state();
                state.commits.sent(due);
                state.sent = Some(sent);
            }
            Err(error) => self.commit_refused(&error),
        }
    }

    /// The last commit of partitions that go, behind the one that may be under way.
    pub(super) fn commit_last(&self, consumer: &BaseConsumer<Self>) {
        let deadline = Instant::now() + ANSWER_WAIT;
        let in_time = self.take_answer(ANSWER_WAIT) && {
            self.commit_due(consumer);
            self.take_answer(deadline.saturating_duration_since(Instant::now()))
        };
        if !in_time {
            tracing::warn!(
                waited_ms = ANSWER_WAIT.as_millis() as u64,
                "the group's coordinator does not answer a commit: partitions go without; the next \
                 owner starts where the database says, or with records that were handled"
            );
        }
    }

    /// Takes the answer to what was sent, if it comes in time; counts what is refused. Whether
    /// nothing is under way any more.
    pub(super) fn take_answer(&self, wait: Duration) -> bool {
        let Some(sent) = self.state().sent.take() else {
            return true;
        };
        let Some(outcome) = sent.answer(wait) else {
            self.state().sent = Some(sent);
            return false;
        };
        self.state().commits.answered(outcome.is_ok());
        match outcome {
            Ok(()) => {
                self.shared.status().commits_total += 1;
                self.answered();
            }
            Err(error) => self.commit_refused(&error),
        }
        true
    }

    /// Nothing that this client says counts any more; its queues are gone before it is.
    pub(super) fn retire(&self) {
        let mut state = self.state();
        state.retired = true;
        state.sent = None;
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

    /// The same member, after partitions went.
    pub(super) fn publish_again(&self) {
        let member_id = self.shared.status().member_id.clone();
        self.publish(member_id);
    }

    /// What the member says of itself after a rebalance.
    pub(super) fn publish(&self, member_id: Option<String>) {
        let mut assigned: Vec<TopicPartition> = self.state().commits.owned().cloned().collect();
        assigned.sort();
        let mut status = self.shared.status();
        status.rebalances_total += 1;
        status.assigned = assigned;
        status.member_id = member_id;
    }
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
        // What ends the client the poll thread tells in its own words. Once it was a member,
        // whatever is refused may be mended outside.
        let kind = error.rdkafka_error_code();
        let ends =
            matches!(kind, Some(RDKafkaErrorCode::Fatal | RDKafkaErrorCode::UnreleasedInstanceId));
        let said = if ends { None } else { self.to_say(kind) };
        match said {
            Some(times) => tracing::warn!(%error, reason, times, "kafka client"),
            None => tracing::debug!(%error, reason, "kafka client"),
        }
    }

    fn generate_oauth_token(
        &self,
        _: Option<&str>,
    ) -> Result<OAuthToken, Box<dyn std::error::Error>> {
        oauth_token(&self.options.connection)
    }
}
