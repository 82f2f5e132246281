//! How a row type becomes a table, and its values become PostgreSQL's.

use std::error::Error;

use bytes::{BufMut, BytesMut};
use tidegate_postgres::tokio_postgres::types::{IsNull, ToSql, Type, accepts, to_sql_checked};

use super::schema::Column;
use crate::decode::{Row, TradeRow};
use crate::table::time_us;

/// Why a row has no binary form.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BindError {
    /// This value cannot be stored: the record becomes a dead letter.
    #[error("{0}")]
    Value(String),
    /// No value of this kind can be stored in that column: the program's fault.
    #[error("{0}")]
    Type(String),
}

/// A row type with a table of its own.
///
/// The sink creates the table with an `id`, these columns, and the record's
/// `kafka_topic`, `kafka_partition`, `kafka_offset`, `record_timestamp_ms` and
/// `committed_at_ms`. An existing table must have these columns with these
/// types (any text type for a text); it may have more columns, if they have
/// defaults, and constraints: a row that breaks one becomes a dead letter.
pub trait PostgresRow: Row {
    /// Name of the table.
    const TABLE: &'static str;
    /// Columns and their SQL types, in the order in which `bind` gives values.
    const COLUMNS: &'static [(&'static str, &'static str)];

    /// Gives one value a column.
    ///
    /// # Errors
    /// What the binder returns.
    fn bind(&self, binder: &mut CopyBinder<'_>) -> Result<(), BindError>;
}

/// Takes the values of one row, first column first.
#[derive(Debug)]
pub struct CopyBinder<'a> {
    columns: &'a [Column],
    out: &'a mut BytesMut,
    bound: usize,
}

impl<'a> CopyBinder<'a> {
    pub(super) fn new(columns: &'a [Column], out: &'a mut BytesMut) -> Self {
        Self { columns, out, bound: 0 }
    }

    /// The value of the next column.
    ///
    /// # Errors
    /// There are more values than columns, or the column cannot take the value.
    pub fn push<T: ToSql>(&mut self, value: &T) -> Result<(), BindError> {
        let Some(Column { name, kind, .. }) = self.columns.get(self.bound) else {
            return Err(BindError::Type(format!("there are only {} columns", self.bound)));
        };
        if !T::accepts(kind) {
            let given = std::any::type_name::<T>();
            return Err(BindError::Type(format!("column {name} is {kind} and takes no {given}")));
        }
        self.bound += 1;
        let at = self.out.len();
        self.out.put_i32(-1);
        match value.to_sql(kind, self.out) {
            Ok(IsNull::Yes) => self.out.truncate(at + 4),
            Ok(IsNull::No) => {
                let length = i32::try_from(self.out.len() - at - 4)
                    .map_err(|_| BindError::Value(format!("{name}: longer than 2 GiB")))?;
                self.out[at..at + 4].copy_from_slice(&length.to_be_bytes());
            }
            Err(error) => return Err(BindError::Value(format!("{name}: {error}"))),
        }
        Ok(())
    }

    /// The next value in its binary form; the caller knows the column's type.
    pub(crate) fn put(&mut self, write: impl FnOnce(&mut BytesMut)) -> Result<(), BindError> {
        if self.bound == self.columns.len() {
            return Err(BindError::Type(format!("there are only {} columns", self.bound)));
        }
        self.bound += 1;
        let at = self.out.len();
        self.out.put_i32(0);
        write(self.out);
        let length = i32::try_from(self.out.len() - at - 4)
            .map_err(|_| BindError::Value("a value is longer than 2 GiB".into()))?;
        self.out[at..at + 4].copy_from_slice(&length.to_be_bytes());
        Ok(())
    }

    /// The next value is NULL.
    pub(crate) fn put_null(&mut self) -> Result<(), BindError> {
        self.put(|_| ())?;
        let at = self.out.len() - 4;
        self.out[at..].copy_from_slice(&(-1i32).to_be_bytes());
        Ok(())
    }

    pub(super) fn bound(&self) -> usize {
        self.bound
    }
}

impl PostgresRow for TradeRow {
    const TABLE: &'static str = "trades";
    const COLUMNS: &'static [(&'static str, &'static str)] = &[
        ("account_id", "text"),
        ("trade_id", "text"),
        ("symbol", "text"),
        ("trade_type", "text"),
        ("quantity", "bigint"),
        ("price", "numeric"),
        ("timestamp", "timestamptz"),
    ];

    fn bind(&self, binder: &mut CopyBinder<'_>) -> Result<(), BindError> {
        binder.push(&self.account_id())?;
        binder.push(&self.trade_id())?;
        binder.push(&self.symbol())?;
        binder.push(&self.trade_type())?;
        binder.push(&self.quantity())?;
        binder.push(&Numeric(self.price()))?;
        binder.push(&Timestamptz(self.timestamp()))
    }
}

/// A decimal text without exponent, for a `numeric` column, exactly: at most 131,072
/// digits and 16,383 decimals.
#[derive(Debug, Clone, Copy)]
pub struct Numeric<'a>(pub &'a str);

/// `numeric` has base 10,000: decimal digits in one of its own.
const GROUP: usize = 4;
/// Most digits before the point and behind it that `numeric` has.
const WHOLE_DIGITS_MAX: usize = 131_072;
const DECIMALS_MAX: usize = 16_383;
const NEGATIVE: u16 = 0x4000;

impl ToSql for Numeric<'_> {
    /// Number of digits of base 10,000, weight of the first, sign, decimals to
    /// show, digits: `numeric_recv` in the server's `numeric.c`, which trims zeros.
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        let (sign, digits) = match self.0.strip_prefix('-') {
            Some(digits) => (NEGATIVE, digits),
            None => (0, self.0),
        };
        let (whole, decimals) = digits.split_once('.').unwrap_or((digits, ""));
        let is_decimal = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        if whole.is_empty() || !is_decimal(whole) || !is_decimal(decimals) {
            return Err(format!("{:?} is not a decimal number", self.0).into());
        }
        if whole.len() > WHOLE_DIGITS_MAX || decimals.len() > DECIMALS_MAX {
            return Err(format!(
                "a number of {} digits and {} decimals: allowed are {WHOLE_DIGITS_MAX} and \
                 {DECIMALS_MAX}",
                whole.len(),
                decimals.len()
            )
            .into());
        }
        let (head, tail) = whole.as_bytes().split_at(whole.len() % GROUP);
        let whole_groups = whole.len().div_ceil(GROUP);
        // The number of digits has no sign there, the weight has one.
        out.put_u16(u16::try_from(whole_groups + decimals.len().div_ceil(GROUP))?);
        out.put_i16(i16::try_from(whole_groups - 1)?);
        out.put_u16(sign);
        out.put_i16(i16::try_from(decimals.len())?);
        let value =
            |group: &[u8]| group.iter().fold(0, |value, byte| value * 10 + u16::from(byte - b'0'));
        if !head.is_empty() {
            out.put_u16(value(head));
        }
        tail.chunks(GROUP).for_each(|group| out.put_u16(value(group)));
        for group in decimals.as_bytes().chunks(GROUP) {
            let missing = (group.len()..GROUP).fold(1, |factor, _| factor * 10);
            out.put_u16(value(group) * missing);
        }
        Ok(IsNull::No)
    }

    accepts!(NUMERIC);
    to_sql_checked!();
}

/// An ISO 8601 text, for a `timestamptz` column; without an offset it is UTC.
#[derive(Debug, Clone, Copy)]
pub struct Timestamptz<'a>(pub &'a str);

/// 2000-01-01T00:00:00Z, where PostgreSQL's time begins, Unix microseconds.
const EPOCH_US: i64 = 946_684_800_000_000;

impl Timestamptz<'_> {
    /// Unix milliseconds as `timestamptz` counts.
    pub(super) fn of_ms(at_ms: i64) -> i64 {
        Self::of_us(at_ms.saturating_mul(1000))
    }

    /// Unix microseconds as `timestamptz` counts.
    pub(crate) fn of_us(at_us: i64) -> i64 {
        at_us.saturating_sub(EPOCH_US)
    }
}

impl ToSql for Timestamptz<'_> {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        let at_us = time_us(self.0);
        let at_us = at_us.ok_or_else(|| format!("{:?} is not an ISO 8601 time", self.0))?;
        out.put_i64(Self::of_us(at_us));
        Ok(IsNull::No)
    }

    accepts!(TIMESTAMPTZ);
    to_sql_checked!();
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(value: &impl ToSql, kind: &Type) -> Result<Vec<u8>, String> {
        let mut out = BytesMut::new();
        value.to_sql(kind, &mut out).map_err(|error| error.to_string())?;
        Ok(out.to_vec())
    }

    #[test]
    fn decimals_become_digits_of_base_ten_thousand() {
        let numeric = |text| bytes(&Numeric(text), &Type::NUMERIC);
        let expected = [3i16, 1, 0, 3, 1, 2345, 6780].map(i16::to_be_bytes).concat();
        assert_eq!(numeric("12345.678"), Ok(expected));
        let expected = [2i16, 0, 0x4000, 2, 0, 500].map(i16::to_be_bytes).concat();
        assert_eq!(numeric("-0.05"), Ok(expected));
        for wrong in ["", "-", "-.05", "1e5", "NaN", "1,5", "+1", "1.-5"] {
            assert!(numeric(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_number_that_no_numeric_holds_is_refused_here() {
        let numeric = |whole: usize, decimals: usize| {
            let text = format!("{}.{}", "9".repeat(whole), "9".repeat(decimals));
            bytes(&Numeric(&text), &Type::NUMERIC)
        };
        let largest = numeric(131_072, 16_383).expect("numeric has as many");
        assert_eq!(largest.len(), 8 + 2 * (32_768 + 4_096));
        assert_eq!(largest[..4], [0x90, 0, 0x7f, 0xff], "number of digits, weight");
        for (whole, decimals) in [(131_073, 0), (1, 16_384), (98_300, 32_767), (1, 200_000)] {
            let error = numeric(whole, decimals).expect_err("too long");
            assert!(error.contains("allowed are 131072 and 16383"), "{error}");
        }
    }

    #[test]
    fn a_time_without_offset_is_utc() {
        let time = |text| bytes(&Timestamptz(text), &Type::TIMESTAMPTZ);
        let second = Ok(1_000_000i64.to_be_bytes().to_vec());
        assert_eq!(time("2000-01-01T00:00:01Z"), second);
        assert_eq!(time("2000-01-01T00:00:01"), second);
        assert_eq!(time("2000-01-01T02:00:01.000+02:00"), second);
        let last = Ok(252_455_615_999_999_999i64.to_be_bytes().to_vec());
        assert_eq!(time("9999-12-31T23:59:59.9999999+00:00"), last);
        assert!(time("yesterday").is_err_and(|error| error.contains("yesterday")));
    }
}
