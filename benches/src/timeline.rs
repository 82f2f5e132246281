//! What the database says happened, commit by commit.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Context;
use rusqlite::{Connection, OpenFlags};

/// One stored record.
#[derive(Debug, Clone, Copy)]
struct Stored {
    partition: i32,
    timestamp_ms: i64,
    committed_at_ms: i64,
}

/// All stored records in commit order, and the sums over any window of them.
#[derive(Debug, Default)]
pub(crate) struct Timeline {
    /// By commit time.
    stored: Vec<Stored>,
    /// When each record was due, sorted, Unix ms.
    due_ms: Vec<i64>,
    partitions: BTreeMap<i32, PartitionTimes>,
}

/// Times of one partition's records, each list sorted, Unix ms.
#[derive(Debug, Default)]
struct PartitionTimes {
    due_ms: Vec<i64>,
    committed_ms: Vec<i64>,
}

impl Timeline {
    /// Empty where the run had another database than its own file.
    pub(crate) fn read(database: &Path) -> anyhow::Result<Self> {
        if !database.exists() {
            return Ok(Self::default());
        }
        let connection = Connection::open_with_flags(database, OpenFlags::SQLITE_OPEN_READ_ONLY)
            .with_context(|| format!("open {}", database.display()))?;
        let mut statement = connection.prepare(
            "SELECT kafka_partition, record_timestamp_ms, committed_at_ms FROM trades ORDER BY id",
        )?;
        let rows = statement.query_map([], |row| {
            Ok(Stored {
                partition: row.get(0)?,
                timestamp_ms: row.get(1)?,
                committed_at_ms: row.get(2)?,
            })
        })?;
        let mut stored = rows.collect::<Result<Vec<_>, _>>()?;
        stored.sort_by_key(|record| record.committed_at_ms);
        let mut due_ms: Vec<i64> = stored.iter().map(|record| record.timestamp_ms).collect();
        due_ms.sort_unstable();
        let mut partitions: BTreeMap<i32, PartitionTimes> = BTreeMap::new();
        for record in &stored {
            let times = partitions.entry(record.partition).or_default();
            times.due_ms.push(record.timestamp_ms);
            times.committed_ms.push(record.committed_at_ms);
        }
        for times in partitions.values_mut() {
            times.due_ms.sort_unstable();
        }
        Ok(Self { stored, due_ms, partitions })
    }

    /// Records committed in `[from_ms, to_ms)`.
    pub(crate) fn committed(&self, from_ms: i64, to_ms: i64) -> usize {
        self.index(to_ms) - self.index(from_ms)
    }

    fn index(&self, at_ms: i64) -> usize {
        self.stored.partition_point(|record| record.committed_at_ms < at_ms)
    }

    /// First commit at or after `from_ms`, Unix ms.
    pub(crate) fn first_commit_at_or_after(&self, from_ms: i64) -> Option<i64> {
        self.stored.get(self.index(from_ms)).map(|record| record.committed_at_ms)
    }

    /// Records that were due in `[from_ms, to_ms)`.
    pub(crate) fn arrived(&self, from_ms: i64, to_ms: i64) -> usize {
        self.due_before(to_ms) - self.due_before(from_ms)
    }

    /// Records of a partition that were due in `[from_ms, to_ms)`.
    pub(crate) fn arrived_on(&self, partition: i32, from_ms: i64, to_ms: i64) -> usize {
        self.partitions
            .get(&partition)
            .map_or(0, |times| before(&times.due_ms, to_ms) - before(&times.due_ms, from_ms))
    }

    /// Records of a partition that were due before `at_ms` and not yet committed then.
    pub(crate) fn backlog_of(&self, partition: i32, at_ms: i64) -> usize {
        self.partitions
            .get(&partition)
            .map_or(0, |times| before(&times.due_ms, at_ms) - before(&times.committed_ms, at_ms))
    }

    fn due_before(&self, at_ms: i64) -> usize {
        before(&self.due_ms, at_ms)
    }

    /// The least records a second of any window of `width_ms` that begins in
    /// `[from_ms, to_ms)`, windows taken every 100 ms.
    pub(crate) fn worst_rate(&self, from_ms: i64, to_ms: i64, width_ms: i64) -> f64 {
        (from_ms..to_ms)
            .step_by(100)
            .map(|start| self.committed(start, start + width_ms) as f64 * 1000.0 / width_ms as f64)
            .fold(f64::INFINITY, f64::min)
    }

    /// The greatest age at commit of the records committed in `[from_ms, to_ms)`, ms.
    pub(crate) fn max_age_ms(&self, from_ms: i64, to_ms: i64) -> i64 {
        self.stored[self.index(from_ms)..self.index(to_ms)]
            .iter()
            .map(|record| record.committed_at_ms - record.timestamp_ms)
            .max()
            .unwrap_or(0)
    }

    /// First commit at or after `from_ms` on each of the partitions, ms after `from_ms`.
    pub(crate) fn first_commit_after(&self, from_ms: i64, partitions: &[i32]) -> Vec<Option<i64>> {
        partitions
            .iter()
            .map(|partition| {
                self.stored[self.index(from_ms)..]
                    .iter()
                    .find(|record| record.partition == *partition)
                    .map(|record| record.committed_at_ms - from_ms)
            })
            .collect()
    }
}

fn before(sorted_ms: &[i64], at_ms: i64) -> usize {
    sorted_ms.partition_point(|t_ms| *t_ms < at_ms)
}
