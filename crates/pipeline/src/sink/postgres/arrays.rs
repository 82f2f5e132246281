//! Rows in the binary COPY format as one array a column, for `unnest`.
//!
//! An array's elements look like a row's fields (length, bytes), so they are
//! moved and not encoded again.

use std::error::Error;

use bytes::{Buf, BufMut, BytesMut};
use tidegate_postgres::tokio_postgres::types::{IsNull, ToSql, Type, to_sql_checked};

use super::schema::Column;

/// An array in its binary form.
#[derive(Debug)]
pub(super) struct RawArray(BytesMut);

impl ToSql for RawArray {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        out.extend_from_slice(&self.0);
        Ok(IsNull::No)
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    to_sql_checked!();
}

/// Dimensions, whether there are NULLs, element type, length, first index.
const HEADER_BYTES: usize = 20;

/// One array a column. Each row is given as in a COPY: number of fields, fields.
pub(super) fn arrays<'a>(
    columns: &[Column],
    rows: impl ExactSizeIterator<Item = &'a [u8]>,
) -> Vec<RawArray> {
    let count = rows.len();
    let mut arrays: Vec<BytesMut> = columns
        .iter()
        .map(|column| {
            let mut array = BytesMut::with_capacity(HEADER_BYTES + count * 16);
            array.put_i32(1);
            array.put_i32(0);
            array.put_u32(column.kind.oid());
            array.put_i32(count as i32);
            array.put_i32(1);
            array
        })
        .collect();
    let mut nulls = vec![false; columns.len()];
    for row in rows {
        for (index, (field, is_null)) in fields(row).enumerate() {
            if let Some(array) = arrays.get_mut(index) {
                array.extend_from_slice(field);
                nulls[index] |= is_null;
            }
        }
    }
    for (array, has_null) in arrays.iter_mut().zip(nulls) {
        array[4..8].copy_from_slice(&i32::from(has_null).to_be_bytes());
    }
    arrays.into_iter().map(RawArray).collect()
}

/// The fields of a row with their lengths in front, and whether each is NULL.
pub(super) fn fields(mut row: &[u8]) -> impl Iterator<Item = (&[u8], bool)> {
    row.advance(2);
    std::iter::from_fn(move || {
        let length = i32::from_be_bytes(row.get(..4)?.try_into().ok()?);
        let (field, rest) = row.split_at(4 + length.max(0) as usize);
        row = rest;
        Some((field, length < 0))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_become_elements() {
        let column = |kind: Type, array: Type| Column { name: "c".into(), kind, array };
        let columns = [column(Type::INT4, Type::INT4_ARRAY), column(Type::TEXT, Type::TEXT_ARRAY)];
        let row = |number: i32, text: Option<&str>| {
            let mut row = BytesMut::new();
            row.put_i16(2);
            row.put_i32(4);
            row.put_i32(number);
            row.put_i32(text.map_or(-1, |text| text.len() as i32));
            row.extend_from_slice(text.unwrap_or_default().as_bytes());
            row
        };
        let rows = [row(7, Some("ab")), row(8, None)];
        let found = arrays(&columns, rows.iter().map(|row| &row[..]));
        let mut numbers = BytesMut::new();
        [7, 8].as_slice().to_sql(&Type::INT4_ARRAY, &mut numbers).expect("encodes");
        // The client's own encoder always announces NULLs.
        numbers[4..8].copy_from_slice(&0i32.to_be_bytes());
        assert_eq!(found[0].0, numbers);
        let mut texts = BytesMut::new();
        [Some("ab"), None].as_slice().to_sql(&Type::TEXT_ARRAY, &mut texts).expect("encodes");
        assert_eq!(found[1].0, texts);
    }
}
