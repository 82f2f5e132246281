//! What the poll thread does when its client ends, or its coordinator is silent.

use std::time::{Duration, Instant};

use rdkafka::consumer::Consumer;
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::topic_partition_list::TopicPartitionList;

use super::close::close;
use super::thread::{Poller, subscribed};
use super::{GroupProtocol, rejoin};
use crate::Error;

/// How long an instance id may be held by a member that did not leave. Longer than
/// the session timeout of a broker with default settings, 45 s.
const HELD_LIMIT: Duration = Duration::from_secs(120);
/// Between two attempts to join with an id that is held.
const HELD_RETRY: Duration = Duration::from_secs(2);
/// Between two attempts to start again without a token.
const TOKEN_RETRY: Duration = Duration::from_secs(2);
/// How long a question to the coordinator holds the thread up. It stays asked.
const ASK_WAIT: Duration = Duration::from_millis(100);

impl Poller {
    /// Two fatal errors of the client end only the client: its instance id is still
    /// held by a member that died (KIP-848 refuses the new one, where the classic
    /// protocol fences the old one), and a rejoin after the poll interval was
    /// exceeded, which librdkafka 2.12 gets wrong with KIP-848 (its issue 5541).
    pub(super) fn survive(&mut self, error: Error) -> Result<(), Error> {
        let Error::Client { code, .. } = &error else {
            return Err(error);
        };
        let context = self.consumer.context();
        if context.has_joined() {
            self.held_since = None;
        }
        match code {
            Some(RDKafkaErrorCode::UnreleasedInstanceId) => {
                if self.held_since.get_or_insert_with(Instant::now).elapsed() > HELD_LIMIT {
                    return Err(error);
                }
                if context.to_say(*code).is_some() {
                    tracing::warn!(
                        instance_id = context.options.instance_id,
                        "the instance id is held by a member that did not leave; joining again when its session ends"
                    );
                }
                self.renew_at = Some(Instant::now() + HELD_RETRY);
            }
            Some(RDKafkaErrorCode::InvalidRequest) if context.has_joined() => {
                tracing::warn!(%error, "the group member starts again");
                self.renew_at = Some(Instant::now());
            }
            _ => return Err(error),
        }
        context.lose_everything();
        Ok(())
    }

    /// See [`rejoin`].
    pub(super) fn begin_anew_if_unanswered(&mut self) {
        if self.protocol != GroupProtocol::Classic || self.renew_at.is_some() {
            return;
        }
        let context = self.consumer.context();
        let limit = rejoin::limit(&context.options);
        if context.state().rejoin.is_overdue(limit, Instant::now()) {
            tracing::warn!(
                limit_s = limit.as_secs(),
                "no answer to a join of the group: joining again with a new client"
            );
            context.lose_everything();
            self.renew_at = Some(Instant::now());
        }
    }

    /// With the classic protocol nothing but heartbeats goes to the coordinator while
    /// nothing is written, and none while a join is due. A join that vanished with its
    /// connection is then never missed: the member kept its partitions and believes that it
    /// is still in the group. A question that is not answered within the client's socket timeout ends the
    /// connection, and the client joins again. The answer does not matter.
    pub(super) fn ask_coordinator_if_due(&mut self) {
        if self.protocol != GroupProtocol::Classic
            || self.renew_at.is_some()
            || Instant::now() < self.ask_at
        {
            return;
        }
        let options = &self.consumer.context().options;
        let mut any = TopicPartitionList::new();
        any.add_partition(&options.topic, 0);
        match self.consumer.committed_offsets(any, ASK_WAIT) {
            Ok(_) => self.consumer.context().answered(),
            Err(error) => tracing::debug!(%error, "the coordinator has not answered yet"),
        }
        self.ask_at = Instant::now() + Duration::from_millis(options.session_timeout_ms);
    }

    pub(super) fn renew(&mut self) -> Result<(), Error> {
        let context = self.consumer.context().renewed();
        if let Err(error) = context.options.connection.token()
            && !error.is_permanent()
        {
            tracing::warn!(%error, "the group member cannot start again yet");
            self.renew_at = Some(Instant::now() + TOKEN_RETRY);
            return Ok(());
        }
        self.renew_at = None;
        let old = std::mem::replace(&mut self.consumer, subscribed(context, self.protocol)?);
        if !close(old) {
            tracing::debug!("the client of before is still closing");
        }
        Ok(())
    }
}
