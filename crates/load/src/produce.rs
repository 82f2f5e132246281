//! The open-loop producer.
//!
//! Contract: a record's timestamp is when it should have been sent, whenever it was;
//! nothing that is due is ever left out, so a stall shows as lateness and as
//! age, not as missing load. The schedule begins when the cluster has answered, so
//! connecting delays nobody. Deliveries go to the ledger. At full speed there is no
//! schedule: the loop is closed, and measures the client and the cluster.
//!
//! Threads: the loop runs on the caller's runtime and wakes every five
//! milliseconds; deliveries arrive on the client's thread; the ledger has its own.

use std::collections::HashMap;
use std::future::Future;
use std::path::PathBuf;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use serde::Serialize;
use tidegate_kafka::{
    Admin, ConnectionOptions, Delivery, OutgoingRecord, Producer, ProducerOptions, SendError,
};
use tokio::time::{MissedTickBehavior, interval};

use crate::ledger::{Acked, LedgerMeta, LedgerSender, LedgerWriter};
use crate::profile::Arrivals;
use crate::trade::{Kind, Made, TradeGenerator, write_account_id};
use crate::{Error, LoadProfile};

const TICK: Duration = Duration::from_millis(5);
/// Records that share a timestamp at full speed: a millisecond's, or two.
const FULL_SPEED_CHUNK: u64 = 500;
const LOG_INTERVAL: Duration = Duration::from_secs(5);
const READY_TIMEOUT: Duration = Duration::from_secs(30);
const TOPIC_TIMEOUT: Duration = Duration::from_secs(5);
const FLUSH_TIMEOUT: Duration = Duration::from_secs(60);

/// Options of a producer.
#[derive(Debug, Clone)]
pub struct ProduceOptions {
    /// How to reach the cluster.
    pub connection: ConnectionOptions,
    /// Where records go.
    pub topic: String,
    /// The client's options.
    pub client: ProducerOptions,
    /// The load; under `full_speed` only its keys, seed, poison and duration count.
    pub profile: LoadProfile,
    /// Closed loop, as fast as the client takes records, at most this many
    /// (`u64::MAX`: no bound): a record's timestamp is when it is handed over.
    pub full_speed: Option<u64>,
    /// Where acknowledgements are written down.
    pub ledger: Option<PathBuf>,
}

/// What was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct ProduceSummary {
    /// Records handed to the client.
    pub sent: u64,
    /// Records acknowledged.
    pub acked: u64,
    /// Records given up.
    pub failed: u64,
    /// How late the latest record was handed over, ms.
    pub max_lateness_ms: u64,
}

/// State shared with the delivery callback and the handle.
#[derive(Debug, Default)]
struct Counters {
    sent: AtomicU64,
    acked: AtomicU64,
    failed: AtomicU64,
    max_lateness_ms: AtomicU64,
    /// Milli-records a second.
    target_milli: AtomicU64,
    done: AtomicBool,
    sent_metric: Counter,
    acked_metric: Counter,
    failed_metric: Counter,
    lateness_metric: Gauge<f64, AtomicU64>,
    target_metric: Gauge<f64, AtomicU64>,
}

/// Looks at a running producer. Cheap to clone.
#[derive(Debug, Clone)]
pub struct ProduceHandle(Arc<Counters>);

impl ProduceHandle {
    /// Counts so far.
    pub fn summary(&self) -> ProduceSummary {
        ProduceSummary {
            sent: self.0.sent.load(Relaxed),
            acked: self.0.acked.load(Relaxed),
            failed: self.0.failed.load(Relaxed),
            max_lateness_ms: self.0.max_lateness_ms.load(Relaxed),
        }
    }

    /// The profile's rate now, records a second.
    pub fn target_rate_per_s(&self) -> f64 {
        self.0.target_milli.load(Relaxed) as f64 / 1000.0
    }

    /// Whether everything was sent and acknowledged.
    pub fn is_done(&self) -> bool {
        self.0.done.load(Relaxed)
    }
}

/// An open-loop producer.
#[derive(Debug)]
pub struct Produce {
    options: ProduceOptions,
    counters: Arc<Counters>,
}

impl Produce {
    /// Prepares; nothing is connected or written yet.
    pub fn new(options: ProduceOptions, registry: &mut Registry) -> Self {
        let counters = Arc::new(Counters::default());
        let mut add = |name: &str, help: &str, metric: &Counter| {
            registry.register(name, help, metric.clone());
        };
        add("tidegate_producer_sent", "Records handed to the client", &counters.sent_metric);
        add(
            "tidegate_producer_acked",
            "Records acknowledged by all replicas",
            &counters.acked_metric,
        );
        add("tidegate_producer_failed", "Records given up", &counters.failed_metric);
        registry.register(
            "tidegate_producer_lateness_seconds",
            "How late the last records were handed over against their schedule",
            counters.lateness_metric.clone(),
        );
        registry.register(
            "tidegate_producer_target_records_per_second",
            "Rate the load profile asks for now",
            counters.target_metric.clone(),
        );
        Self { options, counters }
    }

    /// Counts while it runs, and after.
    pub fn handle(&self) -> ProduceHandle {
        ProduceHandle(self.counters.clone())
    }

    /// Sends until the profile ends or `shutdown` resolves, then waits for the
    /// acknowledgements of what was sent.
    ///
    /// # Errors
    /// No cluster, a ledger that cannot be written, a record that cannot be sent at all.
    pub async fn run(self, shutdown: impl Future<Output = ()>) -> Result<ProduceSummary, Error> {
        let Self { options, counters } = self;
        tracing::info!("Creating producer with bootstrap_servers: {}", options.connection.brokers);
        wait_for_topic(&options).await?;
        let started_at_ms = now_ms();
        let ledger = match &options.ledger {
            Some(directory) => Some(LedgerWriter::create(
                directory,
                &LedgerMeta {
                    topic: options.topic.clone(),
                    seed: options.profile.seed,
                    started_at_ms,
                },
            )?),
            None => None,
        };
        let deliveries = Arc::new(Deliveries {
            counters: counters.clone(),
            ledger: ledger.as_ref().map(LedgerWriter::sender),
            pending: Mutex::default(),
        });
        let on_delivery = {
            let deliveries = deliveries.clone();
            Box::new(move |delivery| deliveries.delivered(delivery))
        };
        let producer = Producer::new(&options.connection, &options.client, on_delivery)?;
        let mut sending = Sending {
            generator: TradeGenerator::new(&options.profile),
            arrivals: options.profile.arrivals(),
            next_due_us: None,
            payload: Vec::with_capacity(256),
            key: String::new(),
            started: Instant::now(),
            started_at_ms,
            producer,
            deliveries,
            options,
        };
        match sending.options.full_speed {
            Some(records) => sending.run_at_full_speed(records, shutdown).await?,
            None => sending.run(shutdown).await?,
        }
        let summary = sending.finish().await?;
        if let Some(ledger) = ledger {
            ledger.finish()?;
        }
        counters.done.store(true, Relaxed);
        Ok(summary)
    }
}

/// Waits for a broker, and for the topic: one that creates topics by itself takes a
/// moment. Without this the first records would fail half a minute later.
async fn wait_for_topic(options: &ProduceOptions) -> Result<(), Error> {
    let (connection, topic) = (options.connection.clone(), options.topic.clone());
    let ready = tokio::task::spawn_blocking(move || {
        let admin = Admin::new(&connection)?;
        admin.wait_ready(READY_TIMEOUT)?;
        admin.wait_for_topic(&topic, TOPIC_TIMEOUT)
    })
    .await;
    ready.map_err(|_| tidegate_kafka::Error::Ended)??;
    Ok(())
}

/// Deliveries on their way to counters and ledger.
struct Deliveries {
    counters: Arc<Counters>,
    ledger: Option<LedgerSender>,
    /// Sent and not yet reported, by sequence number; empty without a ledger.
    pending: Mutex<HashMap<u64, (u32, i64, Kind)>>,
}

impl Deliveries {
    fn sending(&self, made: Made, timestamp_ms: i64) {
        if self.ledger.is_some() {
            self.pending().insert(made.seq, (made.key, timestamp_ms, made.kind));
        }
    }

    fn delivered(&self, Delivery { token: seq, result }: Delivery) {
        let record =
            self.ledger.as_ref().and_then(|ledger| Some((ledger, self.pending().remove(&seq)?)));
        match result {
            Ok((partition, offset)) => {
                self.counters.acked.fetch_add(1, Relaxed);
                self.counters.acked_metric.inc();
                if let Some((ledger, (key, timestamp_ms, kind))) = record {
                    ledger.acked(Acked { seq, key, partition, offset, timestamp_ms, kind });
                }
            }
            Err(error) => {
                if self.counters.failed.fetch_add(1, Relaxed) == 0 {
                    tracing::error!(%error, seq, "a record was given up");
                }
                self.counters.failed_metric.inc();
                if let Some((ledger, (key, timestamp_ms, kind))) = record {
                    ledger.failed(seq, key, timestamp_ms, kind);
                }
            }
        }
    }

    fn pending(&self) -> std::sync::MutexGuard<'_, HashMap<u64, (u32, i64, Kind)>> {
        self.pending.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

struct Sending {
    options: ProduceOptions,
    generator: TradeGenerator,
    arrivals: Arrivals,
    next_due_us: Option<u64>,
    payload: Vec<u8>,
    key: String,
    started: Instant,
    started_at_ms: i64,
    producer: Producer,
    deliveries: Arc<Deliveries>,
}

impl Sending {
    async fn run(&mut self, shutdown: impl Future<Output = ()>) -> Result<(), Error> {
        let mut shutdown = pin!(shutdown);
        let mut tick = interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let mut pace = PaceLog::new(&self.options.profile);
        let end_s = self.options.profile.duration_s();
        self.next_due_us = self.arrivals.next();
        loop {
            tokio::select! {
                biased;
                () = &mut shutdown => return Ok(()),
                _ = tick.tick() => {}
            }
            let elapsed_s = self.started.elapsed().as_secs_f64();
            let target = self.options.profile.rate_at(elapsed_s);
            self.deliveries.counters.target_milli.store((target * 1000.0) as u64, Relaxed);
            self.deliveries.counters.target_metric.set(target);
            self.send_due().await?;
            pace.tell(self.deliveries.counters.sent.load(Relaxed), target);
            if self.next_due_us.is_none() && elapsed_s >= end_s {
                return Ok(());
            }
        }
    }

    /// Sends without a schedule; a full queue of the client is the only brake.
    async fn run_at_full_speed(
        &mut self,
        records: u64,
        shutdown: impl Future<Output = ()>,
    ) -> Result<(), Error> {
        let mut shutdown = pin!(shutdown);
        let end_s = self.options.profile.duration_s();
        let mut left = records;
        tracing::info!("Starting producer at full speed");
        while left > 0 && self.started.elapsed().as_secs_f64() < end_s {
            // Signals, reports and scrapes have their turn between two chunks.
            tokio::select! {
                biased;
                () = &mut shutdown => return Ok(()),
                () = tokio::task::yield_now() => {}
            }
            let timestamp_ms = now_ms();
            let chunk = left.min(FULL_SPEED_CHUNK);
            for _ in 0..chunk {
                let made = self.generator.make(timestamp_ms, &mut self.payload);
                self.deliveries.sending(made, timestamp_ms);
                self.send(made, timestamp_ms).await?;
            }
            left -= chunk;
            let counters = &self.deliveries.counters;
            counters.sent.fetch_add(chunk, Relaxed);
            counters.sent_metric.inc_by(chunk);
        }
        Ok(())
    }

    /// Sends everything that is due now.
    async fn send_due(&mut self) -> Result<(), Error> {
        let now_us = self.started.elapsed().as_micros() as u64;
        while let Some(due_us) = self.next_due_us.filter(|due_us| *due_us <= now_us) {
            let timestamp_ms = self.started_at_ms + (due_us / 1000) as i64;
            let made = self.generator.make(timestamp_ms, &mut self.payload);
            self.deliveries.sending(made, timestamp_ms);
            self.send(made, timestamp_ms).await?;
            self.next_due_us = self.arrivals.next();
            let late_us = (self.started.elapsed().as_micros() as u64).saturating_sub(due_us);
            let counters = &self.deliveries.counters;
            counters.sent.fetch_add(1, Relaxed);
            counters.sent_metric.inc();
            counters.max_lateness_ms.fetch_max(late_us / 1000, Relaxed);
            counters.lateness_metric.set(late_us as f64 / 1e6);
        }
        Ok(())
    }

    /// Hands one record over; a full queue is waited for.
    async fn send(&mut self, made: Made, timestamp_ms: i64) -> Result<(), Error> {
        self.key.clear();
        write_account_id(made.key, &mut self.key);
        loop {
            let record = OutgoingRecord {
                topic: &self.options.topic,
                key: self.key.as_bytes(),
                payload: (made.kind != Kind::Tombstone).then_some(&self.payload),
                timestamp_ms,
                headers: &[],
                token: made.seq,
            };
            match self.producer.send(record) {
                Ok(()) => return Ok(()),
                Err(SendError::QueueFull) => tokio::time::sleep(TICK).await,
                Err(SendError::Other(error)) => return Err(error.into()),
            }
        }
    }

    async fn finish(self) -> Result<ProduceSummary, Error> {
        let Self { producer, deliveries, .. } = self;
        let flushed = tokio::task::spawn_blocking(move || {
            let flushed = producer.flush(FLUSH_TIMEOUT);
            drop(producer);
            flushed
        })
        .await;
        flushed.map_err(|_| tidegate_kafka::Error::Ended)??;
        let summary = ProduceHandle(deliveries.counters.clone()).summary();
        tracing::info!(
            sent = summary.sent,
            acked = summary.acked,
            failed = summary.failed,
            "producer stopped"
        );
        Ok(summary)
    }
}

/// The demo's log lines.
struct PaceLog {
    at: Instant,
    sent: u64,
}

impl PaceLog {
    fn new(profile: &LoadProfile) -> Self {
        let rate = profile.rate_at(0.0);
        if rate > 0.0 {
            tracing::info!("Starting continuous producer: {rate} messages/second");
            tracing::info!("Target interval: {:.6} seconds", 1.0 / rate);
        } else {
            tracing::info!("Producer paused: MESSAGES_PER_SECOND=0 (not sending messages)");
        }
        Self { at: Instant::now(), sent: 0 }
    }

    fn tell(&mut self, sent: u64, target: f64) {
        let passed = self.at.elapsed();
        if passed < LOG_INTERVAL {
            return;
        }
        if target > 0.0 || sent > self.sent {
            let rate = (sent - self.sent) as f64 / passed.as_secs_f64();
            tracing::info!("Sent: {sent} messages, Rate: {rate:.1} msg/s, Target: {target} msg/s");
        } else {
            tracing::info!("Producer paused: MESSAGES_PER_SECOND=0 (not sending messages)");
        }
        *self = Self { at: Instant::now(), sent };
    }
}

fn now_ms() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as i64)
}
