//! The record batches of one partition in a broker's answer. Pure.
//!
//! Contract: records from an offset on, in the order of the log, without those of
//! transactions that were given up and without their markers. A batch whose checksum or
//! content is wrong is an error and never skipped. A batch that the answer cuts off is
//! left for the next one.
//!
//! Layout of a batch: <https://kafka.apache.org/documentation/#recordbatch>. Rejected: the
//! decoder of `kafka-protocol`, which makes a map and several counted buffers of each record.

use std::collections::HashSet;

use bytes::Bytes;

use super::compression::decompress;
use super::varint::Reader;
use crate::chunk::{Chunks, Pending};

const HEADER_BYTES: usize = 61;
/// Before this, a batch tells its length; behind it, the length counts.
const LENGTH_ENDS: usize = 12;
const CHECKSUM_ENDS: usize = 21;
const MAGIC: u8 = 2;

/// Why a batch cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the batch at offset {offset} cannot be read: {reason}")]
pub(super) struct Unreadable {
    pub(super) offset: i64,
    pub(super) reason: String,
}

/// Transactions of a partition that were given up, as an answer tells them.
#[derive(Debug, Default)]
pub(super) struct Aborted {
    /// First offset and producer, latest first.
    to_come: Vec<(i64, i64)>,
    producers: HashSet<i64>,
}

impl Aborted {
    pub(super) fn new(mut to_come: Vec<(i64, i64)>) -> Self {
        to_come.sort_unstable_by(|a, b| b.cmp(a));
        Self { to_come, producers: HashSet::new() }
    }

    /// Whether a batch of records is part of one. To be asked of each batch in turn.
    fn holds(&mut self, batch: &Batch<'_>) -> bool {
        while let Some((_, producer)) =
            self.to_come.pop_if(|(first, _)| *first <= batch.last_offset())
        {
            self.producers.insert(producer);
        }
        batch.is_transactional() && self.producers.contains(&batch.producer_id())
    }

    fn ends(&mut self, producer: i64) {
        self.producers.remove(&producer);
    }
}

/// Takes the records from the offset on that `next_offset` tells, which moves to where the
/// partition goes on: behind the last whole batch, or to the one that is an error.
pub(super) fn take(
    partition: i32,
    bytes: &Bytes,
    next_offset: &mut i64,
    mut aborted: Aborted,
    into: &mut Chunks,
) -> Result<(), Unreadable> {
    let mut at = 0;
    while let Some(batch) = Batch::at(bytes, at)? {
        at += batch.bytes.len();
        if batch.last_offset() < *next_offset {
            continue;
        }
        batch.verify()?;
        let given_up = aborted.holds(&batch);
        if batch.is_control() {
            // Commit or abort: either way the transaction is over.
            aborted.ends(batch.producer_id());
        } else if !given_up {
            let unreadable = |reason| Unreadable { offset: batch.base_offset(), reason };
            let records = bytes.slice_ref(&batch.bytes[HEADER_BYTES..]);
            let records = decompress(batch.codec(), &records).map_err(unreadable)?;
            into.push(&records, batch.records(partition, &records, *next_offset))?;
        }
        *next_offset = batch.last_offset().saturating_add(1);
    }
    Ok(())
}

/// One whole batch.
#[derive(Debug, Clone, Copy)]
struct Batch<'b> {
    bytes: &'b [u8],
}

impl<'b> Batch<'b> {
    /// `None` where no whole batch follows.
    fn at(bytes: &'b [u8], at: usize) -> Result<Option<Self>, Unreadable> {
        let Some(rest) = bytes.get(at..).filter(|rest| rest.len() > LENGTH_ENDS) else {
            return Ok(None);
        };
        let offset = i64::from_be_bytes(field(rest, 0));
        let unreadable = |reason: String| Unreadable { offset, reason };
        let length = i32::from_be_bytes(field(rest, 8));
        let length = usize::try_from(length).ok().filter(|length| *length > 0);
        let length = length.ok_or_else(|| unreadable("its length makes no sense".into()))?;
        let Some(bytes) = rest.get(..LENGTH_ENDS + length) else { return Ok(None) };
        match bytes.get(16) {
            Some(&MAGIC) if bytes.len() >= HEADER_BYTES => Ok(Some(Self { bytes })),
            Some(magic @ (0 | 1)) => Err(unreadable(format!(
                "it is of format {magic}, from before Kafka 0.11, which is not read"
            ))),
            _ => Err(unreadable("it is of no known format".into())),
        }
    }

    fn base_offset(&self) -> i64 {
        i64::from_be_bytes(field(self.bytes, 0))
    }

    fn attributes(&self) -> i16 {
        i16::from_be_bytes(field(self.bytes, 21))
    }

    fn codec(&self) -> u8 {
        (self.attributes() & 0b111) as u8
    }

    fn is_transactional(&self) -> bool {
        self.attributes() & (1 << 4) != 0
    }

    fn is_control(&self) -> bool {
        self.attributes() & (1 << 5) != 0
    }

    fn last_offset(&self) -> i64 {
        self.base_offset().saturating_add(i32::from_be_bytes(field(self.bytes, 23)).into())
    }

    fn producer_id(&self) -> i64 {
        i64::from_be_bytes(field(self.bytes, 43))
    }

    fn count(&self) -> i32 {
        i32::from_be_bytes(field(self.bytes, 57))
    }

    fn verify(&self) -> Result<(), Unreadable> {
        let unreadable =
            |reason: &str| Unreadable { offset: self.base_offset(), reason: reason.into() };
        if crc32c::crc32c(&self.bytes[CHECKSUM_ENDS..]) != u32::from_be_bytes(field(self.bytes, 17))
        {
            return Err(unreadable("its checksum is wrong"));
        }
        if self.last_offset() < self.base_offset() || self.count() < 0 {
            return Err(unreadable("it ends before it begins"));
        }
        Ok(())
    }

    /// Its records from `from` on.
    fn records<'r>(
        &self,
        partition: i32,
        records: &'r [u8],
        from: i64,
    ) -> impl Iterator<Item = Result<Pending, Unreadable>> + 'r {
        let (base, last, count) = (self.base_offset(), self.last_offset(), self.count());
        let base_ms = i64::from_be_bytes(field(self.bytes, 27));
        // The time of the append is the same for all records.
        let append_ms =
            (self.attributes() & (1 << 3) != 0).then(|| i64::from_be_bytes(field(self.bytes, 35)));
        let mut reader = Reader::new(records);
        let mut least = base;
        let mut read = move || {
            let (offset_delta, ms_delta, key, payload, headers) = record(&mut reader)?;
            let offset = base.checked_add(offset_delta)?;
            if !(least..=last).contains(&offset) {
                return None;
            }
            least = offset.saturating_add(1);
            let timestamp_ms = append_ms.or_else(|| base_ms.checked_add(ms_delta));
            Some(Pending {
                source: 0,
                partition,
                offset,
                timestamp_ms: timestamp_ms.filter(|ms| *ms >= 0),
                key,
                payload,
                headers,
            })
        };
        let cut_off =
            move || Unreadable { offset: base, reason: "its records make no sense".to_owned() };
        (0..count)
            .map(move |_| read().ok_or_else(cut_off))
            .filter(move |record| record.as_ref().map_or(true, |record| record.offset >= from))
    }
}

type Range = std::ops::Range<u32>;
type Fields = (i64, i64, Option<Range>, Option<Range>, Vec<(String, Option<Range>)>);

fn record(reader: &mut Reader<'_>) -> Option<Fields> {
    let length = usize::try_from(reader.varint()?).ok()?;
    let end = reader.position().checked_add(length)?;
    // Attributes, of which none is in use.
    reader.skip(1)?;
    let ms_delta = reader.varint()?;
    let offset_delta = reader.varint()?;
    let key = reader.field()?;
    let payload = reader.field()?;
    let count = usize::try_from(reader.varint()?).ok()?;
    let mut headers = Vec::new();
    for _ in 0..count {
        let name = reader.field()??;
        let name = String::from_utf8_lossy(reader.at(&name)).into_owned();
        headers.push((name, reader.field()?));
    }
    (reader.position() == end).then_some((offset_delta, ms_delta, key, payload, headers))
}

/// A number's bytes; within the header, which was found whole.
fn field<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    let mut field = [0; N];
    field.copy_from_slice(&bytes[at..at + N]);
    field
}

#[cfg(test)]
mod tests;
