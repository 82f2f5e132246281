//! The comparison itself: no I/O.

use std::collections::{HashMap, HashSet};

use super::database::{Dead, Reader, Row};
use super::report::{Ages, AuditReport, Violation, ViolationKind};
use super::table::{AuditTable, RowMeaning};
use crate::ledger::{Acked, Ledger};
use crate::trade::{account_id, sequence_number};

const EXAMPLES: usize = 10;

pub(super) struct Comparison<'a> {
    ledger: &'a Ledger,
    table: &'a AuditTable,
    /// Rows come in commit order.
    is_ordered: bool,
    positions: HashMap<i32, i64>,
    /// Of each acknowledged record, in the ledger's order: rows and dead letters.
    stored: Vec<u16>,
    dead: Vec<u16>,
    /// Index into the ledger by partition and offset.
    by_offset: HashMap<(i32, i64), usize>,
    last_of_key: HashMap<u32, u64>,
    last_of_partition: HashMap<i32, i64>,
    ages_ms: Vec<i64>,
    violated_keys: HashSet<u32>,
    report: AuditReport,
}

impl Reader for Comparison<'_> {
    fn positions(&mut self, positions: HashMap<i32, i64>) {
        self.positions = positions;
    }

    fn rows_are_ordered(&mut self, ordered: bool) {
        self.is_ordered = ordered;
        self.report.order_checked = ordered || self.table.rows == RowMeaning::LastOfKey;
    }

    fn row(&mut self, row: &Row) {
        let Some(index) = self.known(row) else {
            self.report.unacknowledged_stored += 1;
            return;
        };
        let record = self.ledger.acked[index];
        self.ages_ms.extend(row.committed_at_ms.map(|at_ms| at_ms - record.timestamp_ms));
        self.report.stored += 1;
        self.stored[index] = self.stored[index].saturating_add(1);
        let last_seq = self.last_of_key.get(&record.key).copied();
        let is_second = self.table.rows == RowMeaning::LastOfKey && last_seq.is_some();
        if self.stored[index] > 1 || is_second {
            self.report.duplicated += 1;
            self.violation(ViolationKind::Duplicated, record);
            return;
        }
        self.last_of_key.insert(record.key, record.seq);
        if self.is_elsewhere(row, record) {
            self.report.altered += 1;
            self.violation(ViolationKind::Altered, record);
        }
        if self.is_ordered {
            let last_offset = self.last_of_partition.insert(record.partition, record.offset);
            if last_seq > Some(record.seq) || last_offset > Some(record.offset) {
                self.report.out_of_order += 1;
                self.violation(ViolationKind::OutOfOrder, record);
            }
        }
    }

    fn dead_letter(&mut self, dead: &Dead) {
        let Some(index) = self.by_offset.get(&(dead.partition, dead.offset)).copied() else {
            self.report.unacknowledged_stored += 1;
            return;
        };
        let record = self.ledger.acked[index];
        self.dead[index] = self.dead[index].saturating_add(1);
        if self.dead[index] > 1 {
            self.report.duplicated += 1;
            self.violation(ViolationKind::Duplicated, record);
        } else if self.becomes_row(record, dead) {
            self.report.dead_lettered_unexpected += 1;
            self.violation(ViolationKind::DeadLettered, record);
        } else {
            self.report.dead_lettered += 1;
            let is_poison = record.kind.is_poison();
            if is_poison && dead.payload != record.kind.poison_payload(record.seq) {
                self.report.altered += 1;
                self.violation(ViolationKind::Altered, record);
            }
        }
    }
}

impl<'a> Comparison<'a> {
    pub(super) fn new(ledger: &'a Ledger, table: &'a AuditTable) -> Self {
        let by_offset = ledger
            .acked
            .iter()
            .enumerate()
            .map(|(index, record)| ((record.partition, record.offset), index))
            .collect();
        let keys: HashSet<u32> = ledger.acked.iter().map(|record| record.key).collect();
        Self {
            stored: vec![0; ledger.acked.len()],
            dead: vec![0; ledger.acked.len()],
            by_offset,
            last_of_key: HashMap::new(),
            last_of_partition: HashMap::new(),
            ages_ms: Vec::with_capacity(ledger.acked.len()),
            violated_keys: HashSet::new(),
            report: AuditReport {
                sent: ledger.acked.len() as u64,
                failed_sends: ledger.failed.len() as u64,
                keys: keys.len() as u64,
                ..AuditReport::default()
            },
            ledger,
            table,
            is_ordered: false,
            positions: HashMap::new(),
        }
    }

    fn known(&self, row: &Row) -> Option<usize> {
        let acked = &self.ledger.acked;
        let seq = row.trade_id.as_deref().and_then(sequence_number);
        let by_seq = |seq| acked.binary_search_by_key(&seq, |record: &Acked| record.seq).ok();
        // A row that names no known trade: a poison record stored by mistake, or a
        // table without the trade's id.
        seq.and_then(by_seq).or_else(|| {
            let place = (row.partition?, row.offset?);
            self.by_offset.get(&place).copied()
        })
    }

    /// The row names one record and stands at the place of another.
    fn is_elsewhere(&self, row: &Row, record: Acked) -> bool {
        row.partition.is_some_and(|partition| partition != record.partition)
            || row.offset.is_some_and(|offset| offset != record.offset)
    }

    /// Whether a record among the dead letters should be a row.
    fn becomes_row(&self, record: Acked, dead: &Dead) -> bool {
        match &self.table.accepts {
            None => !record.kind.is_poison(),
            Some(accepts) if record.kind.is_poison() => {
                accepts(record.kind.poison_payload(record.seq).as_deref())
            }
            Some(accepts) => accepts(dead.payload.as_deref()),
        }
    }

    /// Whether a record that is a row should be a dead letter.
    fn is_refused(&self, record: Acked) -> bool {
        record.kind.is_poison()
            && self
                .table
                .accepts
                .as_ref()
                .is_none_or(|accepts| !accepts(record.kind.poison_payload(record.seq).as_deref()))
    }

    /// A later record of the key is stored in its place.
    fn is_replaced(&self, record: Acked) -> bool {
        self.table.rows == RowMeaning::LastOfKey
            && self.last_of_key.get(&record.key).is_some_and(|last| *last > record.seq)
    }

    pub(super) fn finish(mut self) -> AuditReport {
        for index in 0..self.ledger.acked.len() {
            let record = self.ledger.acked[index];
            match (self.stored[index] > 0, self.dead[index] > 0) {
                (false, false) if self.is_pending(record) => self.report.pending += 1,
                (false, false) if self.is_replaced(record) => self.report.replaced += 1,
                (false, false) => {
                    self.report.lost += 1;
                    self.violation(ViolationKind::Lost, record);
                }
                // A row and a dead letter, or a poison record that became a row.
                (true, dead) if dead || self.is_refused(record) => {
                    self.report.duplicated += 1;
                    self.violation(ViolationKind::Duplicated, record);
                }
                _ => {}
            }
        }
        self.report.keys_violated = self.violated_keys.len() as u64;
        self.report.age_ms = self.table.committed_at.is_some().then(|| Ages::of(self.ages_ms));
        self.report
    }

    fn is_pending(&self, record: Acked) -> bool {
        self.positions
            .get(&record.partition)
            .is_none_or(|next_offset| record.offset >= *next_offset)
    }

    fn violation(&mut self, kind: ViolationKind, record: Acked) {
        self.violated_keys.insert(record.key);
        let shown = self.report.violations.iter().filter(|shown| shown.kind == kind).count();
        if shown < EXAMPLES {
            self.report.violations.push(Violation {
                kind,
                key: account_id(record.key),
                seq: record.seq,
                partition: record.partition,
                offset: record.offset,
            });
        }
    }
}
