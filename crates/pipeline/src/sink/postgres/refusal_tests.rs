//! On a real server: what it refuses for good, and what only looks like that.

use std::sync::Arc;

use super::tests::{Fixture, SERVER, context, new_database, options, prepared, retry};
use super::{BindError, CopyBinder, Numeric, PostgresRow, PostgresSink};
use crate::batch::{Batch, Entry, PositionUpdate};
use crate::decode::reason;
use crate::sink::{Sink, SinkError};
use crate::testing::{batch, partition, record, trade};

/// A row type of one's own: a number of any length.
#[derive(Debug, Clone)]
struct Number(String);

impl PostgresRow for Number {
    const TABLE: &'static str = "numbers";
    const COLUMNS: &'static [(&'static str, &'static str)] = &[("number", "numeric")];

    fn bind(&self, binder: &mut CopyBinder<'_>) -> Result<(), BindError> {
        binder.push(&Numeric(&self.0))
    }
}

#[tokio::test]
async fn a_number_that_no_numeric_holds_stops_nobody() {
    let database = new_database();
    let sink = PostgresSink::<Number>::new(options(&SERVER.url(&database)));
    sink.prepare(&context("cluster-a")).await.expect("prepares");
    let number = |whole: usize, decimals: usize| {
        Number(format!("{}.{}", "9".repeat(whole), "9".repeat(decimals)))
    };
    let numbers = [number(131_072, 16_383), number(1, 16_384), number(131_073, 1), number(1, 1)];
    let entries = (0..).zip(numbers).map(|(offset, row)| Entry::of(record(0, offset, ""), Ok(row)));
    let positions = [PositionUpdate { partition: partition(0), expected: None, next_offset: 4 }];
    let batch = Batch::of(entries, positions);
    let written = sink.write(Arc::new(batch)).await.expect("writes");
    let refused: Vec<_> = written.rejected.iter().map(|(entry, why)| (*entry, why.code)).collect();
    assert_eq!(refused, [(1, reason::REJECTED_BY_DATABASE), (2, reason::REJECTED_BY_DATABASE)]);
    let stored = "SELECT kafka_offset, length(number::text) FROM numbers ORDER BY kafka_offset";
    let stored = SERVER.psql(&database, stored).expect("reads");
    assert_eq!(stored, format!("0|{}\n3|3", 131_072 + 1 + 16_383));
}

/// The same SQLSTATE as that of a cached plan, and nothing that passes.
#[tokio::test]
async fn row_level_security_ends_the_pipeline() {
    let database = new_database();
    let sql = |sql: &str| SERVER.psql(&database, sql).expect("runs");
    sql("CREATE ROLE subject LOGIN");
    sql(&format!("ALTER DATABASE {database} OWNER TO subject"));
    let sink = prepared(&SERVER.url_of("subject", &database)).await;
    sql("ALTER TABLE trades ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY");
    sql("CREATE POLICY everything ON trades USING (true)");
    let error = sink.write(Arc::new(batch(vec![trade(0, 0)], None))).await.expect_err("refused");
    let SinkError::Fatal(why) = &error else { panic!("not fatal: {error:?}") };
    assert!(why.contains("0A000") && why.contains("row-level security"), "{why}");
}

#[tokio::test]
async fn a_cached_plan_that_no_longer_fits_is_a_retry() {
    let f = Fixture::new().await;
    assert_eq!(f.position(0).await, None);
    f.sql("ALTER TABLE positions ALTER next_offset TYPE numeric");
    let why = retry(f.sink.positions(&[partition(0)]).await);
    assert!(why.contains("0A000") && why.contains("cached plan"), "{why}");
}
