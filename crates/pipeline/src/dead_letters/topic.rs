//! Dead letters as records of a Kafka topic, beside the table.
//!
//! Contract: a sink publishes a batch's letters before it commits the batch, and does
//! not commit if that failed. So the topic has each letter of the table at least once;
//! the table has it exactly once. A letter may come again when its batch is written
//! again: the process remembers what it has published and leaves that out, a process
//! that died does not.
//!
//! A record goes on as it came (key, payload, headers); headers of ours say why and from
//! where. One that is larger than the topic takes goes without payload and headers: a
//! record that nobody can store must not stop its partition.
//!
//! Threads: deliveries are told on the client's thread; publishing blocks the caller's,
//! from async code a thread for blocking work.
//!
//! Rejected: publishing after the commit (a process that dies between the two loses the
//! letter for the topic); a Kafka transaction (it cannot be one with the database's);
//! the table as an outbox (somebody would have to own it over rebalances).

use std::collections::{HashMap, HashSet, VecDeque};
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tidegate_kafka::{
    Admin, ConnectionOptions, Delivery, Error as KafkaError, Producer, ProducerOptions, Record,
    SendError,
};

use crate::Error;
use crate::decode::Rejection;
use crate::sink::SinkError;

/// Letters handed to the client at once; far below what its queue takes.
const CHUNK: usize = 1_000;
/// The client gives a letter up after this, unless the user has said otherwise.
const DELIVERY_TIMEOUT_MS: u64 = 4_000;
/// An answer comes at the delivery timeout at the latest; this is for the client's
/// own clock.
const SLACK: Duration = Duration::from_secs(2);
/// A topic that was only just created, or whose broker has only just started, appears
/// within this.
const APPEARS: Duration = Duration::from_secs(3);
/// Letters that are remembered as published.
const REMEMBERED: usize = 10_000;

/// Names of the headers that are added, in their order.
pub mod header {
    /// Stable code of the reason, see [`reason`](crate::decode::reason).
    pub const REASON_CODE: &str = "tidegate.reason_code";
    /// The reason for a human.
    pub const REASON: &str = "tidegate.reason";
    /// Topic that the record came from.
    pub const TOPIC: &str = "tidegate.topic";
    /// Partition that the record came from, decimal text.
    pub const PARTITION: &str = "tidegate.partition";
    /// Offset of the record, decimal text.
    pub const OFFSET: &str = "tidegate.offset";
    /// Timestamp of the record, Unix milliseconds, decimal text; absent if it has none.
    pub const TIMESTAMP_MS: &str = "tidegate.timestamp_ms";
    /// Length of a payload that was left out because the topic takes none so large.
    pub const LEFT_OUT_BYTES: &str = "tidegate.left_out_bytes";
}

/// A topic for dead letters. Cheap to clone; all clones are one producer.
#[derive(Clone)]
pub struct DeadLetterTopic {
    inner: Arc<Inner>,
}

struct Inner {
    connection: ConnectionOptions,
    topic: String,
    producer: Producer,
    waiting: Arc<Mutex<Waiting>>,
    published: Mutex<Published>,
    /// How long an answer is waited for.
    limit: Duration,
    /// The last publishing failed: is the topic still there?
    is_doubtful: AtomicBool,
}

type Answer = (usize, Result<(), KafkaError>);

/// Who waits for the delivery of a token.
#[derive(Default)]
struct Waiting {
    next_token: u64,
    by_token: HashMap<u64, (Sender<Answer>, usize)>,
}

/// A letter: topic, partition, offset, code of its reason.
type Id = (Arc<str>, i32, i64, &'static str);

/// The letters published last.
#[derive(Default)]
struct Published {
    ids: HashSet<Id>,
    order: VecDeque<Id>,
}

impl Published {
    fn add(&mut self, id: Id) {
        if self.ids.insert(id.clone()) {
            self.order.push_back(id);
        }
        if self.order.len() > REMEMBERED
            && let Some(oldest) = self.order.pop_front()
        {
            self.ids.remove(&oldest);
        }
    }
}

/// A record that becomes a dead letter, and why.
pub(crate) type Letter<'a> = (&'a Record, &'a Rejection);

fn id(letter: &Letter<'_>) -> Id {
    let (record, why) = letter;
    (Arc::clone(&record.topic), record.partition, record.offset, why.code)
}

impl fmt::Debug for DeadLetterTopic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DeadLetterTopic({})", self.inner.topic)
    }
}

impl DeadLetterTopic {
    /// The topic of a cluster. Connecting happens in the background;
    /// [`DeadLetterTopic::check`] asks whether the topic is there.
    ///
    /// # Errors
    /// [`Error::Option`] for a name that no topic can have, [`Error::Kafka`] for options
    /// of the connection.
    pub fn new(connection: &ConnectionOptions, topic: &str) -> Result<Self, Error> {
        if !is_topic_name(topic) {
            return Err(Error::Option {
                field: "dead_letter_topic",
                value: format!("{topic:?}"),
                allowed: "1 to 249 letters, digits and . _ -".into(),
            });
        }
        let mut settings = connection.clone();
        let timeouts = ["message.timeout.ms", "delivery.timeout.ms"];
        let given = timeouts.iter().find_map(|key| settings.librdkafka.get(*key)?.parse().ok());
        if given.is_none() {
            let timeout = DELIVERY_TIMEOUT_MS.to_string();
            settings.librdkafka.insert("message.timeout.ms".into(), timeout);
        }
        let waiting = Arc::new(Mutex::new(Waiting::default()));
        let told = Arc::clone(&waiting);
        let on_delivery = Box::new(move |delivery: Delivery| {
            let answered = lock(&told).by_token.remove(&delivery.token);
            if let Some((sender, index)) = answered {
                // Nobody waits any longer: not an error.
                let _ = sender.send((index, delivery.result.map(drop)));
            }
        });
        let producer = Producer::new(&settings, &ProducerOptions::default(), on_delivery)?;
        let limit = Duration::from_millis(given.unwrap_or(DELIVERY_TIMEOUT_MS)) + SLACK;
        Ok(Self {
            inner: Arc::new(Inner {
                connection: connection.clone(),
                topic: topic.to_owned(),
                producer,
                waiting,
                published: Mutex::default(),
                limit,
                is_doubtful: AtomicBool::new(false),
            }),
        })
    }

    /// Asks whether the topic is there. A sink calls it when it is prepared.
    ///
    /// # Errors
    /// [`SinkError::Fatal`] if it is not, [`SinkError::Retry`] if no broker says.
    pub async fn check(&self) -> Result<(), SinkError> {
        self.blocking(Inner::check).await
    }

    /// Publishes letters: returns when each was acknowledged by all replicas. A sink
    /// calls it before it commits the batch that they are of.
    ///
    /// # Errors
    /// [`SinkError::Retry`] when no acknowledgement came, [`SinkError::Fatal`] when the
    /// cluster refuses for good. Some may have been published.
    pub async fn publish(&self, letters: &[(&Record, &Rejection)]) -> Result<(), SinkError> {
        if letters.is_empty() {
            return Ok(());
        }
        let owned: Vec<(Record, Rejection)> =
            letters.iter().map(|(record, why)| ((*record).clone(), (*why).clone())).collect();
        self.blocking(move |inner| {
            let letters: Vec<Letter<'_>> =
                owned.iter().map(|(record, why)| (record, why)).collect();
            inner.publish(&letters)
        })
        .await
    }

    /// [`DeadLetterTopic::check`] on the caller's thread.
    pub(crate) fn check_blocking(&self) -> Result<(), SinkError> {
        self.inner.check()
    }

    /// [`DeadLetterTopic::publish`] on the caller's thread.
    pub(crate) fn publish_blocking(&self, letters: &[Letter<'_>]) -> Result<(), SinkError> {
        self.inner.publish(letters)
    }

    async fn blocking(
        &self,
        work: impl FnOnce(&Inner) -> Result<(), SinkError> + Send + 'static,
    ) -> Result<(), SinkError> {
        let inner = Arc::clone(&self.inner);
        let done = tokio::task::spawn_blocking(move || work(&inner)).await;
        done.unwrap_or_else(|error| Err(SinkError::Fatal(format!("publishing letters: {error}"))))
    }
}

impl Inner {
    fn check(&self) -> Result<(), SinkError> {
        let topic = &self.topic;
        let retry = |error: KafkaError| self.failed(&error);
        let admin = Admin::new(&self.connection).map_err(retry)?;
        admin.wait_ready(APPEARS).map_err(retry)?;
        match admin.wait_for_topic(topic, APPEARS) {
            Err(KafkaError::UnknownTopic { brokers, .. }) => Err(SinkError::Fatal(format!(
                "dead_letter_topic = {topic:?}: there is no such topic on {brokers}; create it, \
                 or leave the option empty: dead letters are in the table anyway"
            ))),
            Err(error) => Err(retry(error)),
            Ok(()) => {
                self.is_doubtful.store(false, Relaxed);
                Ok(())
            }
        }
    }

    fn publish(&self, letters: &[Letter<'_>]) -> Result<(), SinkError> {
        let fresh: Vec<Letter<'_>> = {
            let published = lock(&self.published);
            letters.iter().filter(|letter| !published.ids.contains(&id(letter))).copied().collect()
        };
        if !fresh.is_empty() && self.is_doubtful.load(Relaxed) {
            self.check()?;
        }
        for chunk in fresh.chunks(CHUNK) {
            let result = self.publish_chunk(chunk);
            self.is_doubtful.store(result.is_err(), Relaxed);
            result?;
        }
        Ok(())
    }

    fn publish_chunk(&self, letters: &[Letter<'_>]) -> Result<(), SinkError> {
        let mut failure = None;
        for (index, result) in self.send(letters, false) {
            let letter = &letters[index];
            let result = match result {
                Err(error) if error.is_too_large() => self.publish_alone(letter),
                Err(error) => Err(self.failed(&error)),
                Ok(()) => Ok(()),
            };
            match result {
                Ok(()) => lock(&self.published).add(id(letter)),
                Err(error) => failure = Some(error),
            }
        }
        failure.map_or(Ok(()), Err)
    }

    /// A request with several records is refused as a whole: one too large for the
    /// topic is met alone, and then goes without its payload.
    fn publish_alone(&self, letter: &Letter<'_>) -> Result<(), SinkError> {
        let alone = std::slice::from_ref(letter);
        for without_payload in [false, true] {
            let answer = self.send(alone, without_payload).into_iter().next();
            match answer.map(|(_, result)| result) {
                Some(Err(error)) if error.is_too_large() && !without_payload => {}
                Some(Err(error)) => return Err(self.failed(&error)),
                _ => return Ok(()),
            }
        }
        Ok(())
    }

    /// Sends letters and waits for the answer to each.
    fn send(&self, letters: &[Letter<'_>], without_payload: bool) -> Vec<Answer> {
        let (sender, receiver) = channel();
        let mut answers = Vec::with_capacity(letters.len());
        for (index, letter) in letters.iter().enumerate() {
            let token = {
                let mut waiting = lock(&self.waiting);
                waiting.next_token += 1;
                let token = waiting.next_token;
                waiting.by_token.insert(token, (sender.clone(), index));
                token
            };
            if let Err(error) = self.hand_over(letter, without_payload, token) {
                lock(&self.waiting).by_token.remove(&token);
                answers.push((index, Err(error)));
            }
        }
        drop(sender);
        self.collect(&receiver, letters.len(), &mut answers);
        answers
    }

    fn collect(&self, receiver: &Receiver<Answer>, wanted: usize, answers: &mut Vec<Answer>) {
        let deadline = Instant::now() + self.limit;
        while answers.len() < wanted {
            let left = deadline.saturating_duration_since(Instant::now());
            match receiver.recv_timeout(left) {
                Ok(answer) => answers.push(answer),
                Err(_) => break,
            }
        }
        for index in 0..wanted {
            if answers.len() < wanted && !answers.iter().any(|(known, _)| *known == index) {
                let brokers = self.connection.brokers.clone();
                let reason = format!("no acknowledgement within {:?}", self.limit);
                answers.push((index, Err(KafkaError::Unreachable { brokers, reason })));
            }
        }
    }

    fn hand_over(
        &self,
        letter: &Letter<'_>,
        without_payload: bool,
        token: u64,
    ) -> Result<(), KafkaError> {
        let (record, why) = *letter;
        let numbers = [record.partition.to_string(), record.offset.to_string()];
        let timestamp = record.timestamp_ms.map(|at_ms| at_ms.to_string());
        let length = record.payload.as_ref().map_or(0, bytes::Bytes::len).to_string();
        let mut more: Vec<(&str, &[u8])> = vec![
            (header::REASON_CODE, why.code.as_bytes()),
            (header::REASON, why.reason.as_bytes()),
            (header::TOPIC, record.topic.as_bytes()),
            (header::PARTITION, numbers[0].as_bytes()),
            (header::OFFSET, numbers[1].as_bytes()),
        ];
        more.extend(timestamp.as_ref().map(|at| (header::TIMESTAMP_MS, at.as_bytes())));
        let sent = if without_payload {
            more.push((header::LEFT_OUT_BYTES, length.as_bytes()));
            let bare = Record { payload: None, headers: Vec::new(), ..record.clone() };
            self.producer.forward(&self.topic, &bare, &more, token)
        } else {
            self.producer.forward(&self.topic, record, &more, token)
        };
        sent.map_err(|error| match error {
            SendError::Other(error) => error,
            SendError::QueueFull => KafkaError::Unreachable {
                brokers: self.connection.brokers.clone(),
                reason: error.to_string(),
            },
        })
    }

    fn failed(&self, error: &KafkaError) -> SinkError {
        let why = format!("dead_letter_topic = {:?}: {error}", self.topic);
        if error.is_refusal() { SinkError::Fatal(why) } else { SinkError::Retry(why) }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn is_topic_name(text: &str) -> bool {
    (1..=249).contains(&text.len())
        && ![".", ".."].contains(&text)
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::reason;
    use crate::testing::record;

    /// Nobody listens there.
    fn topic() -> DeadLetterTopic {
        let mut connection = ConnectionOptions::new("127.0.0.1:9");
        connection.librdkafka.insert("message.timeout.ms".into(), "200".into());
        DeadLetterTopic::new(&connection, "letters").expect("a topic")
    }

    #[test]
    fn a_name_that_no_topic_has_is_refused() {
        let connection = ConnectionOptions::new("127.0.0.1:9");
        for name in ["", ".", "..", "a b", "é", &"x".repeat(250)] {
            let error = DeadLetterTopic::new(&connection, name).expect_err(name).to_string();
            assert!(error.contains("dead_letter_topic") && error.contains("249"), "{error}");
        }
    }

    #[tokio::test]
    async fn a_broker_that_is_not_there_allows_a_retry() {
        let (record, why) = (record(0, 7, "{"), Rejection::new(reason::BAD_JSON, "cut off"));
        let topic = topic();
        let error = topic.publish(&[(&record, &why)]).await.expect_err("nobody answers");
        let SinkError::Retry(text) = error else { panic!("{error:?}") };
        assert!(text.contains("dead_letter_topic = \"letters\""), "{text}");
        assert!(lock(&topic.inner.published).ids.is_empty(), "it counts as published");
        assert!(topic.inner.is_doubtful.load(Relaxed));
        assert!(matches!(topic.check().await, Err(SinkError::Retry(_))));
        assert_eq!(topic.publish(&[]).await, Ok(()));
    }

    #[test]
    fn so_many_letters_are_remembered_and_no_more() {
        let mut published = Published::default();
        let topic: Arc<str> = "t".into();
        let id = |offset| (Arc::clone(&topic), 0, offset, reason::BAD_JSON);
        let count = REMEMBERED as i64 + 5;
        (0..count).for_each(|offset| published.add(id(offset)));
        published.add(id(count - 1));
        assert_eq!((published.ids.len(), published.order.len()), (REMEMBERED, REMEMBERED));
        assert!(!published.ids.contains(&id(4)) && published.ids.contains(&id(5)));
    }
}
