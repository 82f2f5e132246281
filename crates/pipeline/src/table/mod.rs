//! The rows' table: what its columns are, and how records become its rows.
//!
//! Contract: a sink knows its table as a [`TableShape`], made from a row type
//! or from a mapping file; it never asks where the shape came from.
//!
//! Rejected: one generic SQL writer for both databases. They agree on so little
//! (types, conflicts, parameters) that it would be two writers in one file.
//!
//! # Layout
//! - `shape`: columns, record fields, append or upsert
//! - `drift`: what a real table lacks of a shape
//! - `kind`: the table that is asked for; creating and checking it
//! - `mapping/`: a mapping file: which JSON fields become which columns

mod drift;
mod kind;
mod mapping;
mod shape;

pub use drift::{Drift, drift_lines};
pub use kind::TableKind;
pub use mapping::{ColumnType, MappedDecoder, MappedRow, Mapping, MappingError};
pub use shape::{RecordField, TableColumn, TableShape, WriteMode};

pub(crate) use drift::{FoundColumn, compare};
pub(crate) use mapping::time_us;
pub(crate) use shape::{DEFAULT_RECORD, quoted};
