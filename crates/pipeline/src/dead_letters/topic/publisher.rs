//! Hands letters to the client and waits for what becomes of each.
//!
//! Threads: deliveries are told on the client's thread, which only looks up who waits;
//! everything else is on the caller's, which blocks.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tidegate_kafka::{
    Admin, ConnectionOptions, Delivery, Error as KafkaError, Producer, ProducerOptions, Record,
    SendError,
};

use super::published::{Published, id};
use super::{Letter, header};
use crate::Error;
use crate::sink::SinkError;

/// The client gives a letter up after this, unless the user has said otherwise.
const DELIVERY_TIMEOUT_MS: u64 = 4_000;
/// An answer comes at the delivery timeout at the latest; this is for the client's
/// own clock.
const SLACK: Duration = Duration::from_secs(2);
/// Letters handed to the client at once; far below what its queue takes.
const CHUNK: usize = 1_000;
/// A topic that was only just created, or whose broker has only just started, appears
/// within this.
const APPEARS: Duration = Duration::from_secs(3);

/// A producer for one topic.
pub(super) struct Publisher {
    connection: ConnectionOptions,
    topic: String,
    producer: Producer,
    waiting: Arc<Mutex<Waiting>>,
    pub(super) published: Mutex<Published>,
    /// How long an answer is waited for.
    limit: Duration,
    /// The last publishing failed: is the topic still there?
    pub(super) is_doubtful: AtomicBool,
}

type Answer = (usize, Result<(), KafkaError>);

/// Who waits for the delivery of a token.
#[derive(Default)]
struct Waiting {
    next_token: u64,
    by_token: HashMap<u64, (Sender<Answer>, usize)>,
}

impl Publisher {
    /// The client connects in the background.
    pub(super) fn new(connection: &ConnectionOptions, topic: &str) -> Result<Self, Error> {
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
            connection: connection.clone(),
            topic: topic.to_owned(),
            producer,
            waiting,
            published: Mutex::default(),
            limit,
            is_doubtful: AtomicBool::new(false),
        })
    }

    pub(super) fn topic(&self) -> &str {
        &self.topic
    }

    /// Asks whether the topic is there.
    pub(super) fn check(&self) -> Result<(), SinkError> {
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

    /// Publishes those that were not published before.
    pub(super) fn publish(&self, letters: &[Letter<'_>]) -> Result<(), SinkError> {
        let fresh: Vec<Letter<'_>> = {
            let published = lock(&self.published);
            letters.iter().filter(|letter| !published.has(letter)).copied().collect()
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

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
