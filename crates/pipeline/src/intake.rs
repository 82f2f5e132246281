//! The thread between the group's channel and the engine's: decodes records.
//!
//! Contract: events come out in the order in which they went in, one for one.
//! Records become entries: decoded once, with the moment of their arrival.
//!
//! Threads: one OS thread a pipeline, `decode`. It blocks on either channel, and
//! ends when one of them is closed. Both are bounded; how many records can be in
//! them is bounded by the group's buffer marks.
//!
//! Rejected: decoding in the engine's task (a microsecond a record there is time in
//! which no socket is served); several threads (order would have to be restored,
//! and one decodes faster than one database writes); decoding when a batch is
//! taken (the time would be added to each write instead of being hidden behind it).

use tidegate_kafka::{
    AssignReply, Error as KafkaError, GroupEvent, Records, RevokeReply, TopicPartition,
};
use tokio::sync::mpsc::{Receiver, channel};
use tokio::time::Instant;

use crate::Error;
use crate::batch::Entry;
use crate::decode::{Decoder, decode_record};

/// Events on their way to the engine; each may carry a chunk of records.
const CHANNEL_CAPACITY: usize = 64;

/// What the engine is told: the group's events, records decoded.
pub(crate) enum Event<R> {
    Assign { partitions: Vec<TopicPartition>, reply: AssignReply },
    Entries(Vec<Entry<R>>),
    Revoke { partitions: Vec<TopicPartition>, reply: RevokeReply },
    Lost { partitions: Vec<TopicPartition> },
    Seeked { partition: TopicPartition, next_offset: i64 },
    Fatal(KafkaError),
}

/// Decodes what an event carries.
pub(crate) fn decoded<D: Decoder>(
    event: GroupEvent,
    decoder: &D,
    max_payload_bytes: usize,
) -> Event<D::Row> {
    match event {
        GroupEvent::Records(records) => {
            Event::Entries(entries(records, decoder, max_payload_bytes))
        }
        GroupEvent::Assign { partitions, reply } => Event::Assign { partitions, reply },
        GroupEvent::Revoke { partitions, reply } => Event::Revoke { partitions, reply },
        GroupEvent::Lost { partitions } => Event::Lost { partitions },
        GroupEvent::Seeked { partition, next_offset } => Event::Seeked { partition, next_offset },
        GroupEvent::Fatal(error) => Event::Fatal(error),
    }
}

fn entries<D: Decoder>(
    records: Records,
    decoder: &D,
    max_payload_bytes: usize,
) -> Vec<Entry<D::Row>> {
    let (arrived, now_ms) = (Instant::now(), crate::clock::now_ms());
    let mut entries = Vec::with_capacity(records.len());
    for record in records {
        let outcome = decode_record(decoder, &record, max_payload_bytes);
        entries.push(Entry::new(record, outcome, arrived, now_ms));
    }
    entries
}

/// Starts the thread.
pub(crate) fn spawn<D: Decoder>(
    decoder: D,
    max_payload_bytes: usize,
    mut events: Receiver<GroupEvent>,
) -> Result<Receiver<Event<D::Row>>, Error> {
    let (sender, receiver) = channel(CHANNEL_CAPACITY);
    let work = move || {
        while let Some(event) = events.blocking_recv() {
            if sender.blocking_send(decoded(event, &decoder, max_payload_bytes)).is_err() {
                return;
            }
        }
    };
    std::thread::Builder::new().name("decode".into()).spawn(work).map_err(Error::Thread)?;
    Ok(receiver)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::TradeDecoder;
    use crate::testing::{partition, record, trade};

    #[tokio::test]
    async fn events_keep_their_order_and_records_are_decoded() {
        let (group, events) = channel(8);
        let mut decoded = spawn(TradeDecoder, 1 << 20, events).expect("starts");
        let lost = || GroupEvent::Lost { partitions: vec![partition(0)] };
        let records = vec![trade(0, 0), record(0, 1, "{")];
        for event in [lost(), GroupEvent::Records(records.into_iter().collect()), lost()] {
            group.send(event).await.expect("received");
        }
        assert!(matches!(decoded.recv().await, Some(Event::Lost { .. })));
        let Some(Event::Entries(entries)) = decoded.recv().await else { panic!("no entries") };
        assert!(entries[0].outcome.is_ok() && entries[1].outcome.is_err());
        assert!(matches!(decoded.recv().await, Some(Event::Lost { .. })));
        drop(group);
        assert!(decoded.recv().await.is_none(), "the end is passed on");
    }
}
