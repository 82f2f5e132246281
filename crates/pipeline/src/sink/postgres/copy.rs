//! A batch in the binary COPY format, encoded once; any range of its rows can be
//! sent, and sent again.

use std::ops::Range;
use std::pin::Pin;

use bytes::{BufMut, Bytes, BytesMut};
use futures_util::SinkExt as _;
use tidegate_kafka::Record;
use tidegate_postgres::tokio_postgres::types::Type;
use tidegate_postgres::tokio_postgres::{CopyInSink, Error};

use super::row::{BindError, CopyBinder, PostgresRow};
use crate::batch::Batch;
use crate::decode::{Rejection, reason};
use crate::sink::SinkError;

/// Signature, flags (none), length of the header's extension (none).
const HEADER: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";
/// In the place of a row's number of columns: no more rows.
const TRAILER: &[u8] = &(-1i16).to_be_bytes();
/// Sent at a time: the server works on the first rows while the next are sent.
const CHUNK_BYTES: usize = 64 << 10;
/// A trade is about this long.
const ROW_BYTES: usize = 192;

/// The rows of a batch, in its order.
pub(super) struct CopyRows {
    bytes: BytesMut,
    rows: Vec<CopyRow>,
}

#[derive(Debug, Clone, Copy)]
struct CopyRow {
    /// Index into the batch's entries.
    entry: usize,
    /// Where its bytes end.
    end: usize,
}

/// Rows of a batch that cannot be stored: index of the entry, and why.
pub(super) type Rejected = Vec<(usize, Rejection)>;

impl CopyRows {
    /// Encodes the rows. `columns` are the table's, the record's own behind them.
    /// What has no binary form is rejected.
    pub(super) fn encode<R: PostgresRow>(
        batch: &Batch<R>,
        columns: &[(String, Type)],
    ) -> Result<(Self, Rejected), SinkError> {
        let mut rows =
            Self { bytes: BytesMut::with_capacity(batch.len() * ROW_BYTES), rows: Vec::new() };
        rows.rows.reserve(batch.len());
        let mut rejected = Rejected::new();
        for (index, entry) in batch.entries().iter().enumerate() {
            let Ok(row) = &entry.outcome else { continue };
            match rows.push(index, row, &entry.record, columns) {
                Ok(()) => {}
                Err(BindError::Value(why)) => {
                    rows.bytes.truncate(rows.start(rows.rows.len()));
                    rejected.push((index, Rejection::new(reason::REJECTED_BY_DATABASE, why)));
                }
                Err(BindError::Type(why)) => {
                    return Err(SinkError::Fatal(format!("writing into {}: {why}", R::TABLE)));
                }
            }
        }
        Ok((rows, rejected))
    }

    fn push<R: PostgresRow>(
        &mut self,
        entry: usize,
        row: &R,
        record: &Record,
        columns: &[(String, Type)],
    ) -> Result<(), BindError> {
        self.bytes.put_i16(columns.len() as i16);
        let mut binder = CopyBinder::new(columns, &mut self.bytes);
        row.bind(&mut binder)?;
        if binder.bound() != R::COLUMNS.len() {
            let (bound, wanted) = (binder.bound(), R::COLUMNS.len());
            return Err(BindError::Type(format!("a row gave {bound} values for {wanted} columns")));
        }
        binder.push(&&*record.topic)?;
        binder.push(&record.partition)?;
        binder.push(&record.offset)?;
        binder.push(&record.timestamp_ms)?;
        // Set by `stamp`.
        binder.push(&0i64)?;
        self.rows.push(CopyRow { entry, end: self.bytes.len() });
        Ok(())
    }

    /// Sets `committed_at_ms`, the last column.
    pub(super) fn stamp(&mut self, committed_at_ms: i64) {
        let stamp = committed_at_ms.to_be_bytes();
        for row in &self.rows {
            self.bytes[row.end - stamp.len()..row.end].copy_from_slice(&stamp);
        }
    }

    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }

    /// Index of a row's entry in the batch.
    pub(super) fn entry(&self, row: usize) -> usize {
        self.rows[row].entry
    }

    fn start(&self, row: usize) -> usize {
        row.checked_sub(1).map_or(0, |before| self.rows[before].end)
    }

    /// Sends a range of rows, up to the end of the data; the COPY is still open.
    pub(super) async fn send(
        &self,
        range: Range<usize>,
        mut to: Pin<&mut CopyInSink<Bytes>>,
    ) -> Result<(), Error> {
        let body = &self.bytes[self.start(range.start)..self.start(range.end)];
        to.feed(Bytes::from_static(HEADER)).await?;
        for chunk in body.chunks(CHUNK_BYTES) {
            to.feed(Bytes::copy_from_slice(chunk)).await?;
        }
        to.feed(Bytes::from_static(TRAILER)).await
    }
}
