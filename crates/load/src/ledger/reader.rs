//! Reads a ledger.

use std::fs;
use std::path::Path;

use super::{ACKED, Acked, FAILED, LedgerMeta, META};
use crate::Error;
use crate::trade::Kind;

/// A ledger in memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ledger {
    /// What the load was.
    pub meta: LedgerMeta,
    /// Acknowledged records, by sequence number.
    pub acked: Vec<Acked>,
    /// Sequence numbers of records that were given up.
    pub failed: Vec<u64>,
}

impl Ledger {
    /// Reads a ledger's directory.
    ///
    /// # Errors
    /// [`Error::Ledger`] when it is none, or a line before the last is broken.
    pub fn read(directory: &Path) -> Result<Self, Error> {
        let wrong = |reason: String| Error::Ledger { path: directory.to_owned(), reason };
        let text = |name: &str| {
            fs::read_to_string(directory.join(name))
                .map_err(|error| wrong(format!("{name}: {error}")))
        };
        let meta = serde_json::from_str(&text(META)?)
            .map_err(|error| wrong(format!("{META}: {error}")))?;
        let mut acked =
            lines(&text(ACKED)?, parse_acked).map_err(|line| wrong(broken(ACKED, line)))?;
        acked.sort_unstable_by_key(|record| record.seq);
        let failed = lines(&text(FAILED)?, |line| line.split(',').next()?.parse().ok())
            .map_err(|line| wrong(broken(FAILED, line)))?;
        Ok(Self { meta, acked, failed })
    }
}

fn broken(file: &str, line: usize) -> String {
    format!("{file}: line {line} is broken")
}

/// All whole lines after the header; the error is the number of a broken one.
fn lines<T>(text: &str, parse: impl Fn(&str) -> Option<T>) -> Result<Vec<T>, usize> {
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    whole.lines().enumerate().skip(1).map(|(index, line)| parse(line).ok_or(index + 1)).collect()
}

fn parse_acked(line: &str) -> Option<Acked> {
    let mut fields = line.split(',');
    let acked = Acked {
        seq: fields.next()?.parse().ok()?,
        key: fields.next()?.parse().ok()?,
        partition: fields.next()?.parse().ok()?,
        offset: fields.next()?.parse().ok()?,
        timestamp_ms: fields.next()?.parse().ok()?,
        kind: Kind::from_name(fields.next()?)?,
    };
    fields.next().is_none().then_some(acked)
}
