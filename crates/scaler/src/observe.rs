//! Reads each cluster on a thread of its own, and lets the laws look.
//!
//! Contract: one read of a cluster an interval, for all its objects together. Between
//! two of them, while an object at zero is listened to (`external-push`), the ends of
//! its topic are looked at more often: a record that arrives is told within one such
//! look. A slow cluster delays its own objects and nobody else's, and neither does an
//! object whose law fails.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tidegate_kafka::{ClusterReader, ConnectionOptions, GroupTopic};

use crate::Error;
use crate::clock::Clock;
use crate::kubernetes::Hpas;
use crate::object::{Object, lock};
use crate::outage::{Outage, Said};
use crate::registry::Registry;

/// Ends a wait early: a new object, or the end.
#[derive(Debug, Default)]
pub struct Bell {
    rung: Mutex<Rung>,
    changed: Condvar,
}

#[derive(Debug, Default, Clone, Copy)]
struct Rung {
    count: u64,
    over: bool,
}

impl Bell {
    /// Somebody new wants to be read.
    pub fn ring(&self) {
        lock(&self.rung).count += 1;
        self.changed.notify_all();
    }

    /// Everything ends.
    pub fn end(&self) {
        lock(&self.rung).over = true;
        self.changed.notify_all();
    }

    /// Waits; false at the end.
    fn wait(&self, heard: &mut u64, until: Instant) -> bool {
        let mut rung = lock(&self.rung);
        loop {
            if rung.over {
                return false;
            }
            let left = until.saturating_duration_since(Instant::now());
            if rung.count != *heard || left.is_zero() {
                *heard = rung.count;
                return true;
            }
            rung = self
                .changed
                .wait_timeout(rung, left)
                .map_or_else(|poisoned| PoisonError::into_inner(poisoned).0, |(rung, _)| rung);
        }
    }
}

/// What the observers count.
#[derive(Debug, Default)]
pub struct Reads {
    /// Reads of a cluster that answered for all objects.
    pub complete: AtomicU64,
    /// Reads in which something could not be answered.
    pub partial: AtomicU64,
    /// Time of all reads, microseconds.
    pub micros: AtomicU64,
    /// End of the last round, by cluster, milliseconds; 0 is none yet.
    pub rounds_ms: Vec<AtomicI64>,
    /// Connections open, by cluster.
    pub connections: Vec<AtomicU64>,
    /// Requests made, by cluster.
    pub requests: Vec<AtomicU64>,
}

impl Reads {
    /// Counters for so many clusters.
    pub fn new(clusters: usize) -> Self {
        Self {
            rounds_ms: (0..clusters).map(|_| AtomicI64::new(0)).collect(),
            connections: (0..clusters).map(|_| AtomicU64::new(0)).collect(),
            requests: (0..clusters).map(|_| AtomicU64::new(0)).collect(),
            ..Self::default()
        }
    }
}

/// What an observer works with.
#[derive(Debug, Clone)]
pub struct Shared {
    /// Objects.
    pub registry: Arc<Registry>,
    /// Wakes the observers.
    pub bell: Arc<Bell>,
    /// Counters.
    pub reads: Arc<Reads>,
    /// What the HPAs say, where that is known.
    pub hpas: Arc<Hpas>,
    /// Time.
    pub clock: Clock,
    /// See [`crate::ScalerOptions`].
    pub interval: Duration,
    /// See [`crate::ScalerOptions`].
    pub wake_interval: Duration,
    /// False in shadow: what is decided is not what there is.
    pub acts: bool,
}

/// Starts the thread of a cluster.
///
/// # Errors
/// [`Error::Kafka`] or [`Error::Thread`].
pub fn start(
    cluster: usize,
    connection: &ConnectionOptions,
    shared: Shared,
) -> Result<std::thread::JoinHandle<()>, Error> {
    let reader = ClusterReader::new(connection)?;
    let observer = Observer::new(cluster, reader, shared);
    std::thread::Builder::new()
        .name(format!("observe-{cluster}"))
        .spawn(move || observer.run())
        .map_err(Error::Thread)
}

struct Observer {
    cluster: usize,
    reader: ClusterReader,
    shared: Shared,
    /// Sum of a topic's ends when nobody needed a pod.
    ends: HashMap<String, i64>,
    outage: Outage,
}

impl Observer {
    fn new(cluster: usize, reader: ClusterReader, shared: Shared) -> Self {
        Self { cluster, reader, shared, ends: HashMap::new(), outage: Outage::default() }
    }

    fn run(mut self) {
        let mut heard = 0;
        let mut next_read = Instant::now();
        loop {
            let objects = self.shared.registry.of_cluster(self.cluster);
            let is_due = Instant::now() >= next_read;
            let new = objects.iter().any(|object| object.status().at_ms == 0);
            if is_due || new {
                next_read = Instant::now() + self.shared.interval;
                let unread = self.read(&objects);
                // A shadow tells of its objects one by one.
                if self.shared.acts {
                    self.say(unread.as_deref());
                }
                self.shared.registry.forget_idle(self.shared.clock.now_ms());
            } else {
                let woken = self.woken(&objects);
                self.read(&woken);
            }
            if let Some(round) = self.shared.reads.rounds_ms.get(self.cluster) {
                round.store(self.shared.clock.now_ms(), Ordering::Relaxed);
            }
            let listens = objects.iter().any(|object| object.waits_for_a_record());
            let wake = Instant::now() + self.shared.wake_interval;
            let until = if listens { next_read.min(wake) } else { next_read };
            if !self.shared.bell.wait(&mut heard, until) {
                return;
            }
        }
    }

    /// Says once for all objects of the cluster what cannot be read.
    fn say(&mut self, unread: Option<&str>) {
        let why = unread.unwrap_or_default();
        match self.outage.look(self.shared.clock.now_ms(), unread) {
            Some(Said::Began) => {
                tracing::warn!(why, "Kafka cannot be read; the counts are held");
            }
            Some(Said::GoesOn { for_s }) => {
                tracing::warn!(for_s, why, "Kafka still cannot be read");
            }
            Some(Said::Over { for_s }) => tracing::info!(for_s, "Kafka is read again"),
            None => {}
        }
    }

    /// Reads for these objects; the first one that could not be, how many there are, and why.
    fn read(&mut self, objects: &[Arc<Object>]) -> Option<String> {
        if objects.is_empty() {
            return None;
        }
        let mut unread: Option<(String, usize)> = None;
        let began = Instant::now();
        let wanted: BTreeSet<&GroupTopic> = objects.iter().map(|object| object.wants()).collect();
        let wanted: Vec<GroupTopic> = wanted.into_iter().cloned().collect();
        let mut offsets: BTreeMap<&GroupTopic, _> =
            wanted.iter().zip(self.reader.read(&wanted)).collect();
        let groups: BTreeSet<&str> = wanted.iter().map(|want| want.group.as_str()).collect();
        let members = self.reader.members(&groups.into_iter().collect::<Vec<_>>());
        let now_ms = self.shared.clock.now_ms();
        let is_complete = offsets.values().all(Result::is_ok);
        let shared_by = |want: &GroupTopic| objects.iter().filter(|o| o.wants() == want).count();
        for object in objects {
            let want = object.wants();
            // Most often one object a group and topic: its answer is moved.
            let answer = match offsets.get(want) {
                Some(_) if objects.len() == wanted.len() || shared_by(want) == 1 => {
                    offsets.remove(want)
                }
                Some(answer) => Some(answer.clone()),
                None => None,
            };
            let Some(answer) = answer else { continue };
            match &answer {
                Ok(offsets) => {
                    let sum = offsets.iter().filter_map(|partition| partition.end).sum();
                    self.ends.insert(want.topic.clone(), sum);
                }
                Err(error) => {
                    let first = || (format!("{}: {error}", object.label()), 0);
                    unread.get_or_insert_with(first).1 += 1;
                }
            }
            let of_group = members.get(&want.group).and_then(|of| of.as_ref().ok()).cloned();
            let hpa = self.shared.hpas.of(object.key());
            object.guarded(now_ms, |object| {
                object.observe(now_ms, answer, of_group, hpa, self.shared.acts);
            });
        }
        self.count(is_complete, began.elapsed());
        unread.map(|(first, count)| match count {
            1 => first,
            _ => format!("{first} (and {} further ScaledObjects)", count - 1),
        })
    }

    fn count(&self, is_complete: bool, took: Duration) {
        let reads = &self.shared.reads;
        let counter = if is_complete { &reads.complete } else { &reads.partial };
        counter.fetch_add(1, Ordering::Relaxed);
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        reads.micros.fetch_add(micros, Ordering::Relaxed);
        if let Some(connections) = reads.connections.get(self.cluster) {
            connections.store(self.reader.connections() as u64, Ordering::Relaxed);
        }
        if let Some(requests) = reads.requests.get(self.cluster) {
            requests.store(self.reader.requests(), Ordering::Relaxed);
        }
    }

    /// Objects without a pod on whose topic something arrived since the last read.
    fn woken(&mut self, objects: &[Arc<Object>]) -> Vec<Arc<Object>> {
        let waiting: Vec<&Arc<Object>> =
            objects.iter().filter(|object| object.waits_for_a_record()).collect();
        if waiting.is_empty() {
            return Vec::new();
        }
        let topics: BTreeSet<&str> =
            waiting.iter().map(|object| object.wants().topic.as_str()).collect();
        let ends = self.reader.ends(&topics);
        waiting
            .into_iter()
            .filter(|object| {
                let topic = &object.wants().topic;
                matches!(ends.get(topic), Some(Ok(end)) if self.ends.get(topic) != Some(end))
            })
            .map(Arc::clone)
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metadata::Settings;
    use crate::object::ObjectKey;

    fn object(name: &str) -> Arc<Object> {
        let pairs = [("consumerGroup", "g"), ("topic", "t")];
        let given = pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).into();
        let settings = Settings::read(name, &given).expect("settings");
        let key = ObjectKey { namespace: "n".into(), name: name.into(), metadata: Vec::new() };
        Arc::new(Object::new(key, settings, 0, None).expect("object"))
    }

    #[test]
    fn what_cannot_be_read_is_one_sentence_for_all_objects() {
        // Nobody listens at port 1.
        let connection = ConnectionOptions::new("127.0.0.1:1");
        let shared = Shared {
            registry: Arc::new(Registry::new(1, 9)),
            bell: Arc::default(),
            reads: Arc::new(Reads::new(1)),
            hpas: Arc::default(),
            clock: Clock::start(),
            interval: Duration::from_secs(1),
            wake_interval: Duration::from_secs(1),
            acts: true,
        };
        let reader = ClusterReader::new(&connection).expect("reader");
        let mut observer = Observer::new(0, reader, shared);
        assert_eq!(observer.read(&[]), None);
        let why = observer.read(&[object("a"), object("b"), object("c")]).expect("unread");
        assert!(why.starts_with("n/a: Kafka does not answer at 127.0.0.1:1"), "{why}");
        assert!(why.ends_with("(and 2 further ScaledObjects)"), "{why}");
    }
}
