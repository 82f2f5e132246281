//! A topic's log of any content: records in order, or the place of what cannot be read.

use bytes::Bytes;
use tidegate_kafka::read_log;

/// Behind them, a batch's length counts, and its checksum.
const LENGTH_ENDS: usize = 12;
const CHECKSUM_ENDS: usize = 21;
const HEADER_BYTES: usize = 61;

/// As it is, and as one batch whose length and checksum are right.
pub fn log(bytes: &[u8]) {
    check(bytes.to_vec());
    if bytes.len() >= HEADER_BYTES {
        let mut batch = bytes.to_vec();
        let length = i32::try_from(batch.len() - LENGTH_ENDS).expect("inputs are short");
        batch[8..LENGTH_ENDS].copy_from_slice(&length.to_be_bytes());
        batch[16] = 2;
        let checksum = crc32c::crc32c(&batch[CHECKSUM_ENDS..]);
        batch[17..CHECKSUM_ENDS].copy_from_slice(&checksum.to_be_bytes());
        check(batch);
    }
}

fn check(bytes: Vec<u8>) {
    let bytes = Bytes::from(bytes);
    let from = 3;
    let part = read_log("t", 1, &bytes, from);
    assert!(part.next_offset >= from, "goes back");
    let mut least = from;
    for record in &part.records {
        assert!(record.offset >= least && record.partition == 1, "{record:?} after {least}");
        least = record.offset + 1;
    }
    assert!(part.next_offset >= least, "goes on before {least}");
    if let Some(reason) = part.unreadable {
        super::assert_one_line(&reason);
    }
}
