//! What the engine holds: a cheap clone that talks to the poll thread.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, mpsc};
use std::time::Duration;

use tokio::sync::oneshot;

use super::{GroupOptions, GroupProtocol};
use crate::{ConnectionOptions, Error, Position, TokenStatus, TopicPartition};

/// What a member knows about itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupStatus {
    /// Protocol in use; never `Auto`.
    pub protocol: GroupProtocol,
    /// Id within the group, once assigned.
    pub member_id: Option<String>,
    /// Owned partitions, sorted.
    pub assigned: Vec<TopicPartition>,
    /// Whether fetching waits for room in the buffer.
    pub paused: bool,
    /// Assignments and revocations so far.
    pub rebalances_total: u64,
    /// Accepted commit requests.
    pub commits_total: u64,
    /// Refused commit requests by reason.
    pub commit_failures: BTreeMap<String, u64>,
    /// Why partitions are not read, though it is tried again and again.
    pub unread: Option<String>,
    /// Whether the poll thread runs.
    pub alive: bool,
    /// How the tokens are doing; `None` where the mechanism has none.
    pub token: Option<TokenStatus>,
}

#[derive(Debug)]
pub(super) enum Command {
    Commit(Vec<Position>),
    Seek(TopicPartition, i64),
    Leave(oneshot::Sender<()>),
}

/// What the handle, the poll thread and those that fetch share.
#[derive(Debug)]
pub(crate) struct Shared {
    /// Records that were told and not released,
    held_records: AtomicU64,
    /// and the bytes of their keys and payloads.
    held_bytes: AtomicU64,
    /// Whether somebody waits for room. The lock orders that with its coming.
    waits_for_room: Mutex<bool>,
    room: Condvar,
    /// A static member keeps its place in the group when it leaves.
    pub(super) keep_place: AtomicBool,
    connection: ConnectionOptions,
    /// Held records at which fetching waits; the option bounds the engine's wish.
    buffer_records: AtomicU64,
    most_buffer_records: u64,
    /// Held bytes at which fetching waits.
    buffer_bytes: AtomicU64,
    status: Mutex<GroupStatus>,
}

impl Shared {
    pub(crate) fn new(protocol: GroupProtocol, options: &GroupOptions) -> Self {
        Self {
            held_records: AtomicU64::new(0),
            held_bytes: AtomicU64::new(0),
            waits_for_room: Mutex::new(false),
            room: Condvar::new(),
            keep_place: AtomicBool::new(false),
            connection: options.connection.clone(),
            buffer_records: AtomicU64::new(options.buffer_high_records),
            most_buffer_records: options.buffer_high_records,
            buffer_bytes: AtomicU64::new(u64::MAX),
            status: Mutex::new(GroupStatus {
                protocol,
                member_id: None,
                assigned: Vec::new(),
                paused: false,
                rebalances_total: 0,
                commits_total: 0,
                commit_failures: BTreeMap::new(),
                unread: None,
                alive: true,
                token: None,
            }),
        }
    }

    pub(crate) fn status(&self) -> MutexGuard<'_, GroupStatus> {
        self.status.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts records that are about to be told, and the bytes of their keys and payloads.
    pub(crate) fn hold(&self, records: usize, bytes: usize) {
        self.held_bytes.fetch_add(bytes as u64, Ordering::AcqRel);
        self.held_records.fetch_add(records as u64, Ordering::AcqRel);
    }

    /// Whether more may be fetched: always while nothing is held, so that a record larger
    /// than every bound comes through.
    pub(crate) fn has_room(&self) -> bool {
        let records = self.held_records.load(Ordering::Acquire);
        let bytes = self.held_bytes.load(Ordering::Acquire);
        records == 0
            || records < self.buffer_records.load(Ordering::Acquire)
                && bytes < self.buffer_bytes.load(Ordering::Acquire)
    }

    /// Waits until there is room, at most this long.
    pub(crate) fn wait_for_room(&self, most: Duration) {
        self.status().paused = true;
        {
            let mut waits = self.waits_for_room.lock().unwrap_or_else(PoisonError::into_inner);
            *waits = true;
            let full = |waits: &mut bool| *waits && !self.has_room();
            drop(self.room.wait_timeout_while(waits, most, full));
        }
        self.status().paused = !self.has_room();
    }

    fn release(&self, held: &AtomicU64, amount: usize) {
        let without = |held: u64| Some(held.saturating_sub(amount as u64));
        let _ = held.fetch_update(Ordering::AcqRel, Ordering::Acquire, without);
        self.make_room();
    }

    fn make_room(&self) {
        if self.has_room() {
            let mut waits = self.waits_for_room.lock().unwrap_or_else(PoisonError::into_inner);
            if std::mem::take(&mut *waits) {
                self.room.notify_all();
            }
        }
    }
}

/// Handle of a group member. Cheap to clone.
#[derive(Debug, Clone)]
pub struct GroupHandle {
    commands: mpsc::Sender<Command>,
    shared: Arc<Shared>,
}

impl GroupHandle {
    pub(super) fn new(commands: mpsc::Sender<Command>, shared: Arc<Shared>) -> Self {
        Self { commands, shared }
    }

    /// Positions that are dealt with. Committed at the commit interval, on revoke
    /// and on leave, while the partition is owned.
    pub fn commit(&self, positions: Vec<Position>) {
        let _ = self.commands.send(Command::Commit(positions));
    }

    /// Reads a partition from another offset; [`super::GroupEvent::Seeked`] says when.
    pub fn seek(&self, partition: TopicPartition, next_offset: i64) {
        let _ = self.commands.send(Command::Seek(partition, next_offset));
    }

    /// Delivered records that were written or dropped: frees room in the buffer.
    pub fn release(&self, records: usize) {
        self.shared.release(&self.shared.held_records, records);
    }

    /// The bytes of keys and payloads of delivered records that were written or dropped.
    pub fn release_bytes(&self, bytes: usize) {
        self.shared.release(&self.shared.held_bytes, bytes);
    }

    /// Fetching waits at this many delivered records that are not released, or at
    /// `buffer_high_records` if that is less; and at this many bytes of keys and payloads
    /// that are not released. Before the first call bytes are not bounded.
    pub fn limit_buffer(&self, records: usize, bytes: usize) {
        let most = self.shared.most_buffer_records;
        self.shared.buffer_records.store((records.max(1) as u64).min(most), Ordering::Release);
        self.shared.buffer_bytes.store(bytes as u64, Ordering::Release);
        self.shared.make_room();
    }

    /// Gives everything up: revoke, final commit, LeaveGroup, close. The engine
    /// must go on serving events meanwhile. A coordinator that does not answer is given up
    /// after some seconds; its client then goes on closing by itself.
    ///
    /// # Errors
    /// [`Error::Ended`] when the thread was gone already.
    pub async fn leave(&self) -> Result<(), Error> {
        let (done, wait) = oneshot::channel();
        self.commands.send(Command::Leave(done)).map_err(|_| Error::Ended)?;
        wait.await.map_err(|_| Error::Ended)
    }

    /// Makes [`leave`](Self::leave) keep the place of a static member (one with an
    /// instance id) for its session timeout: whoever comes back with the id in time
    /// gets the same partitions, and nobody else rebalances. A dynamic member always
    /// gives its place up.
    pub fn keep_place(&self) {
        self.shared.keep_place.store(true, Ordering::Release);
    }

    /// A snapshot.
    pub fn status(&self) -> GroupStatus {
        let status = self.shared.status().clone();
        GroupStatus { token: self.shared.connection.token_status(), ..status }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn handle() -> GroupHandle {
        let shared = Shared::new(GroupProtocol::Classic, &GroupOptions::default());
        GroupHandle::new(mpsc::channel().0, Arc::new(shared))
    }

    #[test]
    fn few_large_records_fill_the_buffer_by_their_bytes() {
        let handle = handle();
        handle.limit_buffer(4_000, 1 << 20);
        for _ in 0..16 {
            assert!(handle.shared.has_room());
            handle.shared.hold(1, 64 << 10);
        }
        assert!(!handle.shared.has_room(), "sixteen records of 64 KiB");
        handle.release(1);
        assert!(!handle.shared.has_room(), "their bytes are still held");
        handle.release_bytes(64 << 10);
        assert!(handle.shared.has_room());
        handle.shared.hold(3_985, 0);
        assert!(!handle.shared.has_room(), "many small ones fill it as well");
    }

    #[test]
    fn a_record_larger_than_the_buffer_comes_through() {
        let handle = handle();
        handle.limit_buffer(4_000, 0);
        assert!(handle.shared.has_room(), "nothing is held");
        handle.shared.hold(1, 1 << 20);
        assert!(!handle.shared.has_room());
        handle.release_bytes(1 << 20);
        handle.release(1);
        assert!(handle.shared.has_room());
    }
}
