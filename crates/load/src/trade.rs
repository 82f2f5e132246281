//! Trades, deterministic from a seed, and records that are none.
//!
//! A trade's id carries its global sequence number: unique, and increasing in
//! send order, so also within an account.

use std::fmt::Write as _;

use jiff::Timestamp;
use rand::{RngExt as _, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, Zipf};

use crate::LoadProfile;

const SYMBOLS: [&str; 7] = ["AAPL", "GOOGL", "MSFT", "AMZN", "TSLA", "META", "NVDA"];
const FIRST_ACCOUNT: u32 = 1000;

/// What a record is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A good trade.
    Trade,
    /// Cut off in the middle.
    BadJson,
    /// A quantity that is text.
    WrongType,
    /// A field nobody knows.
    UnknownField,
    /// No account.
    MissingField,
    /// No bytes at all.
    Empty,
    /// A null payload.
    Tombstone,
    /// A NUL character in a text.
    Nul,
}

/// Everything but [`Kind::Trade`].
pub const POISON: [Kind; 7] = [
    Kind::BadJson,
    Kind::WrongType,
    Kind::UnknownField,
    Kind::MissingField,
    Kind::Empty,
    Kind::Tombstone,
    Kind::Nul,
];

impl Kind {
    /// Its name in a ledger.
    pub fn name(self) -> &'static str {
        match self {
            Self::Trade => "trade",
            Self::BadJson => "bad_json",
            Self::WrongType => "wrong_type",
            Self::UnknownField => "unknown_field",
            Self::MissingField => "missing_field",
            Self::Empty => "empty",
            Self::Tombstone => "tombstone",
            Self::Nul => "nul",
        }
    }

    /// The kind of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        std::iter::once(Self::Trade).chain(POISON).find(|kind| kind.name() == name)
    }

    /// Whether it must end up in the dead letters.
    pub fn is_poison(self) -> bool {
        self != Self::Trade
    }

    /// The payload of a poison record: the same for the same sequence number, so
    /// that an audit can compare what was kept. `None` is a null payload.
    pub fn poison_payload(self, seq: u64) -> Option<Vec<u8>> {
        let text = match self {
            Self::Trade | Self::Tombstone => return None,
            Self::Empty => String::new(),
            Self::BadJson => {
                format!("{{\"account_id\":\"ACC1000\",\"trade_id\":\"{}\",\"sym", trade_id(seq))
            }
            Self::WrongType => fields(seq, "\"many\"", "AAPL", ""),
            Self::UnknownField => fields(seq, "1", "AAPL", ",\"colour\":\"red\""),
            Self::MissingField => format!("{{\"trade_id\":\"{}\"}}", trade_id(seq)),
            Self::Nul => fields(seq, "1", "AA\\u0000PL", ""),
        };
        Some(text.into_bytes())
    }
}

fn fields(seq: u64, quantity: &str, symbol: &str, more: &str) -> String {
    format!(
        "{{\"account_id\":\"ACC1000\",\"trade_id\":\"{}\",\"symbol\":\"{symbol}\",\"trade_type\":\"BUY\",\
         \"quantity\":{quantity},\"price\":50.00,\"timestamp\":\"2026-01-01T00:00:00.000Z\"{more}}}",
        trade_id(seq)
    )
}

/// `TRD000000000042`.
pub fn trade_id(seq: u64) -> String {
    format!("TRD{seq:012}")
}

/// The sequence number in a trade id.
pub fn sequence_number(trade_id: &str) -> Option<u64> {
    trade_id.strip_prefix("TRD")?.parse().ok()
}

/// `ACC1000` for key 0.
pub fn account_id(key: u32) -> String {
    let mut id = String::new();
    write_account_id(key, &mut id);
    id
}

/// Appends the account id of a key.
pub fn write_account_id(key: u32, to: &mut String) {
    // Writing to a String cannot fail.
    let _ = write!(to, "ACC{}", FIRST_ACCOUNT + key);
}

/// A record to be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Made {
    /// Its sequence number.
    pub seq: u64,
    /// Number of its key, from 0.
    pub key: u32,
    /// What it is.
    pub kind: Kind,
}

/// Makes records one after the other.
#[derive(Debug, Clone)]
pub struct TradeGenerator {
    random: ChaCha8Rng,
    keys: u32,
    zipf: Option<Zipf<f64>>,
    poison_per_million: u32,
    seq: u64,
    /// The last timestamp, and how it is written: many records share one.
    written: (i64, String),
}

impl TradeGenerator {
    /// The generator of a profile.
    pub fn new(profile: &LoadProfile) -> Self {
        let zipf = (profile.zipf > 0.0)
            .then(|| Zipf::new(f64::from(profile.keys), profile.zipf).ok())
            .flatten();
        Self {
            random: ChaCha8Rng::seed_from_u64(profile.seed),
            keys: profile.keys.max(1),
            zipf,
            poison_per_million: profile.poison_per_million,
            seq: 0,
            written: (i64::MIN, String::new()),
        }
    }

    /// Makes the next record into the buffer, which is empty for kinds without bytes.
    pub fn make(&mut self, timestamp_ms: i64, payload: &mut Vec<u8>) -> Made {
        payload.clear();
        let seq = self.seq;
        self.seq += 1;
        let key = match self.zipf {
            Some(zipf) => (zipf.sample(&mut self.random) as u32).clamp(1, self.keys) - 1,
            None => self.random.random_range(0..self.keys),
        };
        let kind = if self.random.random_range(0..1_000_000) < self.poison_per_million {
            POISON[self.random.random_range(0..POISON.len())]
        } else {
            Kind::Trade
        };
        if kind == Kind::Trade {
            self.write_trade(seq, key, timestamp_ms, payload);
        } else if let Some(bytes) = kind.poison_payload(seq) {
            payload.extend_from_slice(&bytes);
        }
        Made { seq, key, kind }
    }

    fn write_trade(&mut self, seq: u64, key: u32, timestamp_ms: i64, payload: &mut Vec<u8>) {
        let symbol = SYMBOLS[self.random.random_range(0..SYMBOLS.len())];
        let side = if self.random.random::<bool>() { "BUY" } else { "SELL" };
        let quantity = self.random.random_range(1..=1000);
        let cents = self.random.random_range(5_000..=50_000);
        let mut text = String::from_utf8(std::mem::take(payload)).unwrap_or_default();
        // Writing to a String cannot fail.
        let _ = write!(
            text,
            "{{\"account_id\":\"ACC{}\",\"trade_id\":\"TRD{seq:012}\",\"symbol\":\"{symbol}\",\
             \"trade_type\":\"{side}\",\"quantity\":{quantity},\"price\":{}.{:02},\"timestamp\":\"",
            FIRST_ACCOUNT + key,
            cents / 100,
            cents % 100,
        );
        if self.written.0 != timestamp_ms {
            let at = Timestamp::from_millisecond(timestamp_ms).unwrap_or(Timestamp::UNIX_EPOCH);
            self.written = (timestamp_ms, format!("{at:.3}"));
        }
        text.push_str(&self.written.1);
        text.push_str("\"}");
        *payload = text.into_bytes();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn first(count: usize, profile: &LoadProfile) -> Vec<(Made, String)> {
        let mut generator = TradeGenerator::new(profile);
        let mut payload = Vec::new();
        (0..count)
            .map(|_| {
                let made = generator.make(1_767_225_600_000, &mut payload);
                (made, String::from_utf8(payload.clone()).expect("utf-8"))
            })
            .collect()
    }

    #[test]
    fn the_first_trades_of_a_seed_never_change() {
        let profile = LoadProfile::constant(1.0, Some(1.0)).with_seed(42);
        let trades: Vec<String> = first(2, &profile).into_iter().map(|(_, text)| text).collect();
        assert_eq!(
            trades,
            include_str!("../tests/data/first-trades-seed-42.jsonl").lines().collect::<Vec<_>>()
        );
    }

    #[test]
    fn trades_have_the_documented_shape() {
        for (made, text) in first(500, &LoadProfile::constant(1.0, Some(1.0))) {
            let trade: serde_json::Value = serde_json::from_str(&text).expect("JSON");
            assert_eq!(trade["account_id"], account_id(made.key));
            assert_eq!(trade["trade_id"].as_str().and_then(sequence_number), Some(made.seq));
            assert!((1..=1000).contains(&trade["quantity"].as_u64().expect("quantity")));
            assert!((50.0..=500.0).contains(&trade["price"].as_f64().expect("price")));
            assert_eq!(trade["timestamp"], "2026-01-01T00:00:00.000Z");
        }
    }

    #[test]
    fn a_zipf_law_makes_the_first_key_the_hottest() {
        let profile = LoadProfile { keys: 100, zipf: 1.0, ..LoadProfile::constant(1.0, Some(1.0)) };
        let mut counts = [0u32; 100];
        for (made, _) in first(20_000, &profile) {
            counts[made.key as usize] += 1;
        }
        // The share of rank 1 is 1/H(100) = 0.193, of rank 2 half of it.
        assert!((3_400..4_300).contains(&counts[0]), "{}", counts[0]);
        assert!((1_600..2_300).contains(&counts[1]), "{}", counts[1]);
    }

    #[test]
    fn poison_comes_in_every_kind_and_keeps_its_name() {
        let profile =
            LoadProfile { poison_per_million: 500_000, ..LoadProfile::constant(1.0, Some(1.0)) };
        let made = first(1000, &profile);
        for kind in POISON {
            assert!(made.iter().any(|(made, _)| made.kind == kind), "{kind:?}");
            assert_eq!(Kind::from_name(kind.name()), Some(kind));
        }
        let good = made.iter().filter(|(made, _)| !made.kind.is_poison()).count();
        assert!((430..570).contains(&good), "{good}");
    }
}
