//! Reading a topic's log, without the client library.
//!
//! Contract: records of the partitions that were added, each from its position on, in
//! order, none twice and none left out, those of transactions that were given up excepted.
//! They go out in the same channel as everything else that happens to a partition, and
//! under one lock with it: once [`Fetcher::remove`] or [`Fetcher::seek`] has returned, no
//! record of before is told. What fails because a broker is down or a leader moves is
//! tried again for ever.
//!
//! Threads: one that looks for leaders (`lookup`), and one for each broker that
//! leads something (`broker`), with a connection each and one request at a time. They end by
//! themselves when the fetcher is dropped. The lock is held while records are told, so
//! whoever receives them must not wait for the fetcher.
//!
//! librdkafka keeps the membership; its own fetching is paused. A record costs it an
//! event, an allocation and a copy on each of two threads; here it costs a few varints.
//! See ADR 033.
//!
//! # Layout
//! - `partitions`: where each partition stands, and what has to be looked up (pure)
//! - `broker`: the requests to one broker; `answer`: what becomes of its records
//! - `lookup`: leaders; `starts`: where logs begin
//! - `batches`, `compression`, `varint`: what is in an answer (pure)

mod answer;
mod batches;
mod broker;
mod compression;
mod lookup;
mod partitions;
mod starts;
mod varint;

use std::collections::HashSet;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::sync::mpsc::Sender;

use self::compression::Decompressor;
use self::partitions::{Backoff, Partitions};
use crate::batch::Aborted;
use crate::chunk::Chunks;
use crate::cluster::{ClusterError, Link};
use crate::group::Shared;
use crate::{Error, GroupEvent, GroupOptions, Record, StartPosition};

const SPARE_TERM: Duration = Duration::from_secs(60);

/// Reads the partitions that it is told to. Dropping it ends its threads.
#[derive(Debug)]
pub(crate) struct Fetcher {
    inner: Arc<Inner>,
}

/// What the threads share.
#[derive(Debug)]
struct Inner {
    options: GroupOptions,
    member: Arc<Shared>,
    state: Mutex<State>,
    /// Something for `lookup` or `broker` to do.
    changed: Condvar,
}

#[derive(Debug)]
struct State {
    partitions: Partitions,
    /// Brokers that have a thread.
    threads: HashSet<i32>,
    /// Left by `lookup` for whoever needs one to that broker: pods that start together are
    /// many connections as it is.
    spare: Option<(Link, Instant)>,
    /// What went wrong last,
    trouble: String,
    /// and whether that was said and is not over.
    in_trouble: bool,
    /// `None` once it is over.
    events: Option<Sender<GroupEvent>>,
    /// Why it is over.
    error: Option<Error>,
}

impl Fetcher {
    pub(crate) fn spawn(
        options: GroupOptions,
        member: Arc<Shared>,
        events: Sender<GroupEvent>,
    ) -> Result<Self, Error> {
        // Pods that lose the same broker do not come back at the same moment.
        let jittered = |ms: u64| Duration::from_millis(ms).mul_f64(0.75 + 0.5 * fastrand::f64());
        let backoff = Backoff {
            first: jittered(options.connection.reconnect_backoff_ms),
            most: jittered(options.connection.reconnect_backoff_max_ms),
        };
        let state = State {
            partitions: Partitions::new(backoff),
            threads: HashSet::new(),
            spare: None,
            trouble: String::new(),
            in_trouble: false,
            events: Some(events),
            error: None,
        };
        let inner =
            Arc::new(Inner { options, member, state: Mutex::new(state), changed: Condvar::new() });
        let lookup = inner.clone();
        start_thread("kafka-lookup".to_owned(), move || lookup::run(&lookup))?;
        Ok(Self { inner })
    }

    /// Reads these as well. Those without a position wait for [`Fetcher::start`].
    pub(crate) fn add(&self, starts: &[StartPosition]) {
        let mut state = self.inner.lock();
        for start in starts {
            state.partitions.add(start.partition.partition, start.next_offset);
        }
        self.inner.changed.notify_all();
    }

    /// Partitions whose start is not known.
    pub(crate) fn without_start(&self) -> Vec<i32> {
        self.inner.lock().partitions.without_start()
    }

    /// Where such a partition starts; `None` is the start of the log.
    pub(crate) fn start(&self, partition: i32, next_offset: Option<i64>) {
        self.inner.lock().partitions.start(partition, next_offset);
        self.inner.changed.notify_all();
    }

    /// No record of these is told any more.
    pub(crate) fn remove(&self, partitions: impl IntoIterator<Item = i32>) {
        let mut state = self.inner.lock();
        for partition in partitions {
            state.partitions.remove(partition);
        }
    }

    /// Goes on elsewhere; `tell` comes after all records of before and before all others.
    pub(crate) fn seek(&self, partition: i32, next_offset: i64, tell: impl FnOnce()) {
        let mut state = self.inner.lock();
        if state.partitions.seek(partition, next_offset) {
            tell();
        }
        self.inner.changed.notify_all();
    }

    /// Tells the member's status why partitions are not read, though it is tried again and
    /// again. The threads do so as well: whoever calls this may be held up by a broker.
    pub(crate) fn publish(&self) {
        self.inner.publish(&self.inner.lock());
    }

    /// Why it has ended by itself.
    pub(crate) fn error(&self) -> Option<Error> {
        self.inner.lock().error.take()
    }
}

impl Drop for Fetcher {
    fn drop(&mut self) {
        self.inner.lock().events = None;
        self.inner.changed.notify_all();
    }
}

impl Inner {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The lock orders what is told.
    fn publish(&self, state: &State) {
        self.member.status().unread = state.unread();
    }

    /// Says once that something cannot be read, until all is read again.
    fn failed(&self, doing: &'static str, error: &ClusterError) {
        let mut state = self.lock();
        state.trouble = error.to_string();
        if std::mem::replace(&mut state.in_trouble, true) {
            tracing::debug!(%error, doing, "fetching");
        } else {
            tracing::warn!(%error, doing, "fetching; tried again");
        }
    }

    /// A broker has answered what it was asked.
    fn answered(&self, broker: &str) {
        let mut state = self.lock();
        if state.in_trouble && state.partitions.are_read() {
            state.in_trouble = false;
            tracing::info!(broker, "fetching again");
        }
        self.publish(&state);
    }

    /// A connection to that broker, if one is left over.
    fn spare(&self, address: &str) -> Option<Link> {
        let spare = self.lock().spare.take_if(|(spare, _)| spare.address() == address);
        // A broker closes what is not used.
        spare.filter(|(_, since)| since.elapsed() < SPARE_TERM).map(|(spare, _)| spare)
    }
}

impl State {
    fn unread(&self) -> Option<String> {
        let unread = self.partitions.unread();
        (unread > 0).then(|| format!("{unread} partitions are not read: {}", self.trouble))
    }

    fn is_over(&self) -> bool {
        self.events.is_none()
    }

    fn end(&mut self, error: Error) {
        self.error.get_or_insert(error);
        self.events = None;
    }
}

/// What is in bytes of a partition's log.
#[derive(Debug)]
pub struct LogPart {
    /// Records from the offset on, in order.
    pub records: Vec<Record>,
    /// Where the partition goes on.
    pub next_offset: i64,
    /// Why the batch there cannot be read.
    pub unreadable: Option<String>,
}

/// Reads record batches as a broker's answer or a segment file holds them, for tools and
/// tests. No transaction counts as given up.
pub fn read_log(topic: &str, partition: i32, bytes: &Bytes, from: i64) -> LogPart {
    let (mut chunks, mut next_offset) = (Chunks::default(), from);
    let (aborted, mut decompressor) = (Aborted::default(), Decompressor::default());
    let read =
        batches::take(partition, bytes, &mut next_offset, aborted, &mut decompressor, &mut chunks);
    let records = chunks.finish().into_iter().flat_map(|chunk| chunk.finish(topic)).collect();
    LogPart { records, next_offset, unreadable: read.err().map(|error| error.to_string()) }
}

fn start_thread(name: String, run: impl FnOnce() + Send + 'static) -> Result<(), Error> {
    std::thread::Builder::new().name(name).spawn(run).map(drop).map_err(|error| Error::Client {
        action: "start a thread that fetches",
        reason: error.to_string(),
        code: None,
    })
}
