//! Load: the curve of all records that arrived, and each partition's share.

mod curve;
mod weights;

pub(crate) use curve::{ArrivalCurve, Place, Reached};
pub use weights::partition_weights;
