//! A batch in the binary COPY format, encoded once; it can be sent, and sent again.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::pin::Pin;

use bytes::{BufMut, Bytes, BytesMut};
use futures_util::SinkExt as _;
use tidegate_kafka::Record;
use tidegate_postgres::tokio_postgres::{CopyInSink, Error};

use super::Target;
use super::arrays::fields;
use super::row::{BindError, CopyBinder, Timestamptz};
use super::schema::Column;
use crate::batch::Batch;
use crate::decode::{Rejection, reason};
use crate::sink::SinkError;
use crate::sink::headers::headers_json;
use crate::table::RecordField;

/// Signature, flags (none), length of the header's extension (none).
const HEADER: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";
/// In the place of a row's number of columns: no more rows.
const TRAILER: &[u8] = &(-1i16).to_be_bytes();
/// Sent at a time: the server works on the first rows while the next are sent.
const CHUNK_BYTES: usize = 64 << 10;
/// In front of a `jsonb`.
pub(crate) const JSONB_VERSION: u8 = 1;
/// A trade is about this long.
const ROW_BYTES: usize = 192;

/// The rows of a batch, in its order.
pub(super) struct CopyRows {
    bytes: Bytes,
    rows: Vec<CopyRow>,
    stamp: Option<RecordField>,
    /// Which columns are the key; none in append mode.
    key_columns: Vec<usize>,
    keys_differ: bool,
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
    pub(super) fn encode<R>(
        batch: &Batch<R>,
        columns: &[Column],
        target: &Target<R>,
    ) -> Result<(Self, Rejected), SinkError> {
        let last = target.shape.record.last().map(|(field, _)| *field);
        let key_columns = target.shape.key_columns();
        let mut bytes = BytesMut::with_capacity(batch.len() * ROW_BYTES);
        let mut ends = Vec::with_capacity(batch.len());
        let mut rejected = Rejected::new();
        for (index, entry) in batch.entries().iter().enumerate() {
            let Ok(row) = &entry.outcome else { continue };
            let start = bytes.len();
            let encoded = encode_row(row, &entry.record, columns, target, &mut bytes);
            match encoded.and_then(|()| check_key(&bytes[start..], &key_columns, columns)) {
                Ok(()) => ends.push(CopyRow { entry: index, end: bytes.len() }),
                Err(BindError::Value(why)) => {
                    bytes.truncate(start);
                    rejected.push((index, Rejection::new(reason::REJECTED_BY_DATABASE, why)));
                }
                Err(BindError::Type(why)) => {
                    let table = &target.shape.table;
                    return Err(SinkError::Fatal(format!("writing into {table}: {why}")));
                }
            }
        }
        let mut rows = Self {
            bytes: bytes.freeze(),
            rows: ends,
            stamp: last.filter(|field| field.is_commit_time()),
            key_columns,
            keys_differ: true,
        };
        rows.keys_differ = rows.find_keys_differ();
        Ok((rows, rejected))
    }

    /// Sets the time of the commit, the last column.
    pub(super) fn stamp(&mut self, committed_at_ms: i64) {
        let stamp = match self.stamp {
            None => return,
            Some(RecordField::CommittedAt) => Timestamptz::of_ms(committed_at_ms),
            Some(_) => committed_at_ms,
        }
        .to_be_bytes();
        // A copy only while an attempt that failed still holds what it sent.
        let mut bytes = BytesMut::from(std::mem::take(&mut self.bytes));
        for row in &self.rows {
            bytes[row.end - stamp.len()..row.end].copy_from_slice(&stamp);
        }
        self.bytes = bytes.freeze();
    }

    /// A row as it is in a COPY: number of fields, fields with their lengths.
    pub(super) fn row(&self, row: usize) -> &[u8] {
        &self.bytes[self.start(row)..self.rows[row].end]
    }

    /// For each row the one before it with the same key, if there is one.
    /// Keys are compared by their bytes: two texts that only the database takes
    /// for the same key are left to it.
    /// Without a key no row has one before it.
    pub(super) fn same_key_before(&self) -> Vec<Option<usize>> {
        if self.keys_differ {
            return vec![None; self.rows.len()];
        }
        let hasher = foldhash::quality::RandomState::default();
        let mut last: HashMap<Cow<'_, [u8]>, usize, _> =
            HashMap::with_capacity_and_hasher(self.rows.len(), hasher);
        (0..self.rows.len()).map(|row| last.insert(self.key(row), row)).collect()
    }

    /// Whether there is a key.
    pub(super) fn have_key(&self) -> bool {
        !self.key_columns.is_empty()
    }

    /// Whether no two rows have the same key; compared as in `same_key_before`. Known since
    /// they were encoded, when no connection waited.
    pub(super) fn keys_differ(&self) -> bool {
        self.keys_differ
    }

    fn find_keys_differ(&self) -> bool {
        if self.key_columns.is_empty() {
            return true;
        }
        let hasher = foldhash::quality::RandomState::default();
        let mut seen = HashSet::with_capacity_and_hasher(self.rows.len(), hasher);
        (0..self.rows.len()).all(|row| seen.insert(self.key(row)))
    }

    fn key(&self, row: usize) -> Cow<'_, [u8]> {
        let field =
            |column: usize| fields(self.row(row)).nth(column).map_or(&[][..], |(field, _)| field);
        match &*self.key_columns {
            [column] => Cow::Borrowed(field(*column)),
            columns => {
                Cow::Owned(columns.iter().flat_map(|column| field(*column)).copied().collect())
            }
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

    /// Sends all rows, up to the end of the data; the COPY is still open.
    pub(super) async fn send(&self, mut to: Pin<&mut CopyInSink<Bytes>>) -> Result<(), Error> {
        let mut body = self.bytes.clone();
        to.feed(Bytes::from_static(HEADER)).await?;
        while !body.is_empty() {
            to.feed(body.split_to(body.len().min(CHUNK_BYTES))).await?;
        }
        to.feed(Bytes::from_static(TRAILER)).await
    }
}

/// Appends a row as it is in a COPY.
fn encode_row<R>(
    row: &R,
    record: &Record,
    columns: &[Column],
    target: &Target<R>,
    bytes: &mut BytesMut,
) -> Result<(), BindError> {
    bytes.put_i16(columns.len() as i16);
    let mut binder = CopyBinder::new(columns, bytes);
    (target.bind)(row, record, &mut binder)?;
    let wanted = target.shape.columns.len();
    if binder.bound() != wanted {
        let bound = binder.bound();
        return Err(BindError::Type(format!("a row gave {bound} values for {wanted} columns")));
    }
    for (field, _) in &target.shape.record {
        push_field(*field, record, &mut binder)?;
    }
    Ok(())
}

/// A unique index takes two NULLs for different: such a row would replace none.
fn check_key(row: &[u8], key: &[usize], columns: &[Column]) -> Result<(), BindError> {
    let is_null = |column: &&usize| fields(row).nth(**column).is_some_and(|(_, is_null)| is_null);
    match key.iter().find(is_null) {
        None => Ok(()),
        Some(column) => {
            let name = &columns[*column].name;
            Err(BindError::Value(format!("column {name} is of the key, and the record has none")))
        }
    }
}

/// The value of one of the record's own columns.
fn push_field(
    field: RecordField,
    record: &Record,
    binder: &mut CopyBinder<'_>,
) -> Result<(), BindError> {
    match field {
        RecordField::Topic => binder.push(&&*record.topic),
        RecordField::Partition => binder.push(&record.partition),
        RecordField::Offset => binder.push(&record.offset),
        RecordField::TimestampMs => binder.push(&record.timestamp_ms),
        RecordField::Timestamp => match record.timestamp_ms {
            Some(at_ms) => binder.put(|out| out.put_i64(Timestamptz::of_ms(at_ms))),
            None => binder.put_null(),
        },
        RecordField::Key => binder.push(&record.key.as_deref()),
        RecordField::KeyText => {
            let text = record.key.as_deref().map(std::str::from_utf8).transpose();
            let text = text.map_err(|_| BindError::Value("the key is not UTF-8".into()))?;
            if text.is_some_and(|text| text.contains('\0')) {
                return Err(BindError::Value("NUL in the key".into()));
            }
            binder.push(&text)
        }
        RecordField::Headers => {
            let json = headers_json(&record.headers);
            binder.put(|out| {
                out.put_u8(JSONB_VERSION);
                out.extend_from_slice(json.as_bytes());
            })
        }
        // Set by `stamp`.
        RecordField::CommittedAtMs | RecordField::CommittedAt => binder.put(|out| out.put_i64(0)),
    }
}
