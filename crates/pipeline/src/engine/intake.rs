//! Records in.

use tidegate_kafka::TopicPartition;

use super::{Engine, Group};
use crate::Error;
use crate::batch::Entry;
use crate::decode::Row;
use crate::events::DropReason;
use crate::lifecycle::Accept;
use crate::sink::Sink;

impl<R, S, G> Engine<R, S, G>
where
    R: Row,
    S: Sink<R>,
    G: Group,
{
    pub(super) fn on_entries(&mut self, entries: Vec<Entry<R>>) {
        let (mut not_owned, mut repeated) = (0, 0);
        let mut partition: Option<TopicPartition> = None;
        for entry in entries {
            let record = &entry.record;
            // A chunk has runs of a partition's records.
            let partition = match &mut partition {
                Some(last) if last.partition == record.partition && last.topic == record.topic => {
                    last
                }
                other => other.insert(record.topic_partition()),
            };
            let offset = record.offset;
            match self.partitions.accept(partition, entry) {
                Accept::Buffered => {}
                Accept::NotOwned => not_owned += 1,
                Accept::Repeated => repeated += 1,
                Accept::BelowPosition { position } => {
                    not_owned += 1;
                    let partition = partition.clone();
                    self.fail(Error::PositionAhead { partition, offset, position });
                }
            }
        }
        self.drop_records(DropReason::NotOwned, not_owned);
        self.drop_records(DropReason::Repeated, repeated);
    }
}
