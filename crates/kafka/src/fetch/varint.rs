//! A reader of the numbers and lengths in a record batch. Pure.
//!
//! Every step checks what is left: bytes that end too soon are `None`, never a panic.

use std::ops::Range;

/// Bytes and how far they were read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reader<'b> {
    bytes: &'b [u8],
    at: usize,
}

impl<'b> Reader<'b> {
    pub(super) fn new(bytes: &'b [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    pub(super) fn skip(&mut self, count: usize) -> Option<()> {
        let at = self.at.checked_add(count)?;
        (at <= self.bytes.len()).then(|| self.at = at)
    }

    /// A zigzag number of up to ten bytes.
    pub(super) fn varint(&mut self) -> Option<i64> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = *self.bytes.get(self.at)?;
            self.at += 1;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some((value >> 1) as i64 ^ -((value & 1) as i64));
            }
        }
        None
    }

    /// Where the bytes behind a length are; the inner `None` is a null.
    pub(super) fn field(&mut self) -> Option<Option<Range<u32>>> {
        let length = self.varint()?;
        if length < 0 {
            return Some(None);
        }
        let start = self.at;
        self.skip(usize::try_from(length).ok()?)?;
        Some(Some(u32::try_from(start).ok()?..u32::try_from(self.at).ok()?))
    }

    /// The bytes of a field.
    pub(super) fn at(&self, range: &Range<u32>) -> &'b [u8] {
        &self.bytes[range.start as usize..range.end as usize]
    }

    pub(super) fn position(&self) -> usize {
        self.at
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn encoded(value: i64) -> Vec<u8> {
        let mut rest = ((value << 1) ^ (value >> 63)) as u64;
        let mut bytes = Vec::new();
        loop {
            let low = (rest & 0x7f) as u8;
            rest >>= 7;
            if rest == 0 {
                bytes.push(low);
                return bytes;
            }
            bytes.push(low | 0x80);
        }
    }

    proptest! {
        #[test]
        fn numbers_come_back(value: i64) {
            prop_assert_eq!(Reader::new(&encoded(value)).varint(), Some(value));
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes: Vec<u8>) {
            let mut reader = Reader::new(&bytes);
            while let Some(field) = reader.field() {
                if let Some(range) = field {
                    prop_assert!(reader.at(&range).len() <= bytes.len());
                }
            }
            prop_assert!(reader.position() <= bytes.len());
        }
    }
}
