//! The trade of the published demo.
//!
//! Strict: exactly these fields with these types. The price stays the decimal
//! text that was sent; a binary float would change it.

use serde::Deserialize;
use serde_json::value::RawValue;
use tidegate_kafka::Record;

use super::json::{json_rejection, text};
use super::{Decoder, Rejection, reason};

/// PostgreSQL and most exact decimal types hold at least this many digits.
const PRICE_DIGITS_MAX: usize = 38;

/// One trade.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TradeRow {
    /// Account, also the record's key.
    pub account_id: String,
    /// Unique id of the trade.
    pub trade_id: String,
    /// Traded symbol.
    pub symbol: String,
    /// `BUY` or `SELL`.
    pub trade_type: String,
    /// Number of shares.
    pub quantity: i64,
    /// Price of a share, exact decimal text as received.
    pub price: String,
    /// When the trade was made, ISO 8601 text as received.
    pub timestamp: String,
}

/// Decodes [`TradeRow`] from JSON.
#[derive(Debug, Clone, Copy, Default)]
pub struct TradeDecoder;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TradeJson<'a> {
    account_id: String,
    trade_id: String,
    symbol: String,
    trade_type: String,
    quantity: i64,
    #[serde(borrow)]
    price: &'a RawValue,
    timestamp: String,
}

impl Decoder for TradeDecoder {
    type Row = TradeRow;

    fn decode(&self, record: &Record) -> Result<TradeRow, Rejection> {
        let trade: TradeJson<'_> =
            serde_json::from_str(text(record)?).map_err(|error| json_rejection(&error))?;
        let row = TradeRow {
            account_id: trade.account_id,
            trade_id: trade.trade_id,
            symbol: trade.symbol,
            trade_type: trade.trade_type,
            quantity: trade.quantity,
            price: price(trade.price)?,
            timestamp: trade.timestamp,
        };
        row.check()?;
        Ok(row)
    }
}

impl TradeRow {
    fn check(&self) -> Result<(), Rejection> {
        for (field, text) in [
            ("account_id", &self.account_id),
            ("trade_id", &self.trade_id),
            ("symbol", &self.symbol),
            ("trade_type", &self.trade_type),
            ("timestamp", &self.timestamp),
        ] {
            if text.is_empty() {
                return Err(Rejection::new(reason::BAD_VALUE, format!("{field} is empty")));
            }
            if text.contains('\0') {
                return Err(Rejection::new(reason::NUL_CHARACTER, format!("NUL in {field}")));
            }
        }
        if !matches!(self.trade_type.as_str(), "BUY" | "SELL") {
            let given = &self.trade_type;
            return Err(Rejection::new(
                reason::BAD_VALUE,
                format!("trade_type {given:?}: allowed is BUY, SELL"),
            ));
        }
        Ok(())
    }
}

/// A JSON number without exponent, as written.
fn price(raw: &RawValue) -> Result<String, Rejection> {
    let text = raw.get();
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
    Ok(text.to_owned())
}
