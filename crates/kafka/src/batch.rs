//! The header of a record batch, and which transactions were given up. Pure.
//!
//! Contract: whole batches, one behind the other, as a log holds them; what is cut off is no
//! batch. Nothing is compared with the checksum before [`Batch::verify`].
//!
//! Layout: <https://kafka.apache.org/documentation/#recordbatch>.

use std::collections::HashSet;

use kafka_protocol::messages::fetch_response::PartitionData;

pub(crate) const HEADER_BYTES: usize = 61;
/// Before this, a batch tells its length; behind it, the length counts.
pub(crate) const LENGTH_ENDS: usize = 12;
pub(crate) const CHECKSUM_ENDS: usize = 21;
const MAGIC: u8 = 2;

/// Why a batch cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the batch at offset {offset} cannot be read: {reason}")]
pub(crate) struct Unreadable {
    pub(crate) offset: i64,
    pub(crate) reason: String,
}

/// Transactions of a partition that were given up, as an answer tells them.
#[derive(Debug, Default)]
pub(crate) struct Aborted {
    /// First offset and producer, latest first.
    to_come: Vec<(i64, i64)>,
    producers: HashSet<i64>,
}

impl Aborted {
    /// Those that a broker tells with the partition's records.
    pub(crate) fn of(data: &PartitionData) -> Self {
        let told = data.aborted_transactions.iter().flatten();
        Self::new(told.map(|of| (of.first_offset, of.producer_id.0)).collect())
    }

    /// By first offset and producer.
    pub(crate) fn new(mut to_come: Vec<(i64, i64)>) -> Self {
        to_come.sort_unstable_by(|a, b| b.cmp(a));
        Self { to_come, producers: HashSet::new() }
    }

    /// Whether a batch of records is part of one. To be asked of each batch in turn.
    pub(crate) fn holds(&mut self, batch: &Batch<'_>) -> bool {
        while let Some((_, producer)) =
            self.to_come.pop_if(|(first, _)| *first <= batch.last_offset())
        {
            self.producers.insert(producer);
        }
        batch.is_transactional() && self.producers.contains(&batch.producer_id())
    }

    pub(crate) fn ends(&mut self, producer: i64) {
        self.producers.remove(&producer);
    }
}

/// One whole batch.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Batch<'b> {
    bytes: &'b [u8],
}

impl<'b> Batch<'b> {
    /// `None` where no whole batch follows.
    pub(crate) fn at(bytes: &'b [u8], at: usize) -> Result<Option<Self>, Unreadable> {
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

    pub(crate) fn base_offset(&self) -> i64 {
        i64::from_be_bytes(field(self.bytes, 0))
    }

    fn attributes(&self) -> i16 {
        i16::from_be_bytes(field(self.bytes, 21))
    }

    pub(crate) fn codec(&self) -> u8 {
        (self.attributes() & 0b111) as u8
    }

    pub(crate) fn is_transactional(&self) -> bool {
        self.attributes() & (1 << 4) != 0
    }

    pub(crate) fn is_control(&self) -> bool {
        self.attributes() & (1 << 5) != 0
    }

    pub(crate) fn last_offset(&self) -> i64 {
        self.base_offset().saturating_add(i32::from_be_bytes(field(self.bytes, 23)).into())
    }

    pub(crate) fn producer_id(&self) -> i64 {
        i64::from_be_bytes(field(self.bytes, 43))
    }

    pub(crate) fn count(&self) -> i32 {
        i32::from_be_bytes(field(self.bytes, 57))
    }

    pub(crate) fn verify(&self) -> Result<(), Unreadable> {
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

    /// Size with the header.
    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Its records, as the codec left them.
    pub(crate) fn body(&self) -> &'b [u8] {
        &self.bytes[HEADER_BYTES..]
    }

    pub(crate) fn base_ms(&self) -> i64 {
        i64::from_be_bytes(field(self.bytes, 27))
    }

    /// When it was appended, where that is the time of all its records.
    pub(crate) fn append_ms(&self) -> Option<i64> {
        (self.attributes() & (1 << 3) != 0).then(|| i64::from_be_bytes(field(self.bytes, 35)))
    }
}

/// A number's bytes; within the header, which was found whole.
fn field<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    let mut field = [0; N];
    field.copy_from_slice(&bytes[at..at + N]);
    field
}
