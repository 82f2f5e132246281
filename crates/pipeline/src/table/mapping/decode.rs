//! The decoder: walks a payload once, along the tree of pointers.
//!
//! A value's own error travels beside the JSON parser's, which can carry a text
//! only: it is left in the walk, and the parser is stopped.

mod visitors;

use std::sync::Arc;

use serde::de::{DeserializeSeed, Deserializer, Error};
use serde_json::value::RawValue;
use tidegate_kafka::Record;

use self::visitors::{LeafVisitor, NodeSeed, NodeVisitor};
use super::column::{ColumnMapping, ColumnType};
use super::file::UnknownFields;
use super::row::{MappedRow, RowBuilder, Value};
use super::tree::Node;
use super::{Mapping, flat};
use crate::decode::flat::payload;
use crate::decode::{Decoder, Rejection, json_rejection, payload_text, reason};

/// Decodes records by a mapping.
#[derive(Debug, Clone)]
pub struct MappedDecoder {
    mapping: Arc<Mapping>,
}

impl MappedDecoder {
    /// A decoder for a mapping.
    pub fn new(mapping: Arc<Mapping>) -> Self {
        Self { mapping }
    }
}

impl Decoder for MappedDecoder {
    type Row = MappedRow;

    fn decode(&self, record: &Record) -> Result<MappedRow, Rejection> {
        let mapping = &*self.mapping;
        let bytes = record.payload.as_deref().unwrap_or_default();
        let empty = || RowBuilder::new(bytes, mapping.columns.len());
        let mut row = empty();
        let read = payload(record).and_then(|text| flat::read(mapping, text, &mut row));
        if read.is_none() {
            row = walked(mapping, payload_text(record)?, empty())?;
        }
        for (index, column) in mapping.columns.iter().enumerate() {
            if row.values[index] == Value::Missing {
                row.values[index] = column.on_missing(&mut row)?;
            }
        }
        Ok(row.finish())
    }
}

/// Any payload.
pub(super) fn walked<'p>(
    mapping: &Mapping,
    text: &str,
    row: RowBuilder<'p>,
) -> Result<RowBuilder<'p>, Rejection> {
    let rejects_unknown = mapping.tree.unknown_fields == UnknownFields::Reject;
    let mut walk = Walk { columns: &mapping.columns, rejects_unknown, row, rejection: None };
    walk.json(text, |walk, parser| {
        NodeSeed { node: &mapping.tree.root, is_root: true, walk }.deserialize(parser)
    })?;
    Ok(walk.row)
}

/// The value that a column makes of a JSON text, alone in a row.
pub(super) fn value_of(column: &ColumnMapping, json: &str) -> Result<MappedRow, Rejection> {
    let columns = std::slice::from_ref(column);
    let row = RowBuilder::new(json.as_bytes(), 1);
    let mut walk = Walk { columns, rejects_unknown: false, row, rejection: None };
    walk.json(json, |walk, parser| walk.leaf(0, parser))?;
    Ok(walk.row.finish_without_payload())
}

/// A payload that is being walked.
struct Walk<'m, 'p> {
    columns: &'m [ColumnMapping],
    rejects_unknown: bool,
    row: RowBuilder<'p>,
    rejection: Option<Rejection>,
}

type Parser<'p, 'de> = &'p mut serde_json::Deserializer<serde_json::de::StrRead<'de>>;

impl<'m> Walk<'m, '_> {
    fn json<'de>(
        &mut self,
        text: &'de str,
        work: impl FnOnce(&mut Self, Parser<'_, 'de>) -> Result<(), serde_json::Error>,
    ) -> Result<(), Rejection> {
        let mut parser = serde_json::Deserializer::from_str(text);
        work(self, &mut parser)
            .and_then(|()| parser.end())
            .map_err(|error| self.rejection.take().unwrap_or_else(|| json_rejection(&error)))
    }

    /// Stops the parser; what is wrong is kept.
    fn stop<E: Error>(&mut self, rejection: Rejection) -> E {
        let error = E::custom(&rejection.reason);
        self.rejection = Some(rejection);
        error
    }

    fn bad_field<E: Error>(&mut self, why: String) -> E {
        self.stop(Rejection::new(reason::BAD_FIELD, why))
    }

    /// The value of a column, where nothing else is asked for.
    fn leaf<'de, D: Deserializer<'de>>(&mut self, index: usize, json: D) -> Result<(), D::Error> {
        let columns = self.columns;
        let column = &columns[index];
        let value = if matches!(column.kind, ColumnType::Numeric | ColumnType::Jsonb) {
            let raw = <&'de RawValue as serde::Deserialize>::deserialize(json)?;
            column.of_raw(raw.get(), &mut self.row).map_err(|why| self.stop(why))?
        } else {
            json.deserialize_any(LeafVisitor { column, walk: self })?
        };
        self.row.values[index] = value;
        Ok(())
    }

    /// Several columns here, or one and others below: each reads for itself.
    fn shared<'de, D: Deserializer<'de>>(
        &mut self,
        node: &'m Node,
        is_root: bool,
        json: D,
    ) -> Result<(), D::Error> {
        let raw = <&'de RawValue as serde::Deserialize>::deserialize(json)?.get();
        for index in &node.columns {
            self.json(raw, |walk, parser| walk.leaf(*index, parser))
                .map_err(|why| self.stop(why))?;
        }
        if node.children.is_empty() {
            return Ok(());
        }
        self.json(raw, |walk, parser| parser.deserialize_any(NodeVisitor { node, is_root, walk }))
            .map_err(|why| self.stop(why))
    }
}
