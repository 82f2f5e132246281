//! One ScaledObject: its law, what it was told, what it answers.
//!
//! The observer is the only one who feeds the law ([`Object::observe`]); the gRPC
//! calls read what came of it ([`Object::status`], [`Object::metric`]) and never
//! wait for Kafka.
//!
//! # Layout
//! - `look`: new facts become an answer
//! - `guard`: a look that fails
//! - `present`: how many pods there are, with and without the Kubernetes API
//! - `history`: the decisions that are kept
//! - `status`: what is answered

mod guard;
mod history;
mod look;
mod present;
mod status;
#[cfg(test)]
mod tests;

use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tidegate_autoscale::law::{Decision, SinkFacts, StockLaw};
use tidegate_kafka::{GroupMember, GroupTopic};
use tokio::sync::watch;

use crate::decide::Decider;
use crate::encoding::{TARGET, Told};
use crate::metadata::{LawSettings, Settings};
use crate::outage::Outage;

use self::history::History;
use self::present::Present;

pub use self::history::DECISION_LOG;
pub(crate) use self::history::whole;
pub use self::status::{Status, Trouble};

/// What the pods said of their sink counts for this long: two rounds may fail.
const SINK_MS: i64 = 15_000;
/// Name of an object and of its trigger's settings: an edited object is another one.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ObjectKey {
    /// Namespace.
    pub namespace: String,
    /// Name.
    pub name: String,
    /// Metadata, sorted.
    pub metadata: Vec<(String, String)>,
}

/// One ScaledObject.
#[derive(Debug)]
pub struct Object {
    key: ObjectKey,
    settings: Settings,
    wants: GroupTopic,
    created_ms: i64,
    asked_ms: AtomicI64,
    streams: AtomicUsize,
    mind: Mutex<Mind>,
    told: Mutex<Told>,
    status: watch::Sender<Status>,
    /// What the pods said of their sink, and when.
    sink: Mutex<Option<(i64, SinkFacts)>>,
    history: Mutex<History>,
    /// Looks of the law that ended before their time.
    failing: Mutex<Outage>,
}

#[derive(Debug)]
struct Mind {
    decider: Decider,
    present: Present,
    good_ms: Option<i64>,
    /// And when each was seen first.
    members: Vec<(GroupMember, Instant)>,
}

impl Object {
    /// An object that was asked for now. `spec` is what its predecessor wanted.
    ///
    /// # Errors
    /// The law's option that is outside its range.
    pub fn new(
        key: ObjectKey,
        settings: Settings,
        now_ms: i64,
        spec: Option<i32>,
    ) -> Result<Self, String> {
        let decider = Decider::new(&settings, now_ms)?;
        let wants = GroupTopic { group: settings.group.clone(), topic: settings.topic.clone() };
        let status = Status {
            at_ms: 0,
            facts_ms: now_ms,
            wanted: spec.unwrap_or(0),
            active: false,
            lag: 0,
            members: None,
            hpa: None,
            trouble: Some(Trouble::NotRead),
            error: None,
            is_fallback: false,
            stock_wanted: None,
        };
        Ok(Self {
            key,
            settings,
            wants,
            created_ms: now_ms,
            asked_ms: AtomicI64::new(now_ms),
            streams: AtomicUsize::new(0),
            mind: Mutex::new(Mind {
                decider,
                present: Present::with(spec),
                good_ms: None,
                members: Vec::new(),
            }),
            told: Mutex::new(Told::default()),
            status: watch::Sender::new(status),
            sink: Mutex::new(None),
            history: Mutex::default(),
            failing: Mutex::default(),
        })
    }

    /// Its name.
    pub fn key(&self) -> &ObjectKey {
        &self.key
    }

    /// `namespace/name`.
    pub fn label(&self) -> String {
        format!("{}/{}", self.key.namespace, self.key.name)
    }

    /// What it asked for.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// What is to be read for it.
    pub fn wants(&self) -> &GroupTopic {
        &self.wants
    }

    /// The newest answer.
    pub fn status(&self) -> Status {
        self.status.borrow().clone()
    }

    /// Told when the answer changes.
    pub fn subscribe(&self) -> watch::Receiver<Status> {
        self.status.subscribe()
    }

    /// Members of its group when they were read last, each with when it was seen first.
    pub fn members(&self) -> Vec<(GroupMember, Instant)> {
        self.mind().members.clone()
    }

    /// What the pods say of their sink; `None` leaves what they said before.
    pub fn set_sink(&self, now_ms: i64, facts: Option<SinkFacts>) {
        if let Some(facts) = facts {
            *lock(&self.sink) = Some((now_ms, facts));
        }
    }

    /// What they said, while it counts.
    pub fn sink(&self, now_ms: i64) -> Option<SinkFacts> {
        lock(&self.sink).filter(|(at_ms, _)| now_ms - at_ms <= SINK_MS).map(|(_, facts)| facts)
    }

    /// Notes that somebody asked.
    pub fn touch(&self, now_ms: i64) {
        self.asked_ms.store(now_ms, Ordering::Relaxed);
    }

    /// Lets the stock law look at the same facts.
    pub fn compare_with(&self, stock: StockLaw) {
        self.mind().decider.beside(stock);
    }

    /// It stays although nobody asks.
    pub fn keep_for_ever(&self) {
        self.asked_ms.store(i64::MAX, Ordering::Relaxed);
    }

    /// Whether nobody has asked for that long and nobody listens.
    pub fn is_idle(&self, now_ms: i64, after_ms: i64) -> bool {
        self.streams.load(Ordering::Relaxed) == 0
            && now_ms.saturating_sub(self.asked_ms.load(Ordering::Relaxed)) > after_ms
    }

    /// A stream begins; it counts until the answer is dropped.
    pub fn listen(self: &Arc<Self>) -> Listening {
        self.streams.fetch_add(1, Ordering::Relaxed);
        Listening { object: Arc::clone(self) }
    }

    /// Whether a record is waited for: somebody listens, and there is no pod.
    pub fn waits_for_a_record(&self) -> bool {
        let status = self.status.borrow();
        self.streams.load(Ordering::Relaxed) > 0 && status.at_ms > 0 && !status.active
    }

    /// What was decided, oldest first.
    pub fn decisions(&self) -> Vec<Decision> {
        lock(&self.history).all()
    }

    /// The newest decision.
    pub fn newest(&self) -> Option<Decision> {
        lock(&self.history).newest().cloned()
    }

    /// The metric's target and value for a request now.
    ///
    /// # Errors
    /// Why there is none.
    pub fn metric(&self, now_ms: i64) -> Result<(i64, i64), Trouble> {
        let status = self.status();
        if let Some(trouble) = status.trouble {
            return Err(trouble);
        }
        Ok(match &self.settings.law {
            LawSettings::Slo(options) => {
                let seen = status.hpa.map(|hpa| hpa.current);
                let tolerance = self.settings.hpa_tolerance;
                let value = lock(&self.told).value(
                    now_ms,
                    status.wanted,
                    seen,
                    tolerance,
                    options.max_replicas,
                );
                (TARGET, i64::from(value))
            }
            LawSettings::Stock { lag_threshold, .. } => {
                // A lag for which the HPA wants as many pods.
                let least = if status.is_fallback { i64::from(status.wanted) } else { 0 };
                (*lag_threshold, status.lag.max(least.saturating_mul(*lag_threshold)))
            }
        })
    }

    fn mind(&self) -> MutexGuard<'_, Mind> {
        lock(&self.mind)
    }
}

/// A stream that is open.
#[derive(Debug)]
pub struct Listening {
    object: Arc<Object>,
}

impl Drop for Listening {
    fn drop(&mut self) {
        self.object.streams.fetch_sub(1, Ordering::Relaxed);
    }
}

/// What is guarded stays usable when a holder panicked: each field is set on its own.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
