//! An idempotent producer whose deliveries are told one by one.
//!
//! Contract: `acks=all`, idempotent, so a retry neither duplicates nor reorders.
//! Every accepted record is reported exactly once to the delivery callback, on
//! the client's polling thread. A full queue is the caller's to wait for.
//!
//! An idempotent producer needs an id of the cluster before it sends. The client asks for it
//! before it is connected, and again after half a second: [`Producer::has_id`] tells, so that a
//! caller with a schedule can wait for it. The client says so in a log line only.
//!
//! Rejected: its statistics, which say so too (they are text of all partitions, made at an
//! interval as long as it lives).

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::ClientConfig;
use rdkafka::client::{ClientContext, OAuthToken};
use rdkafka::config::{FromClientConfigAndContext, RDKafkaLogLevel};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{DeliveryResult, Header as RawHeader, Message, OwnedHeaders};
use rdkafka::producer::{BaseRecord, Producer as _, ProducerContext, ThreadedProducer};
use serde::{Deserialize, Serialize};

use crate::said::Said;
use crate::security::context::oauth_token;
use crate::security::token::install;
use crate::{ConnectionOptions, Error, Record};

/// Options of a producer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ProducerOptions {
    /// How long records are collected for one request, ms.
    pub linger_ms: u64,
    /// Size of a request to one partition, bytes.
    pub batch_size_bytes: u64,
    /// `none`, `gzip`, `lz4` or `zstd`.
    pub compression: String,
}

impl Default for ProducerOptions {
    fn default() -> Self {
        Self { linger_ms: 5, batch_size_bytes: 131_072, compression: "lz4".into() }
    }
}

/// A record to be sent.
#[derive(Debug, Clone, Copy)]
pub struct OutgoingRecord<'a> {
    /// Topic.
    pub topic: &'a str,
    /// Key; decides the partition.
    pub key: &'a [u8],
    /// Payload; `None` is a tombstone.
    pub payload: Option<&'a [u8]>,
    /// Record timestamp, Unix milliseconds.
    pub timestamp_ms: i64,
    /// Headers: name and value.
    pub headers: &'a [(&'a str, &'a [u8])],
    /// Comes back with the delivery.
    pub token: u64,
}

/// What became of a record.
#[derive(Debug, Clone)]
pub struct Delivery {
    /// The record's token.
    pub token: u64,
    /// Partition and offset, or why it was not acknowledged.
    pub result: Result<(i32, i64), Error>,
}

/// Why a record was not accepted.
#[derive(Debug, Clone, thiserror::Error)]
pub enum SendError {
    /// The local queue is full: wait a little and send it again.
    #[error("the producer's queue is full")]
    QueueFull,
    /// It cannot be sent at all.
    #[error(transparent)]
    Other(Error),
}

type OnDelivery = Box<dyn Fn(Delivery) + Send + Sync>;

struct Context {
    on_delivery: OnDelivery,
    connection: ConnectionOptions,
    has_id: AtomicBool,
    /// The user asked for the client's debug lines.
    debugs: bool,
    said: Mutex<Said>,
    /// It was said that no broker is there.
    is_down: AtomicBool,
}

impl Context {
    fn new(connection: &ConnectionOptions, on_delivery: OnDelivery) -> Self {
        Self {
            on_delivery,
            connection: connection.clone(),
            has_id: AtomicBool::new(false),
            debugs: connection.librdkafka.contains_key("debug"),
            said: Mutex::default(),
            is_down: AtomicBool::new(false),
        }
    }

    fn said(&self) -> MutexGuard<'_, Said> {
        self.said.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// If an error is to be said now: how often it came since it was last said. A client
    /// without brokers says the same again and again.
    fn to_say(&self, error: &KafkaError, now: Instant) -> Option<u64> {
        let kind = error.rdkafka_error_code();
        let times = self.said().comes(kind, now)?;
        self.is_down.fetch_or(kind == Some(RDKafkaErrorCode::AllBrokersDown), Relaxed);
        Some(times)
    }

    /// A broker has acknowledged something; whether it had been said that none is there.
    fn is_up_again(&self) -> bool {
        self.is_down.load(Relaxed)
            && self.is_down.swap(false, Relaxed)
            && self.said().is_over(RDKafkaErrorCode::AllBrokersDown)
    }

    /// The lines that tell an id are asked for by us; they are of no use to anybody else.
    fn is_ours_alone(&self, level: RDKafkaLogLevel) -> bool {
        !self.debugs && matches!(level, RDKafkaLogLevel::Debug)
    }
}

/// Ours first, where the user's raw settings may say something else.
fn client_config(
    connection: &ConnectionOptions,
    options: &ProducerOptions,
) -> Result<ClientConfig, Error> {
    let mut config = connection.client_config()?;
    let defaults = [
        ("batch.size", options.batch_size_bytes.to_string()),
        ("queue.buffering.max.messages", "200000".to_owned()),
        ("message.max.bytes", "10485760".to_owned()),
    ];
    for (key, value) in defaults {
        if !connection.librdkafka.contains_key(key) {
            config.set(key, value);
        }
    }
    config
        .set("enable.idempotence", "true")
        .set("linger.ms", options.linger_ms.to_string())
        .set("compression.type", &options.compression)
        .set("partitioner", "murmur2_random");
    let wanted = config.get("debug").map(|debug| format!("{debug},eos"));
    config.set("debug", wanted.as_deref().unwrap_or("eos"));
    config.set_log_level(RDKafkaLogLevel::Debug);
    Ok(config)
}

/// Whether a log line of the client says that the producer has its id.
fn tells_an_id(facility: &str, message: &str) -> bool {
    facility == "IDEMPSTATE" && message.ends_with("-> Assigned")
}

impl ClientContext for Context {
    const ENABLE_REFRESH_OAUTH_TOKEN: bool = true;

    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        if tells_an_id(facility, message) {
            self.has_id.store(true, Relaxed);
        }
        if !self.is_ours_alone(level) {
            crate::log::line(level, facility, message);
        }
    }

    fn error(&self, error: KafkaError, reason: &str) {
        match self.to_say(&error, Instant::now()) {
            Some(times) => tracing::warn!(%error, reason, times, "kafka producer"),
            None => tracing::debug!(%error, reason, "kafka producer"),
        }
    }

    fn generate_oauth_token(
        &self,
        _: Option<&str>,
    ) -> Result<OAuthToken, Box<dyn std::error::Error>> {
        oauth_token(&self.connection)
    }
}

impl ProducerContext for Context {
    type DeliveryOpaque = usize;

    fn delivery(&self, result: &DeliveryResult<'_>, token: usize) {
        let result = match result {
            Ok(message) => {
                if self.is_up_again() {
                    tracing::info!("kafka producer: a broker answers again");
                }
                Ok((message.partition(), message.offset()))
            }
            Err((error, _)) => Err(Error::client("deliver", error)),
        };
        (self.on_delivery)(Delivery { token: token as u64, result });
    }
}

fn send_error(error: &KafkaError) -> SendError {
    match error.rdkafka_error_code() {
        Some(RDKafkaErrorCode::QueueFull) => SendError::QueueFull,
        _ => SendError::Other(Error::client("send", error)),
    }
}

/// A producer with a polling thread of its own.
pub struct Producer {
    inner: ThreadedProducer<Context>,
}

impl Producer {
    /// Creates the client; connecting happens in the background.
    ///
    /// # Errors
    /// [`Error::Option`], [`Error::Security`] or [`Error::Client`].
    pub fn new(
        connection: &ConnectionOptions,
        options: &ProducerOptions,
        on_delivery: OnDelivery,
    ) -> Result<Self, Error> {
        let config = client_config(connection, options)?;
        // Where there is none for now, the client asks for one again and again.
        let token = match connection.token() {
            Err(error) if !error.is_permanent() => {
                tracing::warn!(%error, "the producer has no token yet");
                None
            }
            token => token?,
        };
        let context = Context::new(connection, on_delivery);
        let inner: ThreadedProducer<Context> =
            ThreadedProducer::from_config_and_context(&config, context)
                .map_err(|error| Error::client("create the producer", &error))?;
        if let Some(token) = token {
            install(inner.client(), &token)?;
        }
        Ok(Self { inner })
    }

    /// Hands a record to the client; its bytes are copied.
    ///
    /// # Errors
    /// [`SendError::QueueFull`] when it should be sent again a little later.
    pub fn send(&self, record: OutgoingRecord<'_>) -> Result<(), SendError> {
        let mut outgoing =
            BaseRecord::<[u8], [u8], usize>::with_opaque_to(record.topic, record.token as usize)
                .key(record.key)
                .timestamp(record.timestamp_ms);
        if let Some(payload) = record.payload {
            outgoing = outgoing.payload(payload);
        }
        if !record.headers.is_empty() {
            let headers =
                record.headers.iter().fold(OwnedHeaders::new(), |headers, (key, value)| {
                    headers.insert(RawHeader { key, value: Some(*value) })
                });
            outgoing = outgoing.headers(headers);
        }
        self.inner.send(outgoing).map_err(|(error, _)| send_error(&error))
    }

    /// Sends a record on to a topic: key, payload and headers as they came, and `more`
    /// headers behind them. Its timestamp is now. Its bytes are copied.
    ///
    /// # Errors
    /// [`SendError::QueueFull`] when it should be sent again a little later.
    pub fn forward(
        &self,
        topic: &str,
        record: &Record,
        more: &[(&str, &[u8])],
        token: u64,
    ) -> Result<(), SendError> {
        let headers = OwnedHeaders::new_with_capacity(record.headers.len() + more.len());
        let headers = record.headers.iter().fold(headers, |headers, header| {
            headers.insert(RawHeader { key: &header.key, value: header.value.as_deref() })
        });
        let headers = more.iter().fold(headers, |headers, (key, value)| {
            headers.insert(RawHeader { key, value: Some(*value) })
        });
        let mut outgoing =
            BaseRecord::<[u8], [u8], usize>::with_opaque_to(topic, token as usize).headers(headers);
        if let Some(key) = &record.key {
            outgoing = outgoing.key(key);
        }
        if let Some(payload) = &record.payload {
            outgoing = outgoing.payload(payload);
        }
        self.inner.send(outgoing).map_err(|(error, _)| send_error(&error))
    }

    /// Whether the cluster has given it the id without which nothing is sent.
    pub fn has_id(&self) -> bool {
        self.inner.context().has_id.load(Relaxed)
    }

    /// Records accepted and not yet reported.
    pub fn in_flight(&self) -> usize {
        usize::try_from(self.inner.in_flight_count()).unwrap_or(0)
    }

    /// Waits until everything accepted was reported.
    ///
    /// # Errors
    /// [`Error::Client`] when the time is over first.
    pub fn flush(&self, timeout: Duration) -> Result<(), Error> {
        self.inner.flush(timeout).map_err(|error| Error::client("flush", &error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn raw_settings_reach_the_client() {
        let mut connection = ConnectionOptions::new("a:1");
        connection.librdkafka.insert("batch.size".into(), "4096".into());
        connection.librdkafka.insert("debug".into(), "broker".into());
        let config = client_config(&connection, &ProducerOptions::default()).expect("valid");
        assert_eq!(config.get("batch.size"), Some("4096"));
        assert_eq!(config.get("message.max.bytes"), Some("10485760"));
        assert_eq!(config.get("debug"), Some("broker,eos"));
        for key in ["linger.ms", "compression.codec", "partitioner", "transactional.id"] {
            let mut connection = ConnectionOptions::new("a:1");
            connection.librdkafka.insert(key.into(), "1".into());
            assert!(client_config(&connection, &ProducerOptions::default()).is_err(), "{key}");
        }
    }

    #[test]
    fn debug_lines_are_shown_to_whoever_asked_for_them() {
        use RDKafkaLogLevel::{Debug, Info, Warning};
        let shown = |connection: &ConnectionOptions| {
            let context = Context::new(connection, Box::new(|_| ()));
            [Debug, Info, Warning].map(|level| !context.is_ours_alone(level))
        };
        let mut connection = ConnectionOptions::new("a:1");
        assert_eq!(shown(&connection), [false, true, true]);
        connection.librdkafka.insert("debug".into(), "broker".into());
        assert_eq!(shown(&connection), [true, true, true]);
    }

    #[test]
    fn a_broker_that_is_away_is_said_once_and_its_return_once() {
        let context = Context::new(&ConnectionOptions::new("a:1"), Box::new(|_| ()));
        let down = KafkaError::Global(RDKafkaErrorCode::AllBrokersDown);
        let start = Instant::now();
        let mut times = (0..60).map(|s| context.to_say(&down, start + Duration::from_secs(s)));
        assert_eq!(times.next(), Some(Some(1)));
        assert_eq!(times.flatten().collect::<Vec<_>>(), [30], "a reminder");
        assert!(context.is_up_again() && !context.is_up_again());
        assert_eq!(context.to_say(&down, start), Some(1), "away again");
    }

    #[test]
    fn an_id_is_told_by_its_own_line_only() {
        let change =
            |to: &str| format!("[thrd:main]: Idempotent producer state change WaitPID -> {to}");
        assert!(tells_an_id("IDEMPSTATE", &change("Assigned")));
        assert!(!tells_an_id("IDEMPSTATE", &change("RequestPID")));
        assert!(!tells_an_id("GETPID", &change("Assigned")));
    }
}
