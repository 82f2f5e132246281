//! What became of records that could not be stored: reading and replaying the
//! table `dead_letters` of either database.
//!
//! Contract: a replay writes a letter's row and removes the letter in one
//! transaction, so each record's effect stays exactly once, also when two
//! replays run at the same time or one dies. A record that is refused again
//! stays, with the new reason. Positions are not touched: pods may run.
//!
//! A replayed row comes behind the records that were stored meanwhile. In append
//! mode it is a later row; in upsert mode it is not written over a newer record
//! of its partition, if the table says where its rows come from.
//!
//! # Layout
//! - here: reading and replaying the table
//! - `topic`: the same letters as records of a Kafka topic

mod topic;

use serde::Serialize;
use tidegate_kafka::Record;

use crate::decode::{Decoder, Rejection, TradeDecoder, decode_record};
use crate::sink::{Database, SinkError, postgres, sqlite};
use crate::table::{MappedDecoder, TableKind};

pub use topic::{DeadLetterTopic, header};

pub(crate) use topic::Letter;

/// Which dead letters. What is not given does not choose.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// These only; empty means all.
    pub ids: Vec<i64>,
    /// A reason's code, for example `bad_json`.
    pub reason: Option<String>,
    /// Topic of the record.
    pub topic: Option<String>,
    /// Written at or after this time, Unix milliseconds.
    pub since_ms: Option<i64>,
    /// Written before this time, Unix milliseconds.
    pub until_ms: Option<i64>,
    /// At most so many, the oldest first.
    pub limit: Option<u64>,
}

/// One dead letter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetter {
    /// Its number in the table.
    pub id: i64,
    /// The record as it was read.
    pub record: Record,
    /// Stable code of the reason.
    pub reason_code: String,
    /// The reason for a human.
    pub reason: String,
    /// When it was written, Unix milliseconds.
    pub committed_at_ms: i64,
}

/// What a replay has done.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Replayed {
    /// Letters whose rows are stored now, and which are gone.
    pub stored: u64,
    /// Letters that were refused again: number, new code, new reason.
    pub refused: Vec<(i64, String, String)>,
}

/// Letters of one transaction of a replay.
pub(crate) const PAGE: usize = 500;

/// Of a database that nothing was ever written into.
pub(crate) const NO_TABLE: &str =
    "there is no table dead_letters: was it written by tidegate consume?";

/// The letters that a filter chooses, oldest first.
///
/// # Errors
/// The database cannot be read, or has no dead letters' table.
pub async fn list(database: &Database, filter: &Filter) -> Result<Vec<DeadLetter>, SinkError> {
    match database {
        Database::Sqlite(options) => sqlite::letters::list(options, filter),
        Database::Postgres(options) => postgres::letters::list(options, filter).await,
    }
}

/// The topics that there are letters of, sorted.
///
/// # Errors
/// As [`list`].
pub async fn topics(database: &Database) -> Result<Vec<String>, SinkError> {
    match database {
        Database::Sqlite(options) => sqlite::letters::topics(options),
        Database::Postgres(options) => postgres::letters::topics(options).await,
    }
}

/// Writes the rows of the letters that a filter chooses, as `table` says.
///
/// # Errors
/// The database cannot be written, has no dead letters' table, or its rows' table does
/// not fit. Pages that were committed before stay.
pub async fn replay(
    database: &Database,
    table: &TableKind,
    filter: &Filter,
) -> Result<Replayed, SinkError> {
    // A sink would create what is absent: a name mistyped is no new database, and a mapping
    // forgotten no new table.
    list(database, &Filter { limit: Some(0), ..Filter::default() }).await?;
    if table.check(database).await?.is_none() {
        return Err(SinkError::Fatal(format!(
            "{database}: there is no table {}: --mapping names the file of the table that the \
             letters' rows belong to",
            table.name()
        )));
    }
    match (database, table) {
        (Database::Sqlite(options), TableKind::Trades) => {
            sqlite::letters::replay(options, &sqlite::trades(), &TradeDecoder, filter)
        }
        (Database::Sqlite(options), TableKind::Mapped(mapping)) => {
            let decoder = MappedDecoder::new(mapping.clone());
            sqlite::letters::replay(options, &sqlite::mapped(mapping), &decoder, filter)
        }
        (Database::Postgres(options), TableKind::Trades) => {
            postgres::letters::replay(options, &postgres::trades(), &TradeDecoder, filter).await
        }
        (Database::Postgres(options), TableKind::Mapped(mapping)) => {
            let decoder = MappedDecoder::new(mapping.clone());
            postgres::letters::replay(options, &postgres::mapped(mapping), &decoder, filter).await
        }
    }
}

/// Decodes a letter's record. A larger payload than a pod takes is welcome here:
/// somebody has asked for it.
pub(crate) fn decode<D: Decoder>(decoder: &D, record: &Record) -> Result<D::Row, Rejection> {
    decode_record(decoder, record, usize::MAX)
}

#[cfg(test)]
mod tests;
