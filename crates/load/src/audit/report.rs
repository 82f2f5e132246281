//! What an audit found.

use std::fmt;

use serde::Serialize;

/// A broken promise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ViolationKind {
    /// Acknowledged, before its partition's position, and nowhere in the database.
    Lost,
    /// In the database more often than once.
    Duplicated,
    /// After a record of its key or partition that was sent later.
    OutOfOrder,
    /// A good record among the dead letters.
    DeadLettered,
    /// A dead letter whose bytes are not the record's, or a row of one record at the
    /// place of another.
    Altered,
}

/// One example.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Violation {
    /// What is wrong.
    pub kind: ViolationKind,
    /// Key of the record.
    pub key: String,
    /// Sequence number.
    pub seq: u64,
    /// Partition.
    pub partition: i32,
    /// Offset.
    pub offset: i64,
}

/// Ages at commit of the stored records, milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize)]
pub struct Ages {
    /// Half were younger.
    pub p50: i64,
    /// 99 in 100 were younger.
    pub p99: i64,
    /// The oldest.
    pub max: i64,
    /// Mean.
    pub mean: f64,
}

impl Ages {
    pub(super) fn of(mut ages: Vec<i64>) -> Self {
        ages.sort_unstable();
        let at =
            |share: f64| ages.get(((ages.len() as f64 - 1.0) * share).round() as usize).copied();
        Self {
            p50: at(0.5).unwrap_or(0),
            p99: at(0.99).unwrap_or(0),
            max: ages.last().copied().unwrap_or(0),
            mean: ages.iter().sum::<i64>() as f64 / (ages.len().max(1)) as f64,
        }
    }
}

/// The result of an audit. Counts are records.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct AuditReport {
    /// Acknowledged by Kafka.
    pub sent: u64,
    /// Rows of known records.
    pub stored: u64,
    /// Records whose row a later one of their key has replaced, as it should.
    pub replaced: u64,
    /// Poison records among the dead letters, as they should be.
    pub dead_lettered: u64,
    /// Acknowledged and not yet consumed.
    pub pending: u64,
    /// Acknowledged, passed over, and nowhere.
    pub lost: u64,
    /// Rows and dead letters beyond the first of a record.
    pub duplicated: u64,
    /// Rows after a later one of their key or partition.
    pub out_of_order: u64,
    /// Good records among the dead letters.
    pub dead_lettered_unexpected: u64,
    /// Dead letters whose bytes were changed, and rows at the place of another record.
    pub altered: u64,
    /// In the database and not in the ledger: the producer died before it knew.
    pub unacknowledged_stored: u64,
    /// Given up by the producer.
    pub failed_sends: u64,
    /// Keys that were sent.
    pub keys: u64,
    /// Keys with any violation.
    pub keys_violated: u64,
    /// Whether `out_of_order` was looked for: the table numbers its rows, or keeps the
    /// last one of a key.
    pub order_checked: bool,
    /// Ages at commit; `None` if the table does not say when a row was sent.
    pub age_ms: Option<Ages>,
    /// Examples, ten of each kind at most.
    pub violations: Vec<Violation>,
}

impl AuditReport {
    /// Nothing lost, duplicated, reordered, wrongly dead-lettered or altered.
    pub fn passed(&self) -> bool {
        self.lost
            + self.duplicated
            + self.out_of_order
            + self.dead_lettered_unexpected
            + self.altered
            == 0
    }
}

impl fmt::Display for AuditReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "sent           {} records of {} keys", self.sent, self.keys)?;
        writeln!(f, "stored         {}", self.stored)?;
        if self.replaced > 0 {
            writeln!(f, "replaced       {} (by a later record of their key)", self.replaced)?;
        }
        writeln!(f, "dead-lettered  {}", self.dead_lettered)?;
        if self.pending > 0 {
            writeln!(f, "pending        {} (still in Kafka)", self.pending)?;
        }
        writeln!(f, "lost           {}", self.lost)?;
        writeln!(f, "duplicated     {}", self.duplicated)?;
        match self.order_checked {
            true => writeln!(f, "out of order   {}", self.out_of_order)?,
            false => writeln!(f, "out of order   not checked: the rows are not numbered")?,
        }
        for (count, words) in [
            (self.dead_lettered_unexpected, "good records dead-lettered"),
            (self.altered, "altered"),
            (self.keys_violated, "keys with a violation"),
            (self.unacknowledged_stored, "stored without acknowledgement"),
            (self.failed_sends, "given up by the producer"),
        ] {
            if count > 0 {
                writeln!(f, "               {count} {words}")?;
            }
        }
        match self.age_ms {
            Some(Ages { p50, p99, max, .. }) => {
                writeln!(f, "age at commit  p50 {p50} ms, p99 {p99} ms, max {max} ms")?;
            }
            None => writeln!(f, "age at commit  not known: the table has no committed_at")?,
        }
        for Violation { kind, key, seq, partition, offset } in &self.violations {
            writeln!(
                f,
                "  {kind:?}: key {key}, record {seq}, partition {partition}, offset {offset}"
            )?;
        }
        write!(
            f,
            "verdict        {}",
            match (self.passed(), self.order_checked) {
                (true, true) => "exactly once, in order",
                (true, false) => "exactly once",
                (false, _) => "BROKEN",
            }
        )
    }
}
