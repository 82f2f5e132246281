//! The trade of the published demo.
//!
//! Strict: one JSON object with exactly these fields with these types. The price
//! stays the decimal text that was sent; a binary float would change it.
//!
//! A pod decodes several hundred thousand of them a second, and holds tens of
//! thousands: the texts of a row share one allocation.

use std::borrow::Cow;

use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use tidegate_kafka::Record;

use super::flat::{self, Value};
use super::json::{json_rejection, text};
use super::{Decoder, Rejection, reason};

/// PostgreSQL and most exact decimal types hold at least this many digits.
const PRICE_DIGITS_MAX: usize = 38;

/// One trade. Its texts are never empty and have no NUL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TradeRow {
    /// All texts, one behind the other, in the order of the methods.
    texts: Box<str>,
    /// Where each of them ends.
    ends: [usize; TEXTS],
    quantity: i64,
}

const TEXTS: usize = 6;

impl TradeRow {
    /// Account, also the record's key.
    pub fn account_id(&self) -> &str {
        self.text(0)
    }

    /// Unique id of the trade.
    pub fn trade_id(&self) -> &str {
        self.text(1)
    }

    /// Traded symbol.
    pub fn symbol(&self) -> &str {
        self.text(2)
    }

    /// `BUY` or `SELL`.
    pub fn trade_type(&self) -> &str {
        self.text(3)
    }

    /// When the trade was made, ISO 8601 text as received.
    pub fn timestamp(&self) -> &str {
        self.text(4)
    }

    /// Price of a share, exact decimal text as received.
    pub fn price(&self) -> &str {
        self.text(5)
    }

    /// Number of shares.
    pub fn quantity(&self) -> i64 {
        self.quantity
    }

    fn text(&self, index: usize) -> &str {
        let start = index.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.texts[start..self.ends[index]]
    }
}

/// Decodes [`TradeRow`] from JSON.
#[derive(Debug, Clone, Copy, Default)]
pub struct TradeDecoder;

/// In the order of the demo's producer.
const FIELDS: [&str; 7] =
    ["account_id", "trade_id", "symbol", "trade_type", "quantity", "price", "timestamp"];

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TradeJson<'a> {
    #[serde(borrow)]
    account_id: Cow<'a, str>,
    #[serde(borrow)]
    trade_id: Cow<'a, str>,
    #[serde(borrow)]
    symbol: Cow<'a, str>,
    #[serde(borrow)]
    trade_type: Cow<'a, str>,
    quantity: i64,
    #[serde(borrow, deserialize_with = "as_written")]
    price: &'a str,
    #[serde(borrow)]
    timestamp: Cow<'a, str>,
}

impl Decoder for TradeDecoder {
    type Row = TradeRow;

    fn decode(&self, record: &Record) -> Result<TradeRow, Rejection> {
        if let Some(trade) = flat::payload(record).and_then(TradeJson::flat) {
            return trade.into_row();
        }
        TradeJson::any(text(record)?)?.into_row()
    }
}

fn as_written<'de, D: Deserializer<'de>>(value: D) -> Result<&'de str, D::Error> {
    <&RawValue>::deserialize(value).map(RawValue::get)
}

impl<'a> TradeJson<'a> {
    /// Reads a trade as it usually is.
    fn flat(text: &'a str) -> Option<Self> {
        let mut values = [None; FIELDS.len()];
        // Producers have an order of their own and keep it; ours is the demo's.
        let mut likely = 0;
        flat::members(text, |name, value| {
            let index = match FIELDS.get(likely) {
                Some(field) if *field == name => likely,
                _ => FIELDS.iter().position(|field| *field == name)?,
            };
            likely = index + 1;
            values[index].replace(value).is_none().then_some(())
        })?;
        let [
            Some(Value::Text(account_id)),
            Some(Value::Text(trade_id)),
            Some(Value::Text(symbol)),
            Some(Value::Text(trade_type)),
            Some(Value::Number(quantity)),
            Some(Value::Number(price)),
            Some(Value::Text(timestamp)),
        ] = values
        else {
            return None;
        };
        let quantity = quantity.parse().ok()?;
        let [account_id, trade_id, symbol, trade_type, timestamp] =
            [account_id, trade_id, symbol, trade_type, timestamp].map(Cow::Borrowed);
        Some(Self { account_id, trade_id, symbol, trade_type, quantity, price, timestamp })
    }

    /// Reads any JSON, and tells what is wrong with it.
    fn any(text: &'a str) -> Result<Self, Rejection> {
        let trade = serde_json::from_str(text).map_err(|error| json_rejection(&error))?;
        // The derived code also takes the values alone, in an array.
        if !text.trim_start().starts_with('{') {
            return Err(Rejection::new(reason::BAD_FIELD, "the payload is not an object"));
        }
        Ok(trade)
    }

    fn into_row(self) -> Result<TradeRow, Rejection> {
        let named = [
            ("account_id", &self.account_id),
            ("trade_id", &self.trade_id),
            ("symbol", &self.symbol),
            ("trade_type", &self.trade_type),
            ("timestamp", &self.timestamp),
        ];
        for (field, text) in named {
            check(field, text, matches!(text, Cow::Owned(_)))?;
        }
        if !matches!(&*self.trade_type, "BUY" | "SELL") {
            let given = &self.trade_type;
            return Err(Rejection::new(
                reason::BAD_VALUE,
                format!("trade_type {given:?}: allowed is BUY, SELL"),
            ));
        }
        let price = price(self.price)?;
        let length = price.len() + named.iter().map(|(_, text)| text.len()).sum::<usize>();
        let mut texts = String::with_capacity(length);
        let mut ends = [0; TEXTS];
        let parts = named.iter().map(|(_, text)| &***text).chain([price]);
        for (end, part) in ends.iter_mut().zip(parts) {
            texts.push_str(part);
            *end = texts.len();
        }
        Ok(TradeRow { texts: texts.into_boxed_str(), ends, quantity: self.quantity })
    }
}

fn check(field: &str, text: &str, had_escapes: bool) -> Result<(), Rejection> {
    if text.is_empty() {
        return Err(Rejection::new(reason::BAD_VALUE, format!("{field} is empty")));
    }
    // The payload has none as a byte: only an escape can have made one.
    if had_escapes && text.contains('\0') {
        return Err(Rejection::new(reason::NUL_CHARACTER, format!("NUL in {field}")));
    }
    Ok(())
}

/// A JSON number without exponent, as written.
fn price(text: &str) -> Result<&str, Rejection> {
    if !text.starts_with(|c: char| c == '-' || c.is_ascii_digit()) {
        return Err(Rejection::new(reason::BAD_FIELD, "price is not a number"));
    }
    let digits = text.bytes().filter(u8::is_ascii_digit).count();
    if digits > PRICE_DIGITS_MAX || text.contains(['e', 'E']) {
        return Err(Rejection::new(
            reason::BAD_VALUE,
            format!(
                "price: allowed is a decimal number of at most {PRICE_DIGITS_MAX} digits without exponent"
            ),
        ));
    }
    Ok(text)
}
