//! What the flags, the environment, the file and the defaults add up to.
//!
//! Contract: `flag > environment > file > default`. clap resolves the first two;
//! this module lays them over the file and over `config/default.toml`, which the
//! binary carries, so a default is written down once. Unknown keys are refused,
//! and each value is checked against its range; an error names where the value
//! came from, the key, the value and what is allowed.
//!
//! Rejected: a configuration framework. Merging three tables is twenty lines,
//! and the error messages stay ours.
//!
//! # Layout
//! - `batch_size`: a number or "auto"
//! - `layers`: tables, merging, reading the file
//! - `model`: the resolved sections and their ranges
//! - `wrong_type`: the key, the line and what is allowed, where a file's value has another type

mod batch_size;
mod layers;
mod model;
mod wrong_type;

pub(crate) use batch_size::BatchSize;
pub(crate) use layers::Layers;
pub(crate) use model::{Config, ConsumeConfig, KafkaConfig};

#[cfg(test)]
mod tests;
