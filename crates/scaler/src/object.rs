//! One ScaledObject: its law, what it was told, what it answers.
//!
//! The observer is the only one who feeds the law ([`Object::observe`]); the gRPC
//! calls read what came of it ([`Object::status`], [`Object::metric`]) and never
//! wait for Kafka.
//!
//! # Replica counts without Kubernetes
//! A call of KEDA carries no replica count. The members of the group are the pods that
//! work, whoever runs them: they are the ready pods. Wanted so far is what was decided
//! last, since the HPA follows it at its next sync. After a start nothing was decided
//! yet: then the members are counted until their number has been the same for a
//! while (`Settling`); until then requests for the metric fail, and at a failed
//! metric the HPA keeps what it has. So a restart of the scaler changes nothing.
//! Where the Kubernetes API may be read, nothing is counted: the HPA says what there is,
//! and one that does something else than it was told for three syncs is followed.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tidegate_autoscale::law::{Decision, SinkFacts, StockLaw};
use tidegate_kafka::{ClusterError, GroupMember, GroupTopic, PartitionOffsets};
use tokio::sync::watch;

use crate::decide::{Decider, Seen};
use crate::encoding::{TARGET, Told};
use crate::kubernetes::HpaFacts;
use crate::metadata::{LawSettings, Settings};

/// Decisions kept of an object.
const DECISIONS: usize = 256;
/// Of decisions that change nothing, one in so many milliseconds is kept.
const QUIET_MS: i64 = 15_000;
/// Members must have been as many for this long after a start, at most.
const SETTLE_MOST_S: f64 = 30.0;
const SETTLE_LEAST_S: f64 = 5.0;
/// An HPA that wants something else than it was told for this long, three syncs, was
/// told otherwise by somebody: what it wants is what there is.
const DIFFERS_MS: i64 = 45_000;
/// What the pods said of their sink counts for this long: two rounds may fail.
const SINK_MS: i64 = 15_000;
/// Target that lets a decision's log line carry the whole decision as JSON, in the field
/// `decision`. Whoever logs for people turns it off.
pub const DECISION_LOG: &str = "tidegate_decision";

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

/// Why an object has no answer.
#[derive(Debug, Clone, PartialEq)]
pub enum Trouble {
    /// Kafka has not been read yet.
    NotRead,
    /// Members are still being counted.
    Settling {
        /// At most for this long, seconds.
        left_s: f64,
    },
    /// Kafka cannot be read.
    Kafka {
        /// Why.
        error: ClusterError,
        /// For how long, seconds.
        for_s: f64,
        /// How many pods were held meanwhile; `None` when it could never be read.
        held: Option<i32>,
    },
}

/// What an object answers now.
#[derive(Debug, Clone, PartialEq)]
pub struct Status {
    /// When, milliseconds; 0 is never.
    pub at_ms: i64,
    /// When Kafka was read successfully, or else when the object came, milliseconds.
    pub facts_ms: i64,
    /// Pods wanted.
    pub wanted: i32,
    /// Whether there should be any.
    pub active: bool,
    /// Records not yet committed (stock: the metric).
    pub lag: i64,
    /// Members of the group; `None` is unknown.
    pub members: Option<i32>,
    /// What the HPA says, where it may be asked.
    pub hpa: Option<HpaFacts>,
    /// Why there is no metric.
    pub trouble: Option<Trouble>,
    /// Why facts are missing, also while the last good answer is given.
    pub error: Option<String>,
    /// What the stock law would do on the same facts (shadow).
    pub stock_wanted: Option<i32>,
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
    decisions: Mutex<VecDeque<Decision>>,
}

#[derive(Debug)]
struct Mind {
    decider: Decider,
    spec: Option<i32>,
    settling: Settling,
    good_ms: Option<i64>,
    /// Since when the HPA has wanted something else.
    differs_ms: Option<i64>,
    members: Vec<GroupMember>,
}

impl Mind {
    /// Follows an HPA that does not do what it is told: bounded, paused, scaled by hand.
    fn follow(&mut self, now_ms: i64, hpa: Option<HpaFacts>) {
        let Some(desired) =
            hpa.map(|hpa| hpa.desired).filter(|desired| Some(*desired) != self.spec)
        else {
            self.differs_ms = None;
            return;
        };
        let since_ms = *self.differs_ms.get_or_insert(now_ms);
        if self.spec.is_some() && now_ms.saturating_sub(since_ms) >= DIFFERS_MS {
            (self.spec, self.differs_ms) = (Some(desired), None);
        }
    }
}

/// Counting members after a start.
#[derive(Debug, Clone, Copy, Default)]
struct Settling {
    members: Option<i32>,
    since_ms: i64,
    began_ms: Option<i64>,
}

impl Settling {
    /// Seconds that are left; `None` is settled. No members settle at once: nothing
    /// can be taken away from them, and a pod may be wanted.
    fn left_s(&mut self, now_ms: i64, members: Option<i32>, settle_s: f64) -> Option<f64> {
        let began_ms = *self.began_ms.get_or_insert(now_ms);
        if self.members != members {
            (self.members, self.since_ms) = (members, now_ms);
        }
        if members.unwrap_or(0) == 0 {
            return None;
        }
        let same_s = (now_ms - self.since_ms.max(began_ms)) as f64 / 1000.0;
        (same_s < settle_s).then_some(settle_s - same_s)
    }
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
                spec,
                settling: Settling::default(),
                good_ms: None,
                differs_ms: None,
                members: Vec::new(),
            }),
            told: Mutex::new(Told::default()),
            status: watch::Sender::new(status),
            sink: Mutex::new(None),
            decisions: Mutex::new(VecDeque::new()),
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

    /// Members of its group when they were read last.
    pub fn members(&self) -> Vec<GroupMember> {
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
        lock(&self.decisions).iter().cloned().collect()
    }

    /// The newest decision.
    pub fn newest(&self) -> Option<Decision> {
        lock(&self.decisions).back().cloned()
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
            LawSettings::Stock { lag_threshold, .. } => (*lag_threshold, status.lag),
        })
    }

    /// The law looks at new facts.
    pub fn observe(
        &self,
        now_ms: i64,
        offsets: Result<Vec<PartitionOffsets>, ClusterError>,
        members: Option<Vec<GroupMember>>,
        hpa: Option<HpaFacts>,
        acts: bool,
    ) {
        let mut mind = self.mind();
        let count =
            members.as_ref().map(|members| i32::try_from(members.len()).unwrap_or(i32::MAX));
        if let Some(members) = members {
            mind.members = members;
        }
        let error = offsets.as_ref().err().cloned();
        if error.is_none() {
            mind.good_ms = Some(now_ms);
        }
        if acts {
            mind.follow(now_ms, hpa);
        }
        let present = hpa.map(|hpa| hpa.desired).or(count);
        // Without acting (shadow) the world decides what there is.
        let spec = match mind.spec.filter(|_| acts) {
            Some(spec) => Some(spec),
            None => present,
        };
        let settle_s = self.settle_s();
        let left_s = match (mind.spec, hpa) {
            (Some(_), _) | (_, Some(_)) => None,
            _ => mind.settling.left_s(now_ms, count, settle_s),
        };
        let before = self.status();
        let mut after = Status { at_ms: now_ms, members: count, hpa, ..before.clone() };
        after.error = error.as_ref().map(ToString::to_string);
        after.facts_ms = mind.good_ms.unwrap_or(before.facts_ms);
        if mind.good_ms.is_none() {
            let for_s = seconds(now_ms - self.created_ms);
            after.trouble = error.map(|error| Trouble::Kafka { error, for_s, held: None });
        } else {
            let seen = Seen {
                now_ms,
                spec: spec.unwrap_or(before.wanted),
                ready: count.or(spec).unwrap_or(before.wanted),
                offsets: offsets.map_err(|error| error.to_string()),
                sink: self.sink(now_ms),
            };
            let decided = mind.decider.decide(&seen);
            after.lag = decided.lag.unwrap_or(before.lag);
            after.stock_wanted = decided.stock_wanted;
            after.wanted = if left_s.is_some() { seen.spec } else { decided.wanted };
            after.active = decided.active || after.wanted > 0 && error.is_some();
            after.trouble = self.trouble(now_ms, &mind, error, after.wanted, left_s);
            if left_s.is_none() {
                mind.spec = Some(after.wanted);
                self.keep(decided.decision);
            }
        }
        drop(mind);
        self.status.send_replace(after);
    }

    fn trouble(
        &self,
        now_ms: i64,
        mind: &Mind,
        error: Option<ClusterError>,
        held: i32,
        left_s: Option<f64>,
    ) -> Option<Trouble> {
        if let Some(error) = error {
            let for_s = seconds(now_ms - mind.good_ms.unwrap_or(now_ms));
            let over = for_s > self.settings.stale_after_s;
            return (over && self.settings.fallback_replicas.is_none()).then_some(Trouble::Kafka {
                error,
                for_s,
                held: Some(held),
            });
        }
        left_s.map(|left_s| Trouble::Settling { left_s })
    }

    fn settle_s(&self) -> f64 {
        match &self.settings.law {
            LawSettings::Slo(options) => options.pod_start_s.clamp(SETTLE_LEAST_S, SETTLE_MOST_S),
            // The lag is the metric, whatever there is.
            LawSettings::Stock { .. } => 0.0,
        }
    }

    /// Keeps a decision; of those that change nothing, one now and then.
    fn keep(&self, decision: Option<Decision>) {
        let Some(decision) = decision else { return };
        if decision.changes() {
            let whole = tracing::enabled!(target: DECISION_LOG, tracing::Level::INFO)
                .then(|| serde_json::to_string(&decision).ok())
                .flatten();
            tracing::info!(
                object = self.label(),
                from = decision.from,
                to = decision.to,
                why = decision.explanation(),
                decision = whole,
                "decided"
            );
        }
        let mut kept = lock(&self.decisions);
        let quiet = |kept: &Decision| {
            !kept.changes() && decision.at_ms.saturating_sub(kept.at_ms) < QUIET_MS
        };
        // The newest is always there; a quiet one makes room for its successor.
        let replaces = kept.len() >= 2
            && kept.back().is_some_and(quiet)
            && kept.get(kept.len() - 2).is_some_and(|before| {
                !before.changes() && decision.at_ms.saturating_sub(before.at_ms) < QUIET_MS
            });
        if replaces {
            kept.pop_back();
        }
        kept.push_back(decision);
        while kept.len() > DECISIONS {
            kept.pop_front();
        }
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

fn seconds(ms: i64) -> f64 {
    ms as f64 / 1000.0
}

/// What is guarded stays usable when a holder panicked: each field is set on its own.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
#[path = "object_tests.rs"]
mod tests;
