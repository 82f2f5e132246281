//! Where each partition stands, and what has to be looked up before it is read. Pure.
//!
//! Invariant: an answer counts only for the term and the offset that were asked for, so
//! what a partition was before a seek, a loss or a change of its leader is never mixed with
//! what it is now.

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

/// A near replica is read for this long, then its leader is asked again.
const REPLICA_TERM: Duration = Duration::from_secs(300);

/// A leader, and since which election.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Leader {
    pub(super) node: i32,
    pub(super) epoch: i32,
}

/// Where a partition starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Start {
    /// Nobody has said.
    Unknown,
    /// At the start of the log, wherever that is.
    OfLog,
    At(i64),
}

#[derive(Debug)]
struct Partition {
    /// Changes with every assignment and every seek.
    term: u64,
    start: Start,
    leader: Option<Leader>,
    /// A replica that the leader prefers us to read, and until when.
    replica: Option<(i32, Instant)>,
    retries: u32,
    /// Not tried before this.
    retry_at: Option<Instant>,
}

/// What is asked of a broker for one partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Asked {
    pub(super) partition: i32,
    pub(super) term: u64,
    pub(super) offset: i64,
    pub(super) leader_epoch: i32,
}

/// A partition that starts with its log, and its term.
pub(super) type AtStart = (i32, u64);

/// First and longest wait before a partition is tried again.
#[derive(Debug, Clone, Copy)]
pub(super) struct Backoff {
    pub(super) first: Duration,
    pub(super) most: Duration,
}

/// All partitions that are read.
#[derive(Debug)]
pub(super) struct Partitions {
    by_number: BTreeMap<i32, Partition>,
    /// Last known, of all partitions of the topic.
    leaders: HashMap<i32, Leader>,
    addresses: HashMap<i32, String>,
    terms: u64,
    backoff: Backoff,
}

impl Partitions {
    pub(super) fn new(backoff: Backoff) -> Self {
        Self {
            by_number: BTreeMap::new(),
            leaders: HashMap::new(),
            addresses: HashMap::new(),
            terms: 0,
            backoff,
        }
    }

    pub(super) fn add(&mut self, partition: i32, next_offset: Option<i64>) {
        self.terms += 1;
        let start = next_offset.map_or(Start::Unknown, Start::At);
        let leader = self.leaders.get(&partition).copied();
        let (term, replica) = (self.terms, None);
        let fresh = Partition { term, start, leader, replica, retries: 0, retry_at: None };
        self.by_number.insert(partition, fresh);
    }

    pub(super) fn remove(&mut self, partition: i32) {
        self.by_number.remove(&partition);
    }

    pub(super) fn without_start(&self) -> Vec<i32> {
        let unknown = self.by_number.iter().filter(|(_, known)| known.start == Start::Unknown);
        unknown.map(|(partition, _)| *partition).collect()
    }

    pub(super) fn start(&mut self, partition: i32, next_offset: Option<i64>) {
        if let Some(known) = self.by_number.get_mut(&partition)
            && known.start == Start::Unknown
        {
            known.start = next_offset.map_or(Start::OfLog, Start::At);
        }
    }

    /// Whether the partition is read at all.
    pub(super) fn seek(&mut self, partition: i32, next_offset: i64) -> bool {
        self.terms += 1;
        let Some(known) = self.by_number.get_mut(&partition) else { return false };
        known.term = self.terms;
        known.start = Start::At(next_offset);
        known.retry_at = None;
        true
    }

    /// What to ask of a broker now, from the partition `start`, or the next one behind it, on.
    pub(super) fn ask(&self, node: i32, start: i32, now: Instant) -> Vec<Asked> {
        let ready = |(partition, known): (&i32, &Partition)| {
            let Start::At(offset) = known.start else { return None };
            if known.reads_from(now) != Some(node) || !known.is_due(now) {
                return None;
            }
            let leader_epoch = known.leader.map_or(-1, |leader| leader.epoch);
            Some(Asked { partition: *partition, term: known.term, offset, leader_epoch })
        };
        let mut asked: Vec<Asked> = self.by_number.iter().filter_map(ready).collect();
        let first = asked.partition_point(|asked| asked.partition < start);
        asked.rotate_left(first);
        asked
    }

    /// Whether a broker is read from, now or later.
    pub(super) fn needs(&self, node: i32, now: Instant) -> bool {
        self.by_number.values().any(|known| known.reads_from(now) == Some(node))
    }

    /// Brokers that are read from.
    pub(super) fn nodes(&self, now: Instant) -> Vec<i32> {
        let mut nodes: Vec<i32> =
            self.by_number.values().filter_map(|known| known.reads_from(now)).collect();
        nodes.sort_unstable();
        nodes.dedup();
        nodes
    }

    pub(super) fn address(&self, node: i32) -> Option<&str> {
        self.addresses.get(&node).map(String::as_str)
    }

    /// Whether an answer still counts.
    pub(super) fn expects(&self, asked: &Asked) -> bool {
        self.by_number
            .get(&asked.partition)
            .is_some_and(|known| known.term == asked.term && known.start == Start::At(asked.offset))
    }

    /// Goes on at `next_offset`.
    pub(super) fn advance(&mut self, asked: &Asked, next_offset: i64) {
        if let Some(known) = self.expected(asked) {
            known.start = Start::At(next_offset);
            (known.retries, known.retry_at) = (0, None);
        }
    }

    /// The leader sends us to a replica.
    pub(super) fn prefer(&mut self, asked: &Asked, node: i32, now: Instant) {
        if let Some(known) = self.expected(asked) {
            known.replica = Some((node, now + REPLICA_TERM));
        }
    }

    /// The log does not reach the offset. A replica may be behind: then the leader is asked.
    /// Whether the log's start counts now.
    pub(super) fn out_of_range(&mut self, asked: &Asked) -> bool {
        let Some(known) = self.expected(asked) else { return false };
        if known.replica.take().is_some() {
            return false;
        }
        known.start = Start::OfLog;
        true
    }

    /// Its leader is another one, or silent, or refuses: looked up again, after a while.
    pub(super) fn leader_failed(&mut self, asked: &Asked, now: Instant) {
        let backoff = self.backoff;
        if let Some(known) = self.expected(asked) {
            (known.leader, known.replica) = (None, None);
            known.retry_later(backoff, now);
            self.leaders.remove(&asked.partition);
        }
    }

    /// Asked again, after a while.
    pub(super) fn failed(&mut self, asked: &Asked, now: Instant) {
        let backoff = self.backoff;
        if let Some(known) = self.expected(asked) {
            known.retry_later(backoff, now);
        }
    }

    /// How many were tried more than once since they were last read.
    pub(super) fn unread(&self) -> usize {
        self.by_number.values().filter(|known| known.retries > 1).count()
    }

    /// Whether none was tried in vain since it was last read.
    pub(super) fn are_read(&self) -> bool {
        self.by_number.values().all(|known| known.retries == 0)
    }

    /// Whether leaders have to be looked up now.
    pub(super) fn lacks_leaders(&self, now: Instant) -> bool {
        self.by_number.values().any(|known| known.leader.is_none() && known.is_due(now))
    }

    /// Partitions for whose log's start a broker has to be asked now.
    pub(super) fn at_start(&self, node: i32, now: Instant) -> Vec<AtStart> {
        let ready = |(partition, known): (&i32, &Partition)| {
            let led = known.leader.is_some_and(|leader| leader.node == node);
            (led && known.start == Start::OfLog && known.is_due(now))
                .then_some((*partition, known.term))
        };
        self.by_number.iter().filter_map(ready).collect()
    }

    /// When something has to be tried again, or a replica's term ends.
    pub(super) fn next_change(&self, now: Instant) -> Option<Duration> {
        let moments = |known: &Partition| [known.retry_at, known.replica.map(|(_, until)| until)];
        let later = self.by_number.values().flat_map(moments).flatten();
        later.filter_map(|at| at.checked_duration_since(now)).min()
    }

    /// Takes what a broker knows; partitions that it does not tell wait a while.
    pub(super) fn learn(
        &mut self,
        addresses: impl IntoIterator<Item = (i32, String)>,
        leaders: HashMap<i32, Leader>,
        now: Instant,
    ) {
        self.addresses.extend(addresses);
        self.leaders.extend(leaders);
        for (partition, known) in &mut self.by_number {
            if known.leader.is_some() || !known.is_due(now) {
                continue;
            }
            match self.leaders.get(partition) {
                Some(leader) => known.leader = Some(*leader),
                None => known.retry_later(self.backoff, now),
            }
        }
    }

    /// Takes the start of a log; `None` where it was refused.
    pub(super) fn log_starts(
        &mut self,
        partition: i32,
        term: u64,
        start: Option<i64>,
        now: Instant,
    ) {
        let known = self.by_number.get_mut(&partition);
        let Some(known) = known.filter(|known| known.term == term) else { return };
        if known.start != Start::OfLog {
            return;
        }
        match start {
            Some(offset) => known.start = Start::At(offset),
            None => {
                known.leader = None;
                known.retry_later(self.backoff, now);
                self.leaders.remove(&partition);
            }
        }
    }

    fn expected(&mut self, asked: &Asked) -> Option<&mut Partition> {
        if !self.expects(asked) {
            return None;
        }
        self.by_number.get_mut(&asked.partition)
    }
}

impl Partition {
    fn reads_from(&self, now: Instant) -> Option<i32> {
        let leader = self.leader?.node;
        Some(self.replica.filter(|(_, until)| now < *until).map_or(leader, |(node, _)| node))
    }

    fn is_due(&self, now: Instant) -> bool {
        self.retry_at.is_none_or(|at| at <= now)
    }

    fn retry_later(&mut self, backoff: Backoff, now: Instant) {
        let wait = backoff.first.saturating_mul(1 << self.retries.min(16)).min(backoff.most);
        self.retries = self.retries.saturating_add(1);
        self.retry_at = Some(now + wait);
    }
}

#[cfg(test)]
mod tests;
