use std::collections::BTreeMap;
use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::TradeRow;
use crate::testing::{entry, partition, record};

type Queues = BTreeMap<TopicPartition, Queue<TradeRow>>;

/// Records of a partition: time stamp and bytes of each.
type Waiting = Vec<(i64, usize)>;

fn queues(waiting: &[Waiting]) -> Queues {
    let mut queues = Queues::new();
    for (number, records) in waiting.iter().enumerate() {
        let queue = queues.entry(partition(number as i32)).or_default();
        for (offset, (timestamp_ms, bytes)) in records.iter().enumerate() {
            let mut record = record(number as i32, offset as i64, &"x".repeat(*bytes));
            record.timestamp_ms = Some(*timestamp_ms);
            queue.push_back(entry(record));
        }
    }
    queues
}

/// What waits in all queues, as (partition, offset), each queue in its order.
fn contents(queues: &Queues) -> Vec<(i32, i64)> {
    queues.values().flat_map(|queue| queue.entries.iter().map(name)).collect()
}

fn name(entry: &Entry<TradeRow>) -> (i32, i64) {
    (entry.record.partition, entry.record.offset)
}

fn take(queues: &mut Queues, limits: Limits) -> Vec<Entry<TradeRow>> {
    take_oldest(queues.iter_mut(), limits)
}

fn waiting() -> impl Strategy<Value = Vec<Waiting>> {
    prop::collection::vec(prop::collection::vec((0..200i64, 0..40usize), 0..12), 1..6)
}

fn limits() -> impl Strategy<Value = Limits> {
    (1..20usize, 1..300usize).prop_map(|(max_records, max_bytes)| Limits {
        max_records,
        max_bytes,
        max_age: Duration::ZERO,
    })
}

proptest! {
    /// Batch after batch until nothing waits: every record comes once, a
    /// partition's in order, and no batch passes its limits or ends before it must.
    #[test]
    fn batches_take_everything_once_in_order_within_their_limits(
        waiting in waiting(),
        limits in limits(),
    ) {
        let mut queues = queues(&waiting);
        let mut left = contents(&queues).len();
        let mut next: BTreeMap<i32, i64> = BTreeMap::new();
        while left > 0 {
            let batch = take(&mut queues, limits);
            let bytes: usize = batch.iter().map(Entry::bytes).sum();
            prop_assert!(!batch.is_empty() && batch.len() <= limits.max_records);
            prop_assert!(bytes <= limits.max_bytes || batch.len() == 1);
            for (partition, offset) in batch.iter().map(name) {
                let expected = next.entry(partition).or_default();
                prop_assert_eq!(offset, *expected, "partition {}", partition);
                *expected += 1;
            }
            left -= batch.len();
            prop_assert_eq!(contents(&queues).len(), left);
            let oldest = queues.values().filter_map(|queue| {
                let head = queue.entries.front()?;
                Some((head.age_key_ms, head.record.partition, head.bytes()))
            }).min();
            if let Some((_, _, more)) = oldest && batch.len() < limits.max_records {
                prop_assert!(bytes + more > limits.max_bytes, "it had room");
            }
            let counted: usize = queues.values().map(Queue::bytes).sum();
            let real: usize = queues.values().flat_map(|q| &q.entries).map(Entry::bytes).sum();
            prop_assert_eq!(counted, real);
        }
    }

    /// Of two records in a batch that both were heads at the time, the older goes first.
    #[test]
    fn the_oldest_head_goes_first(waiting in waiting(), limits in limits()) {
        let mut queues = queues(&waiting);
        let mut heads = vec![0; waiting.len()];
        for entry in take(&mut queues, limits) {
            let chosen = entry.record.partition as usize;
            let age = |number: usize| waiting[number].get(heads[number]).map(|record| record.0);
            let oldest = (0..waiting.len()).filter_map(age).min();
            prop_assert_eq!(age(chosen), oldest);
            heads[chosen] += 1;
        }
    }

    /// A batch that goes back leaves everything as it was.
    #[test]
    fn a_batch_that_goes_back_leaves_no_trace(waiting in waiting(), limits in limits()) {
        let mut queues = queues(&waiting);
        let (before, bytes) =
            (contents(&queues), queues.values().map(Queue::bytes).collect::<Vec<_>>());
        for entry in take(&mut queues, limits).into_iter().rev() {
            let partition = entry.record.topic_partition();
            if let Some(queue) = queues.get_mut(&partition) {
                queue.push_front(entry);
            }
        }
        prop_assert_eq!(contents(&queues), before);
        prop_assert_eq!(queues.values().map(Queue::bytes).collect::<Vec<_>>(), bytes);
    }
}
