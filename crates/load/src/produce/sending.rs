//! The two loops: by schedule, and as fast as the client takes records.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use tidegate_kafka::{OutgoingRecord, Producer, SendError};
use tokio::time::{MissedTickBehavior, interval};

use super::deliveries::Deliveries;
use super::{ProduceHandle, ProduceOptions, ProduceSummary, now_ms};
use crate::profile::Arrivals;
use crate::trade::{Kind, Made, TradeGenerator, write_account_id};
use crate::{Error, LoadProfile};

const TICK: Duration = Duration::from_millis(5);
/// Records that share a timestamp at full speed: a millisecond's, or two.
const FULL_SPEED_CHUNK: u64 = 500;
const LOG_INTERVAL: Duration = Duration::from_secs(5);
const FLUSH_TIMEOUT: Duration = Duration::from_secs(60);

pub(super) struct Sending {
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
    pub(super) fn new(
        options: ProduceOptions,
        producer: Producer,
        deliveries: Arc<Deliveries>,
    ) -> Self {
        Self {
            generator: TradeGenerator::new(&options.profile),
            arrivals: options.profile.arrivals(),
            next_due_us: None,
            payload: Vec::with_capacity(256),
            key: String::new(),
            started: Instant::now(),
            started_at_ms: now_ms(),
            producer,
            deliveries,
            options,
        }
    }

    pub(super) async fn run(&mut self, shutdown: impl Future<Output = ()>) -> Result<(), Error> {
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
    pub(super) async fn run_at_full_speed(
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

    pub(super) async fn finish(self) -> Result<ProduceSummary, Error> {
        let Self { producer, deliveries, started, .. } = self;
        // The client's own wait for the last answers is up to 100 ms longer than they take.
        let deadline = Instant::now() + FLUSH_TIMEOUT;
        while let Err(error) = producer.flush(Duration::ZERO) {
            if Instant::now() > deadline {
                return Err(error.into());
            }
            tokio::time::sleep(TICK).await;
        }
        let took_ms = started.elapsed().as_millis() as u64;
        deliveries.counters.took_ms.store(took_ms, Relaxed);
        // Its thread ends with its next look, which takes as long.
        let ended = tokio::task::spawn_blocking(move || drop(producer)).await;
        ended.map_err(|_| tidegate_kafka::Error::Ended)?;
        let summary = ProduceHandle(deliveries.counters.clone()).summary();
        tracing::info!(
            sent = summary.sent,
            acked = summary.acked,
            failed = summary.failed,
            took_ms,
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
