//! Topics, and the start offsets of a group. Blocking.

use std::time::{Duration, Instant};

use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::{FromClientConfig, FromClientConfigAndContext};
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use crate::security::context::{Asking, ask};
use crate::security::token::install;
use crate::{ConnectionOptions, Error, LagReader, Position};

const TIMEOUT: Duration = Duration::from_secs(10);
/// A busy broker takes this long until it leads a thousand new partitions.
const LEADERS_TIMEOUT: Duration = Duration::from_secs(60);
const RETRY_WAIT: Duration = Duration::from_millis(50);

/// Outcome of a topic creation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TopicCreation {
    /// It was created.
    Created,
    /// It was there, with this many partitions.
    Exists {
        /// Partitions it has.
        partitions: i32,
    },
}

/// An administrator of a cluster.
pub struct Admin {
    connection: ConnectionOptions,
    client: BaseConsumer<Asking>,
}

impl Admin {
    /// Creates the client; connecting happens in the background.
    ///
    /// # Errors
    /// [`Error::Option`] or [`Error::Client`].
    pub fn new(connection: &ConnectionOptions) -> Result<Self, Error> {
        let context = Asking::new(connection.clone());
        let client = BaseConsumer::from_config_and_context(&connection.client_config()?, context)
            .map_err(|error| Error::client("create the admin client", &error))?;
        Ok(Self { connection: connection.clone(), client })
    }

    /// A client for the requests that change something. Nobody polls its events:
    /// it gets its token here, and lives for one request.
    fn changing(&self) -> Result<AdminClient<DefaultClientContext>, Error> {
        let client = AdminClient::from_config(&self.connection.client_config()?)
            .map_err(|error| Error::client("create the admin client", &error))?;
        if let Some(token) = self.connection.token()? {
            install(client.inner(), &token)?;
        }
        Ok(client)
    }

    /// Waits until a broker answers a metadata request.
    ///
    /// # Errors
    /// [`Error::Unreachable`] after the timeout, [`Error::Security`] as soon as a
    /// broker refuses.
    pub fn wait_ready(&self, timeout: Duration) -> Result<(), Error> {
        let deadline = Instant::now() + timeout;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let wait = left.min(Duration::from_secs(1)).max(Duration::from_millis(1));
            match ask(&self.client, "look up the cluster", |client| {
                client.fetch_metadata(None, wait)
            }) {
                Ok(metadata) if !metadata.brokers().is_empty() => return Ok(()),
                Ok(_) if left.is_zero() => {
                    return Err(self.unreachable("no broker in the metadata"));
                }
                Err(error) if left.is_zero() || error.is_permanent() => return Err(error),
                Ok(_) | Err(_) => std::thread::sleep(left.min(Duration::from_millis(50))),
            }
        }
    }

    /// Partitions of a topic; `None` when it does not exist.
    ///
    /// # Errors
    /// [`Error::Unreachable`].
    pub fn topic_partitions(&self, topic: &str) -> Result<Option<i32>, Error> {
        let metadata = ask(&self.client, "look up the topic", |client| {
            client.fetch_metadata(Some(topic), TIMEOUT)
        })?;
        Ok(metadata
            .topics()
            .iter()
            .find(|found| found.name() == topic && found.error().is_none())
            .map(|found| found.partitions().len() as i32)
            .filter(|count| *count > 0))
    }

    /// Waits until a topic is there.
    ///
    /// # Errors
    /// [`Error::UnknownTopic`] after the timeout, [`Error::Unreachable`].
    pub fn wait_for_topic(&self, topic: &str, timeout: Duration) -> Result<(), Error> {
        let deadline = Instant::now() + timeout;
        while self.topic_partitions(topic)?.is_none() {
            if Instant::now() >= deadline {
                return Err(Error::UnknownTopic {
                    topic: topic.to_owned(),
                    brokers: self.connection.brokers.clone(),
                });
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    /// Creates a topic with topic-level settings, and waits until it is there.
    ///
    /// # Errors
    /// [`Error::Client`] when the brokers refuse, [`Error::Unreachable`].
    pub fn create_topic(
        &self,
        topic: &str,
        partitions: i32,
        replication: i32,
        settings: &[(&str, &str)],
    ) -> Result<TopicCreation, Error> {
        let new = settings.iter().fold(
            NewTopic::new(topic, partitions, TopicReplication::Fixed(replication)),
            |new, (key, value)| new.set(key, value),
        );
        let options =
            AdminOptions::new().operation_timeout(Some(TIMEOUT)).request_timeout(Some(TIMEOUT));
        let client = self.changing()?;
        let answers = block_on(client.create_topics([&new], &options))?
            .map_err(|error| Error::client("create the topic", &error))?;
        match answers.into_iter().next() {
            Some(Err((_, RDKafkaErrorCode::TopicAlreadyExists))) => {
                let partitions = self.topic_partitions(topic)?.unwrap_or(0);
                Ok(TopicCreation::Exists { partitions })
            }
            Some(Err((_, code))) => Err(Error::Client {
                action: "create the topic",
                reason: code.to_string(),
                code: Some(code),
            }),
            _ => self.wait_for_topic(topic, TIMEOUT).map(|()| TopicCreation::Created),
        }
    }

    /// Deletes a topic.
    ///
    /// # Errors
    /// [`Error::Client`] when the brokers refuse.
    pub fn delete_topic(&self, topic: &str) -> Result<(), Error> {
        let options = AdminOptions::new().operation_timeout(Some(TIMEOUT));
        let client = self.changing()?;
        let answers = block_on(client.delete_topics(&[topic], &options))?
            .map_err(|error| Error::client("delete the topic", &error))?;
        match answers.into_iter().next() {
            Some(Err((_, code))) => Err(Error::Client {
                action: "delete the topic",
                reason: code.to_string(),
                code: Some(code),
            }),
            _ => Ok(()),
        }
    }

    /// Commits the start of the log for each partition the group never committed,
    /// so that nothing is skipped when its members start from zero. The group
    /// must have no members. Returns what was pinned.
    ///
    /// # Errors
    /// [`Error::UnknownTopic`], [`Error::Unreachable`], or [`Error::Client`] when
    /// the group has members.
    pub fn pin_start_offsets(&self, group: &str, topic: &str) -> Result<Vec<Position>, Error> {
        // A topic that was created a moment ago has leaders that do not know it
        // yet, and a first group has to wait for its coordinator.
        let deadline = Instant::now() + LEADERS_TIMEOUT;
        loop {
            match self.try_pin(group, topic) {
                Err(error) if !error.is_permanent() && Instant::now() < deadline => {
                    std::thread::sleep(RETRY_WAIT);
                }
                outcome => return outcome,
            }
        }
    }

    fn try_pin(&self, group: &str, topic: &str) -> Result<Vec<Position>, Error> {
        let offsets = LagReader::new(&self.connection, group, topic)?.read()?;
        let pinned: Vec<Position> = offsets
            .iter()
            .filter(|partition| partition.committed.is_none())
            .map(|partition| Position {
                topic: topic.into(),
                partition: partition.partition,
                next_offset: partition.start.unwrap_or(0),
            })
            .collect();
        if !pinned.is_empty() {
            self.commit_for(group, &pinned)?;
        }
        Ok(pinned)
    }

    fn commit_for(&self, group: &str, positions: &[Position]) -> Result<(), Error> {
        const ACTION: &str = "pin start offsets";
        let failed = |error: KafkaError| Error::client(ACTION, &error);
        let mut config = self.connection.client_config()?;
        config.set("group.id", group).set("enable.auto.commit", "false");
        let client =
            BaseConsumer::from_config_and_context(&config, Asking::new(self.connection.clone()))
                .map_err(failed)?;
        let mut list = TopicPartitionList::with_capacity(positions.len());
        for Position { topic, partition, next_offset } in positions {
            list.add_partition_offset(topic, *partition, Offset::Offset(*next_offset))
                .map_err(failed)?;
        }
        ask(&client, ACTION, |client| client.commit(&list, CommitMode::Sync))
    }

    fn unreachable(&self, reason: &str) -> Error {
        Error::Unreachable { brokers: self.connection.brokers.clone(), reason: reason.to_owned() }
    }
}

/// Waits for an admin future, which the client's own thread completes: a
/// throw-away runtime is enough, and none of the caller's is needed.
fn block_on<F: Future>(future: F) -> Result<F::Output, Error> {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|error| {
            Error::Client { action: "start a runtime", reason: error.to_string(), code: None }
        })?;
    Ok(runtime.block_on(future))
}
