//! Through a PgBouncer in transaction mode.

use std::sync::Arc;

use tidegate_kafka::Record;
use tidegate_pgtest::Pooler;
use tidegate_postgres::tokio_postgres::SimpleQueryMessage;
use tidegate_postgres::{ConnectOptions, connect};

use super::table_tests::{
    ACCOUNTS, SERVER, account, batch, context, mapping, new_database, options, prepared,
};
use super::{PostgresOptions, PostgresSink};
use crate::sink::{Sink, SinkError};
use crate::testing::partition;

/// Pods behind a pooler share connections of the server, and each transaction
/// may run on another one: rows, refused rows and positions are as without it.
#[tokio::test]
async fn pods_behind_a_pooler_in_transaction_mode_write_exactly_once() {
    let database = new_database();
    let pooler = Pooler::start(&SERVER, 3).expect("a pooler");
    let url = pooler.url(&database);
    for mode in ["append", "upsert"] {
        let text = match mode {
            "append" => {
                ACCOUNTS.replace("mode = 'upsert'\nkey = ['id']", "").replace("accounts", "added")
            }
            _ => ACCOUNTS.to_owned(),
        };
        let mapping = mapping(&text);
        let pod = |number: i32| {
            let (mapping, url) = (mapping.clone(), url.clone());
            async move {
                let options = PostgresOptions { pooled: true, ..options(&url) };
                let sink = prepared(options, &mapping).await;
                for round in 0..20i64 {
                    let records: Vec<Record> = (round * 10..round * 10 + 10)
                        .map(|offset| {
                            let balance = if offset % 50 == 7 { "\"x\"" } else { "1.5" };
                            let mut record =
                                account(offset, &format!("{number}-{offset}"), balance);
                            record.partition = number;
                            record
                        })
                        .collect();
                    let mut batch = batch(&mapping, records, (round > 0).then_some(round * 10));
                    batch.positions[0].partition =
                        partition(if mode == "append" { number } else { 100 + number });
                    let batch = Arc::new(batch);
                    sink.write(batch).await.expect("writes");
                }
                let at = partition(if mode == "append" { number } else { 100 + number });
                assert_eq!(sink.positions(&[at]).await, Ok(vec![Some(200)]));
            }
        };
        tokio::join!(pod(0), pod(1), pod(2), pod(3), pod(4), pod(5));
        let table = mapping.table();
        let count = SERVER
            .psql(&database, &format!("SELECT count(*), count(DISTINCT id) FROM {table}"))
            .expect("counts");
        assert_eq!(count, "1176|1176", "{mode}");
    }
    assert_eq!(SERVER.psql(&database, "SELECT count(*) FROM dead_letters").expect("counts"), "48");
}

/// Runs SQL on the only connection that the pooler has to the server.
async fn sql(url: &str, sql: &str) {
    let connected = connect(&ConnectOptions::new(url.parse().expect(url)), "other").await;
    connected.expect("connects").client.batch_execute(sql).await.expect(sql);
}

/// Takes the next names of the client library, which numbers its statements over all of the
/// process's sessions, on the pooler's connection.
async fn leave_statements(database: &str, url: &str) {
    let direct = SERVER.url(database).parse().expect("URL");
    let connected = connect(&ConnectOptions::new(direct), "other").await.expect("connects");
    let _statement = connected.client.prepare("SELECT 1").await.expect("prepares");
    let names = connected.client.simple_query("SELECT name FROM pg_prepared_statements").await;
    let names = names.expect("reads");
    let name = names.iter().find_map(|message| match message {
        SimpleQueryMessage::Row(row) => row.get(0),
        _ => None,
    });
    let number: u32 = name.and_then(|name| name.strip_prefix('s')?.parse().ok()).expect("a name");
    // Other tests use some of them meanwhile.
    let left = (number..number + 500).map(|n| format!("PREPARE s{n} AS SELECT 1"));
    sql(url, &left.collect::<Vec<_>>().join(";")).await;
}

/// What a client that knows of no pooler, or has died, left on the server's connection is in
/// nobody's way: neither at the start nor at a batch's COPY.
#[tokio::test]
async fn a_name_that_another_client_left_behind_a_pooler_is_passed_over() {
    let (database, mapping) = (new_database(), mapping(ACCOUNTS));
    let pooler = Pooler::start(&SERVER, 1).expect("a pooler");
    let url = pooler.url(&database);
    leave_statements(&database, &url).await;
    let pooled = PostgresOptions { pooled: true, ..options(&url) };
    let sink = prepared(pooled, &mapping).await;
    sink.write(Arc::new(batch(&mapping, vec![account(0, "a", "1")], None))).await.expect("writes");
    sql(&url, "DEALLOCATE ALL").await;
    leave_statements(&database, &url).await;
    let more = batch(&mapping, vec![account(1, "b", "1")], Some(1));
    sink.write(Arc::new(more)).await.expect("writes");
    let count = SERVER.psql(&database, "SELECT count(*) FROM accounts").expect("counts");
    assert_eq!(count, "2");
}

/// A statement that is gone is a retry, one that is there already is not: both say what to do.
#[tokio::test]
async fn without_the_option_an_error_of_a_prepared_statement_names_it() {
    let (database, mapping) = (new_database(), mapping(ACCOUNTS));
    let pooler = Pooler::start(&SERVER, 1).expect("a pooler");
    let url = pooler.url(&database);
    let sink = prepared(options(&url), &mapping).await;
    sql(&url, "DEALLOCATE ALL").await;
    let written = sink.write(Arc::new(batch(&mapping, vec![account(0, "a", "1")], None))).await;
    let Err(SinkError::Retry(why)) = written else { panic!("{written:?}") };
    assert!(why.contains("does not exist (SQLSTATE 26000)"), "{why}");
    assert!(why.contains("--database-pooler (database_pooler = true)"), "{why}");

    drop(sink);
    leave_statements(&database, &url).await;
    let sink = PostgresSink::mapped(options(&url), &mapping);
    let ready = sink.prepare(&context()).await;
    let Err(SinkError::Fatal(why)) = ready else { panic!("{ready:?}") };
    assert!(why.contains("already exists (SQLSTATE 42P05)"), "{why}");
    assert!(why.contains("--database-pooler"), "{why}");
}
