//! Records in.

use tidegate_kafka::{Record, TopicPartition};
use tokio::time::Instant;

use super::{Engine, Group};
use crate::Error;
use crate::batch::Entry;
use crate::decode::{Decoder, decode_record};
use crate::events::DropReason;
use crate::lifecycle::Accept;
use crate::sink::Sink;

impl<D, S, G> Engine<D, S, G>
where
    D: Decoder,
    S: Sink<D::Row>,
    G: Group,
{
    pub(super) fn on_records(&mut self, records: Vec<Record>) {
        let arrived = Instant::now();
        let now_ms = crate::clock::now_ms();
        let (mut not_owned, mut repeated) = (0, 0);
        for record in records {
            let partition =
                TopicPartition { topic: record.topic.clone(), partition: record.partition };
            let offset = record.offset;
            let outcome = decode_record(&self.decoder, &record, self.options.max_payload_bytes);
            let entry = Entry::new(record, outcome, arrived, now_ms);
            match self.partitions.accept(&partition, entry) {
                Accept::Buffered => {}
                Accept::NotOwned => not_owned += 1,
                Accept::Repeated => repeated += 1,
                Accept::BelowPosition { position } => {
                    not_owned += 1;
                    self.fail(Error::PositionAhead { partition, offset, position });
                }
            }
        }
        self.drop_records(DropReason::NotOwned, not_owned);
        self.drop_records(DropReason::Repeated, repeated);
    }
}
