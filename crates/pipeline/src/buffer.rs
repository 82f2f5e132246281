//! The records of one partition that wait for a batch, and the choice of which
//! go into it: the oldest head first, so that a partition which is behind is
//! served before one which is not.
//!
//! Pure: no clock, no I/O. Order inside a partition is the order of delivery.

use std::cmp::Reverse;
use std::collections::vec_deque::Drain;
use std::collections::{BinaryHeap, VecDeque};

use tidegate_kafka::TopicPartition;
use tokio::time::Instant;

use crate::batch::Entry;
use crate::sizing::Limits;

/// First in, first out; what could not be written goes back to the front.
#[derive(Debug)]
pub(crate) struct Queue<R> {
    entries: VecDeque<Entry<R>>,
    bytes: usize,
}

impl<R> Default for Queue<R> {
    fn default() -> Self {
        Self { entries: VecDeque::new(), bytes: 0 }
    }
}

impl<R> Queue<R> {
    pub(crate) fn push_back(&mut self, entry: Entry<R>) {
        self.bytes += entry.bytes();
        self.entries.push_back(entry);
    }

    pub(crate) fn push_front(&mut self, entry: Entry<R>) {
        self.bytes += entry.bytes();
        self.entries.push_front(entry);
    }

    /// Takes the first records, which have so many bytes.
    fn take_front(&mut self, records: usize, bytes: usize) -> Drain<'_, Entry<R>> {
        self.bytes -= bytes;
        self.entries.drain(..records)
    }

    /// Drops everything; returns how many records that were.
    pub(crate) fn clear(&mut self) -> usize {
        self.bytes = 0;
        // Not `clear()`: a partition that moves on should not keep the room of its peak.
        std::mem::take(&mut self.entries).len()
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// When the head was buffered.
    pub(crate) fn head_arrived(&self) -> Option<Instant> {
        self.entries.front().map(|entry| entry.arrived)
    }

    /// Age key of the head (see [`Entry::age_key_ms`]).
    pub(crate) fn head_age_key_ms(&self) -> Option<i64> {
        self.entries.front().map(|entry| entry.age_key_ms)
    }
}

/// Takes records off the queues until a limit of the batch is reached. The first
/// record is taken whatever its size.
pub(crate) fn take_oldest<'a, R: 'a>(
    queues: impl Iterator<Item = (&'a TopicPartition, &'a mut Queue<R>)>,
    limits: Limits,
) -> Vec<Entry<R>> {
    let mut queues: Vec<&mut Queue<R>> = queues.map(|(_, queue)| queue).collect();
    let mut heads: BinaryHeap<Reverse<(i64, usize)>> = queues
        .iter()
        .enumerate()
        .filter_map(|(index, queue)| Some(Reverse((queue.head_age_key_ms()?, index))))
        .collect();
    let waiting = queues.iter().map(|queue| queue.len()).sum();
    let mut batch = Vec::with_capacity(limits.max_records.min(waiting));
    let mut bytes = 0;
    while let Some(Reverse((_, index))) = heads.pop() {
        let queue = &mut *queues[index];
        let next = heads.peek().map(|Reverse(next)| *next);
        // As long as it stays the oldest: found first and moved at once, for they are many.
        let (mut run, mut run_bytes, mut is_full) = (0, 0, false);
        for head in &queue.entries {
            if next.is_some_and(|next| next < (head.age_key_ms, index)) {
                heads.push(Reverse((head.age_key_ms, index)));
                break;
            }
            let with_it = run_bytes + head.bytes();
            let taken = batch.len() + run;
            is_full =
                taken >= limits.max_records || bytes + with_it > limits.max_bytes && taken > 0;
            if is_full {
                break;
            }
            run += 1;
            run_bytes = with_it;
        }
        batch.extend(queue.take_front(run, run_bytes));
        bytes += run_bytes;
        if is_full {
            break;
        }
    }
    batch
}

#[cfg(test)]
mod tests;
