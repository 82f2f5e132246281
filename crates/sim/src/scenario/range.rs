//! A duration that varies.

use std::fmt;

use serde::de::{Deserializer, MapAccess, Visitor, value::MapAccessDeserializer};
use serde::{Deserialize, Serialize};

/// A duration drawn evenly between two values, seconds. One number is both.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize)]
pub struct Range {
    /// The least.
    pub min: f64,
    /// The most.
    pub max: f64,
}

/// As it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Both {
    min: f64,
    max: f64,
}

impl<'de> Deserialize<'de> for Range {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NumberOrBoth)
    }
}

struct NumberOrBoth;

impl<'de> Visitor<'de> for NumberOrBoth {
    type Value = Range;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("seconds, or {min, max}")
    }

    fn visit_f64<E>(self, seconds: f64) -> Result<Range, E> {
        Ok(Range { min: seconds, max: seconds })
    }

    fn visit_i64<E>(self, seconds: i64) -> Result<Range, E> {
        Ok(Range { min: seconds as f64, max: seconds as f64 })
    }

    fn visit_u64<E>(self, seconds: u64) -> Result<Range, E> {
        Ok(Range { min: seconds as f64, max: seconds as f64 })
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Range, A::Error> {
        let Both { min, max } = Both::deserialize(MapAccessDeserializer::new(map))?;
        Ok(Range { min, max })
    }
}
