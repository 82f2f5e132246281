//! The open-loop producer.
//!
//! Contract: a record's timestamp is when it should have been sent, whenever it was;
//! nothing that is due is ever left out, so a stall shows as lateness and as
//! age, not as missing load. The schedule begins when the cluster has answered and has given
//! the producer its id, so connecting delays nobody. Deliveries go to the ledger. At full speed there is no
//! schedule: the loop is closed, and measures the client and the cluster.
//!
//! Threads: the loop runs on the caller's runtime and wakes every five
//! milliseconds (`sending`); deliveries arrive on the client's thread (`deliveries`); the
//! ledger has its own.

mod deliveries;
mod sending;

use std::future::Future;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use prometheus_client::registry::Registry;
use serde::Serialize;
use tidegate_kafka::{Admin, ConnectionOptions, Producer, ProducerOptions};

use self::deliveries::{Counters, Deliveries};
use self::sending::Sending;
use crate::ledger::{LedgerMeta, LedgerWriter};
use crate::{Error, LoadProfile};

const READY_TIMEOUT: Duration = Duration::from_secs(30);
const TOPIC_TIMEOUT: Duration = Duration::from_secs(5);
/// A producer's id takes half a second; what is sent without one waits for it.
const ID_TIMEOUT: Duration = Duration::from_secs(2);
const ID_LOOK: Duration = Duration::from_millis(5);

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
    /// From the start of sending to the last acknowledgement, ms; 0 before.
    pub took_ms: u64,
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
            took_ms: self.0.took_ms.load(Relaxed),
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
        let counters = Arc::new(Counters::registered(registry));
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
        let ledger = match &options.ledger {
            Some(directory) => Some(LedgerWriter::create(
                directory,
                &LedgerMeta {
                    topic: options.topic.clone(),
                    seed: options.profile.seed,
                    started_at_ms: now_ms(),
                },
            )?),
            None => None,
        };
        let to_ledger = ledger.as_ref().map(LedgerWriter::sender);
        let deliveries = Arc::new(Deliveries::new(counters.clone(), to_ledger));
        let on_delivery = {
            let deliveries = deliveries.clone();
            Box::new(move |delivery| deliveries.delivered(delivery))
        };
        let producer = Producer::new(&options.connection, &options.client, on_delivery)?;
        wait_for_id(&producer).await;
        let full_speed = options.full_speed;
        let mut sending = Sending::new(options, producer, deliveries);
        match full_speed {
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

async fn wait_for_id(producer: &Producer) {
    let deadline = Instant::now() + ID_TIMEOUT;
    while !producer.has_id() && Instant::now() < deadline {
        tokio::time::sleep(ID_LOOK).await;
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

fn now_ms() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as i64)
}
