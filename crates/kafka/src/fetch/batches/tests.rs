use bytes::BytesMut;
use kafka_protocol::indexmap::IndexMap;
use kafka_protocol::protocol::StrBytes;
use kafka_protocol::records::{
    Compression, Record as Written, RecordBatchEncoder, RecordEncodeOptions, TimestampType,
};
use proptest::prelude::*;

use super::*;
use crate::Record;
use crate::batch::{CHECKSUM_ENDS, HEADER_BYTES, LENGTH_ENDS};

#[derive(Debug, Clone, Copy, PartialEq)]
enum Kind {
    Plain,
    Transaction(i64),
    /// The marker at the end of a producer's transaction.
    Marker(i64),
}

fn batch(kind: Kind, offsets: &[i64]) -> Bytes {
    let producer = match kind {
        Kind::Plain => -1,
        Kind::Transaction(producer) | Kind::Marker(producer) => producer,
    };
    let control = matches!(kind, Kind::Marker(_));
    let records: Vec<Written> = offsets
        .iter()
        .enumerate()
        .map(|(sequence, offset)| Written {
            transactional: kind != Kind::Plain,
            control,
            delete_horizon: false,
            partition_leader_epoch: 0,
            producer_id: producer,
            producer_epoch: 0,
            timestamp_type: TimestampType::Creation,
            offset: *offset,
            // One batch, also where compaction left gaps.
            sequence: sequence as i32 + (offset - offsets[0] - sequence as i64) as i32,
            timestamp: 1_000 + offset,
            key: (offset % 3 != 0).then(|| format!("k{offset}").into()),
            value: (offset % 5 != 0).then(|| format!("v{offset}").into()),
            headers: (0..offset % 3)
                .map(|number| (StrBytes::from_string(format!("h{number}")), None))
                .collect::<IndexMap<_, _>>(),
        })
        .collect();
    let mut bytes = BytesMut::new();
    let options = RecordEncodeOptions { version: 2, compression: Compression::None };
    RecordBatchEncoder::encode(&mut bytes, &records, &options).expect("encodes");
    bytes.freeze()
}

fn log(batches: &[(Kind, &[i64])]) -> Bytes {
    let batches: Vec<Bytes> = batches.iter().map(|(kind, at)| batch(*kind, at)).collect();
    batches.concat().into()
}

/// What is taken, and where it goes on.
fn taken(
    bytes: &Bytes,
    from: i64,
    aborted: &[(i64, i64)],
) -> (Vec<Record>, i64, Result<(), Unreadable>) {
    let (mut chunks, mut next) = (Chunks::default(), from);
    let (aborted, mut decompressor) = (Aborted::new(aborted.to_vec()), Decompressor::default());
    let outcome = take(4, bytes, &mut next, aborted, &mut decompressor, &mut chunks);
    let chunks = chunks.finish().into_iter();
    (chunks.flat_map(|chunk| chunk.finish("t")).collect(), next, outcome)
}

fn offsets(records: &[Record]) -> Vec<i64> {
    records.iter().map(|record| record.offset).collect()
}

#[test]
fn records_come_from_the_offset_on_with_all_that_was_written() {
    let bytes = log(&[(Kind::Plain, &[10, 11, 12]), (Kind::Plain, &[13, 17, 20])]);
    let (records, next, outcome) = taken(&bytes, 11, &[]);
    assert_eq!(outcome, Ok(()));
    assert_eq!((offsets(&records), next), (vec![11, 12, 13, 17, 20], 21));
    let record = &records[2];
    assert_eq!((record.partition, record.timestamp_ms), (4, Some(1_013)));
    assert_eq!(record.key.as_deref(), Some(b"k13".as_slice()));
    assert_eq!(record.payload.as_deref(), Some(b"v13".as_slice()));
    assert_eq!(record.headers.len(), 1);
    assert_eq!((records[1].key.as_deref(), records[4].payload.as_deref()), (None, None));
}

#[test]
fn a_transaction_that_was_given_up_is_left_out_up_to_its_marker() {
    let bytes = log(&[
        (Kind::Transaction(7), &[0, 1]),
        (Kind::Transaction(8), &[2]),
        (Kind::Plain, &[3]),
        (Kind::Marker(7), &[4]),
        (Kind::Transaction(7), &[5]),
        (Kind::Marker(8), &[6]),
        (Kind::Marker(7), &[7]),
    ]);
    let (records, next, _) = taken(&bytes, 0, &[(0, 7)]);
    assert_eq!((offsets(&records), next), (vec![2, 3, 5], 8));
    let (records, _, _) = taken(&bytes, 0, &[(5, 7), (0, 7), (2, 8)]);
    assert_eq!(offsets(&records), [3]);
    let (records, _, _) = taken(&bytes, 0, &[]);
    assert_eq!(offsets(&records), [0, 1, 2, 3, 5]);
    let (records, _, _) = taken(&bytes, 5, &[(5, 7)]);
    assert_eq!(offsets(&records), Vec::<i64>::new());
}

#[test]
fn a_batch_that_is_cut_off_is_left_for_the_next_answer() {
    let bytes = log(&[(Kind::Plain, &[0, 1]), (Kind::Plain, &[2, 3])]);
    let first = batch(Kind::Plain, &[0, 1]).len();
    for length in 0..bytes.len() {
        let (records, next, outcome) = taken(&bytes.slice(..length), 0, &[]);
        let whole = if length < first { 0 } else { 2 };
        assert_eq!((records.len(), next, outcome), (whole, whole as i64, Ok(())), "{length}");
    }
}

#[test]
fn a_damaged_batch_is_an_error_at_its_place_and_never_skipped() {
    let whole = log(&[(Kind::Plain, &[0, 1]), (Kind::Plain, &[2, 3])]);
    let first = batch(Kind::Plain, &[0, 1]).len();
    // Behind its length and the leader's epoch, which the checksum does not cover.
    for at in first + 16..whole.len() {
        let mut bytes = whole.to_vec();
        bytes[at] ^= 1;
        let (records, next, outcome) = taken(&bytes.into(), 0, &[]);
        assert_eq!((offsets(&records), next), (vec![0, 1], 2), "byte {at}");
        assert_eq!(outcome.expect_err("damaged").offset, 2);
    }
}

#[test]
fn an_old_format_is_named() {
    let mut bytes = log(&[(Kind::Plain, &[0])]).to_vec();
    bytes[16] = 1;
    let (_, _, outcome) = taken(&bytes.into(), 0, &[]);
    assert!(outcome.expect_err("refused").to_string().contains("before Kafka 0.11"));
}

proptest! {
    /// With a right checksum: what is behind it may still be anything.
    #[test]
    fn any_records_are_read_or_refused(
        rubbish in prop::collection::vec(any::<u8>(), 0..80),
        codec in 0u8..8,
        count in any::<i32>(),
    ) {
        let mut bytes = batch(Kind::Plain, &[0]).to_vec();
        bytes.truncate(HEADER_BYTES);
        bytes[22] = codec;
        bytes[57..61].copy_from_slice(&count.to_be_bytes());
        bytes.extend_from_slice(&rubbish);
        let length = (bytes.len() - LENGTH_ENDS) as i32;
        bytes[8..12].copy_from_slice(&length.to_be_bytes());
        let checksum = crc32c::crc32c(&bytes[CHECKSUM_ENDS..]);
        bytes[17..21].copy_from_slice(&checksum.to_be_bytes());
        let (records, next, outcome) = taken(&bytes.into(), 0, &[]);
        prop_assert_eq!(outcome.is_ok(), next == 1);
        prop_assert!(outcome.is_ok() || records.is_empty());
    }
}
