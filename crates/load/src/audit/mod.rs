//! Ledger against database: was everything written once, and in order?
//!
//! Contract: every acknowledged good record is one row, every acknowledged poison
//! record one dead letter with its original bytes, nothing is both; within a key and
//! within a partition rows are in send order. A record at or past its partition's
//! stored position is *pending*: still in Kafka, not lost. Rows that the ledger does
//! not know were sent and not acknowledged before the producer died: no failure.
//!
//! A table of a mapping ([`AuditTable`]) may keep the last record of a key only: then
//! the records before it are *replaced*.

mod compare;
mod database;
mod report;
mod table;
#[cfg(test)]
mod tests;

pub use database::Database;
pub use report::{Ages, AuditReport, Violation, ViolationKind};
pub use table::{Accepts, AuditTable, RowMeaning, TimeColumn};

use std::path::Path;

use crate::Error;
use crate::ledger::Ledger;

/// Audits a database of trades against a ledger. Blocking.
///
/// # Errors
/// [`Error::Ledger`] or [`Error::Database`] when one of them cannot be read.
pub fn audit(ledger: &Path, database: &Database) -> Result<AuditReport, Error> {
    audit_table(ledger, database, &AuditTable::default())
}

/// Audits another table than the trades'. Blocking.
///
/// # Errors
/// [`Error::Ledger`] or [`Error::Database`] when one of them cannot be read.
pub fn audit_table(
    ledger: &Path,
    database: &Database,
    table: &AuditTable,
) -> Result<AuditReport, Error> {
    let ledger = Ledger::read(ledger)?;
    let mut comparison = compare::Comparison::new(&ledger, table);
    database::read(database, &ledger.meta.topic, table, &mut comparison)?;
    Ok(comparison.finish())
}
