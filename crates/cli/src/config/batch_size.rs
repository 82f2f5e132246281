//! A number of records, or "auto".

use std::fmt;
use std::str::FromStr;

use serde::de::{self, Deserializer, Unexpected, Visitor};
use serde::{Deserialize, Serialize, Serializer};

/// Records of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BatchSize {
    /// What the database's writes cost decides.
    Auto,
    /// This many; the range is checked with the other settings.
    Fixed(u64),
}

const ALLOWED: &str = "allowed is auto, or a number of records";

impl fmt::Display for BatchSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Fixed(records) => write!(f, "{records}"),
        }
    }
}

impl FromStr for BatchSize {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "auto" => Ok(Self::Auto),
            _ => text.parse().map(Self::Fixed).map_err(|_| ALLOWED.to_owned()),
        }
    }
}

impl Serialize for BatchSize {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Auto => serializer.serialize_str("auto"),
            Self::Fixed(records) => serializer.serialize_u64(*records),
        }
    }
}

impl<'de> Deserialize<'de> for BatchSize {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl Visitor<'_> for Either {
            type Value = BatchSize;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("\"auto\" or a number of records")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<BatchSize, E> {
                // A number in quotes is a mistake.
                match text {
                    "auto" => Ok(BatchSize::Auto),
                    _ => Err(E::invalid_value(Unexpected::Str(text), &self)),
                }
            }

            fn visit_u64<E: de::Error>(self, records: u64) -> Result<BatchSize, E> {
                Ok(BatchSize::Fixed(records))
            }

            fn visit_i64<E: de::Error>(self, records: i64) -> Result<BatchSize, E> {
                u64::try_from(records)
                    .map(BatchSize::Fixed)
                    .map_err(|_| E::invalid_value(Unexpected::Signed(records), &self))
            }
        }
        deserializer.deserialize_any(Either)
    }
}
