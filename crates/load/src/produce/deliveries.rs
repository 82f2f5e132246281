//! What became of the records: counters, metrics and the ledger.
//!
//! Threads: written by the sending loop and by the client's delivery thread.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use tidegate_kafka::Delivery;

use crate::ledger::{Acked, LedgerSender};
use crate::trade::{Kind, Made};

/// State shared with the delivery callback and the handle.
#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) sent: AtomicU64,
    pub(super) acked: AtomicU64,
    pub(super) failed: AtomicU64,
    pub(super) max_lateness_ms: AtomicU64,
    pub(super) took_ms: AtomicU64,
    /// Milli-records a second.
    pub(super) target_milli: AtomicU64,
    pub(super) done: AtomicBool,
    pub(super) sent_metric: Counter,
    pub(super) acked_metric: Counter,
    pub(super) failed_metric: Counter,
    pub(super) lateness_metric: Gauge<f64, AtomicU64>,
    pub(super) target_metric: Gauge<f64, AtomicU64>,
}

impl Counters {
    pub(super) fn registered(registry: &mut Registry) -> Self {
        let counters = Self::default();
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
        counters
    }
}

/// Deliveries on their way to counters and ledger.
pub(super) struct Deliveries {
    pub(super) counters: Arc<Counters>,
    ledger: Option<LedgerSender>,
    /// Sent and not yet reported, by sequence number; empty without a ledger.
    pending: Mutex<HashMap<u64, (u32, i64, Kind)>>,
}

impl Deliveries {
    pub(super) fn new(counters: Arc<Counters>, ledger: Option<LedgerSender>) -> Self {
        Self { counters, ledger, pending: Mutex::default() }
    }

    pub(super) fn sending(&self, made: Made, timestamp_ms: i64) {
        if self.ledger.is_some() {
            self.pending().insert(made.seq, (made.key, timestamp_ms, made.kind));
        }
    }

    pub(super) fn delivered(&self, Delivery { token: seq, result }: Delivery) {
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

    fn pending(&self) -> MutexGuard<'_, HashMap<u64, (u32, i64, Kind)>> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
