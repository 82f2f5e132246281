//! The record batches of one partition in a broker's answer. Pure.
//!
//! Contract: records from an offset on, in the order of the log, without those of
//! transactions that were given up and without their markers. A batch whose checksum or
//! content is wrong is an error and never skipped. A batch that the answer cuts off is
//! left for the next one.
//!
//! Rejected: the decoder of `kafka-protocol`, which makes a map and several counted buffers
//! of each record.

use bytes::Bytes;

use super::compression::Decompressor;
use super::varint::Reader;
use crate::batch::{Aborted, Batch, Unreadable};
use crate::chunk::{Chunks, Pending};

/// Takes the records from the offset on that `next_offset` tells, which moves to where the
/// partition goes on: behind the last whole batch, or to the one that is an error.
pub(super) fn take(
    partition: i32,
    bytes: &Bytes,
    next_offset: &mut i64,
    mut aborted: Aborted,
    decompressor: &mut Decompressor,
    into: &mut Chunks,
) -> Result<(), Unreadable> {
    let mut at = 0;
    while let Some(batch) = Batch::at(bytes, at)? {
        at += batch.len();
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
            let records = bytes.slice_ref(batch.body());
            let records = decompressor.decompress(batch.codec(), &records).map_err(unreadable)?;
            into.push(&records, pending(&batch, partition, &records, *next_offset))?;
        }
        *next_offset = batch.last_offset().saturating_add(1);
    }
    Ok(())
}

/// A batch's records from `from` on.
fn pending<'r>(
    batch: &Batch<'_>,
    partition: i32,
    records: &'r [u8],
    from: i64,
) -> impl Iterator<Item = Result<Pending, Unreadable>> + 'r {
    let (base, last, count) = (batch.base_offset(), batch.last_offset(), batch.count());
    let (base_ms, append_ms) = (batch.base_ms(), batch.append_ms());
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

#[cfg(test)]
mod tests;
