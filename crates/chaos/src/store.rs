//! The database of a round: its URL, its positions, and what can be seen in it
//! without a ledger.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use rusqlite::{Connection, OpenFlags};
use tidegate_pgtest::Psql;

const POSITIONS: &str = "SELECT kafka_partition, next_offset FROM positions ORDER BY 1";

/// Of each partition: next offset, what is stored, how many different offsets that
/// is, and how many rows follow one of a later offset. The log has no gaps, so the first
/// three are equal and the last is 0: for records the ledger does not know, too.
const PARTITIONS: &str = "
WITH stored AS (
  SELECT kafka_partition AS p, kafka_offset AS o FROM trades
  UNION ALL SELECT kafka_partition, kafka_offset FROM dead_letters),
counted AS (
  SELECT p, count(*) AS stored, count(DISTINCT o) AS different, max(o) + 1 AS beyond
  FROM stored GROUP BY p),
ordered AS (
  SELECT kafka_partition AS p, kafka_offset AS o,
    lag(kafka_offset) OVER (PARTITION BY kafka_partition ORDER BY id) AS before FROM trades),
disordered AS (SELECT p, count(*) AS rows_back FROM ordered WHERE before >= o GROUP BY p)
SELECT kafka_partition, next_offset, coalesce(stored, 0), coalesce(different, 0),
  coalesce(beyond, 0), coalesce(rows_back, 0)
FROM positions LEFT JOIN counted c ON c.p = kafka_partition
LEFT JOIN disordered d ON d.p = kafka_partition ORDER BY 1";

/// Where a round's rows are.
#[derive(Debug, Clone)]
pub(crate) enum Store {
    Postgres {
        psql: Psql,
        database: String,
        proxy_port: u16,
        port: u16,
        /// Of a table with a key; without it the trades' own.
        mapping: Option<PathBuf>,
    },
    Sqlite {
        path: PathBuf,
    },
}

impl Store {
    /// The URL for the pods: through the proxy, if there is one.
    pub(crate) fn pods_url(&self) -> String {
        match self {
            Self::Postgres { proxy_port, database, .. } => url(*proxy_port, database),
            Self::Sqlite { path } => sqlite_url(path),
        }
    }

    /// The URL for the audit.
    pub(crate) fn audit_url(&self) -> String {
        match self {
            Self::Postgres { port, database, .. } => url(*port, database),
            Self::Sqlite { path } => sqlite_url(path),
        }
    }

    /// The file that tells of its table, if it is not the trades' own.
    pub(crate) fn mapping(&self) -> Option<&Path> {
        match self {
            Self::Postgres { mapping, .. } => mapping.as_deref(),
            Self::Sqlite { .. } => None,
        }
    }

    /// Next offset of each partition that has one.
    pub(crate) fn positions(&self) -> anyhow::Result<BTreeMap<i32, i64>> {
        let rows = self.query(POSITIONS)?;
        rows.into_iter()
            .map(|row| match row[..] {
                [partition, next_offset] => Ok((i32::try_from(partition)?, next_offset)),
                _ => anyhow::bail!("positions: {row:?}"),
            })
            .collect()
    }

    /// Partitions in which something is missing, doubled or out of order.
    pub(crate) fn anomalies(&self) -> anyhow::Result<Vec<String>> {
        let odd = |row: &Vec<i64>| match row[..] {
            [partition, next, stored, different, beyond, back] => {
                let is_right = stored == next && different == next && beyond == next && back == 0;
                (!is_right).then(|| {
                    format!(
                        "partition {partition}: position {next}, {stored} stored, \
                         {different} different, last + 1 = {beyond}, {back} out of order"
                    )
                })
            }
            _ => Some(format!("{row:?}")),
        };
        // A table with a key keeps no order in which rows came.
        let sql = match self.mapping() {
            Some(_) => PARTITIONS.replace("ORDER BY id", "ORDER BY kafka_offset"),
            None => PARTITIONS.to_owned(),
        };
        Ok(self.query(&sql)?.iter().filter_map(odd).collect())
    }

    fn query(&self, sql: &str) -> anyhow::Result<Vec<Vec<i64>>> {
        match self {
            Self::Postgres { psql, database, .. } => {
                let text = psql.psql(database, sql)?;
                text.lines()
                    .map(|line| line.split('|').map(|field| Ok(field.parse()?)).collect())
                    .collect()
            }
            Self::Sqlite { path } => {
                let connection =
                    Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY)
                        .with_context(|| path.display().to_string())?;
                let mut statement = connection.prepare(sql)?;
                let columns = statement.column_count();
                let rows = statement.query_map([], |row| {
                    (0..columns).map(|column| row.get(column)).collect::<Result<Vec<i64>, _>>()
                })?;
                Ok(rows.collect::<Result<_, _>>()?)
            }
        }
    }
}

fn url(port: u16, database: &str) -> String {
    format!("postgres://tidegate@127.0.0.1:{port}/{database}?sslmode=disable")
}

fn sqlite_url(path: &Path) -> String {
    format!("sqlite:{}", path.display())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn store(directory: &Path, script: &str) -> Store {
        let path = directory.join("trades.db");
        let connection = Connection::open(&path).expect("opens");
        connection
            .execute_batch(
                "CREATE TABLE positions (kafka_partition INTEGER, next_offset INTEGER);
                 CREATE TABLE trades (id INTEGER PRIMARY KEY, kafka_partition INTEGER,
                   kafka_offset INTEGER);
                 CREATE TABLE dead_letters (id INTEGER PRIMARY KEY, kafka_partition INTEGER,
                   kafka_offset INTEGER);
                 INSERT INTO positions VALUES (0, 3), (1, 1);
                 INSERT INTO trades (kafka_partition, kafka_offset) VALUES (0, 0), (1, 0), (0, 2);
                 INSERT INTO dead_letters (kafka_partition, kafka_offset) VALUES (0, 1);",
            )
            .expect("tables");
        connection.execute_batch(script).expect("script");
        Store::Sqlite { path }
    }

    /// What each script breaks must be seen.
    #[test]
    fn what_is_missing_doubled_or_out_of_order_is_seen() {
        for (script, expected) in [
            ("", None),
            (
                "DELETE FROM trades WHERE kafka_offset = 2",
                Some("partition 0: position 3, 2 stored"),
            ),
            (
                "INSERT INTO trades (kafka_partition, kafka_offset) VALUES (1, 0)",
                Some("partition 1: position 1, 2 stored, 1 different"),
            ),
            (
                "UPDATE trades SET kafka_offset = 2 - kafka_offset WHERE kafka_partition = 0",
                Some("1 out of order"),
            ),
            ("UPDATE positions SET next_offset = 4 WHERE kafka_partition = 0", Some("position 4")),
        ] {
            let directory = tempfile::tempdir().expect("directory");
            let anomalies = store(directory.path(), script).anomalies().expect("reads");
            match expected {
                None => assert!(anomalies.is_empty(), "{anomalies:?}"),
                Some(part) => {
                    assert_eq!(anomalies.len(), 1, "{script}: {anomalies:?}");
                    assert!(anomalies[0].contains(part), "{script}: {anomalies:?}");
                }
            }
        }
    }
}
