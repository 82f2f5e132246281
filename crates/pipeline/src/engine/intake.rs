//! Records in.

use super::{Engine, Group};
use crate::Error;
use crate::batch::Entry;
use crate::decode::Row;
use crate::events::DropReason;
use crate::lifecycle::BelowPosition;
use crate::sink::Sink;

impl<R, S, G> Engine<R, S, G>
where
    R: Row,
    S: Sink<R>,
    G: Group,
{
    pub(super) fn on_entries(&mut self, entries: Vec<Entry<R>>) {
        // Before any is dropped.
        self.held_bytes += entries.iter().map(Entry::bytes).sum::<usize>();
        let (mut not_owned, mut repeated) = (0, 0);
        let mut entries = entries.into_iter();
        // A chunk has runs of a partition's records.
        while let Some(first) = entries.as_slice().first() {
            let partition = first.record.topic_partition();
            let is_its = |entry: &&Entry<R>| {
                let record = &entry.record;
                record.partition == partition.partition && record.topic == partition.topic
            };
            let run = entries.as_slice().iter().take_while(is_its).count();
            let accepted = self.partitions.accept(&partition, entries.by_ref().take(run));
            not_owned += accepted.not_owned;
            repeated += accepted.repeated;
            if let Some(BelowPosition { offset, position }) = accepted.below {
                self.fail(Error::PositionAhead { partition, offset, position });
            }
        }
        self.drop_records(DropReason::NotOwned, not_owned);
        self.drop_records(DropReason::Repeated, repeated);
    }
}
