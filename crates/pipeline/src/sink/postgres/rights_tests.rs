//! On a real server: what keeps a role from writing is told before a record is read, and rows
//! that would have no place are dead letters.

use std::sync::Arc;

use super::table_tests::{
    ACCOUNTS, SERVER, account, batch, context, mapping, new_database, options, prepared,
};
use super::tests::Fixture;
use super::{PostgresOptions, PostgresSink};
use crate::decode::reason;
use crate::sink::{Database, Sink, SinkError};
use crate::table::{Mapping, TableKind};
use crate::testing::{self, trade};

/// What `consume` and `table check` say; they must agree.
async fn said(options: &PostgresOptions, mapping: &Arc<Mapping>) -> Vec<String> {
    let sink = PostgresSink::mapped(options.clone(), mapping);
    let ready = sink.prepare(&context()).await;
    let kind = TableKind::Mapped(mapping.clone());
    let checked = kind.check(&Database::Postgres(options.clone())).await.expect("checks");
    let checked = checked.expect("a table").into_iter().filter(|drift| drift.is_error);
    let checked: Vec<String> = checked.map(|drift| drift.to_string()).collect();
    match ready {
        Ok(()) => assert_eq!(checked, [""; 0]),
        Err(SinkError::Fatal(why)) => {
            assert!(checked.iter().any(|line| why.contains(line)), "{why}: {checked:?}");
        }
        Err(other) => panic!("{other:?}"),
    }
    checked
}

#[tokio::test]
async fn a_right_that_is_missing_is_told_before_a_record_is_read() {
    let (database, mapping) = (new_database(), mapping(ACCOUNTS));
    prepared(options(&SERVER.url(&database)), &mapping).await;
    let sql = |sql: &str| SERVER.psql(&database, sql).expect(sql);
    sql("CREATE ROLE clerk LOGIN");
    sql("GRANT SELECT ON meta TO clerk");
    let clerk = options(&SERVER.url_of("clerk", &database));
    let grants = [
        ("clerk has no right to INSERT: ", "GRANT INSERT ON \"accounts\" TO clerk"),
        // By column, as little as is needed.
        (
            "clerk has no right to UPDATE: ",
            "GRANT UPDATE (balance, kafka_topic, kafka_partition, kafka_offset, \
             record_timestamp_ms, committed_at_ms) ON accounts TO clerk",
        ),
        (
            "clerk has no right to SELECT: ",
            "GRANT SELECT (id, balance, kafka_topic, kafka_partition, kafka_offset, \
             record_timestamp_ms, committed_at_ms) ON accounts TO clerk",
        ),
        ("", "GRANT SELECT ON positions TO clerk"),
        ("", "GRANT INSERT ON positions TO clerk"),
        ("", "GRANT UPDATE ON positions TO clerk"),
        ("", "GRANT INSERT ON dead_letters TO clerk"),
    ];
    for (at, (told, grant)) in grants.into_iter().enumerate() {
        let lines = said(&clerk, &mapping).await;
        assert_eq!(lines.len(), grants.len() - at, "{lines:?}");
        let expected = if told.is_empty() { grant } else { told };
        assert!(lines[0].contains(expected), "{expected}: {lines:?}");
        sql(grant);
    }
    assert_eq!(said(&clerk, &mapping).await, [""; 0]);
    let sink = prepared(clerk, &mapping).await;
    let records = vec![account(0, "a", "1"), account(1, "a", "2"), account(2, "b", "\"x\"")];
    sink.write(Arc::new(batch(&mapping, records, None))).await.expect("has all it needs");
}

#[tokio::test]
async fn a_relation_that_takes_no_copy_is_told_before_a_record_is_read() {
    let appended = mapping("table = 'seen'\ncolumns = [{name='n',type='integer'}]\nrecord = {}");
    let database = new_database();
    let sql = |sql: &str| SERVER.psql(&database, sql).expect(sql);
    sql("CREATE TABLE base (n int)");
    sql("CREATE VIEW seen AS SELECT n FROM base");
    let owner = options(&SERVER.url(&database));
    let lines = said(&owner, &appended).await;
    assert!(lines[0].contains("view without an INSTEAD OF INSERT trigger"), "{lines:?}");
    sql("CREATE FUNCTION put() RETURNS trigger LANGUAGE plpgsql AS \
         'BEGIN INSERT INTO base VALUES (NEW.n); RETURN NEW; END'");
    sql("CREATE TRIGGER put INSTEAD OF INSERT ON seen FOR EACH ROW EXECUTE FUNCTION put()");
    assert_eq!(said(&owner, &appended).await, [""; 0]);
    let sink = prepared(owner.clone(), &appended).await;
    let records = vec![testing::record(0, 0, r#"{"n":7}"#)];
    sink.write(Arc::new(batch(&appended, records, None))).await.expect("writes");
    assert_eq!(sql("SELECT n FROM base"), "7");

    sql("DROP VIEW seen; CREATE MATERIALIZED VIEW seen AS SELECT n FROM base");
    let lines = said(&owner, &appended).await;
    assert!(lines[0].contains("seen is no table"), "{lines:?}");
    sql("DROP MATERIALIZED VIEW seen; CREATE TABLE seen (n int)");
    sql("ALTER TABLE seen ENABLE ROW LEVEL SECURITY; CREATE ROLE walled LOGIN");
    sql("GRANT ALL ON seen, positions, dead_letters, meta TO walled");
    let lines = said(&options(&SERVER.url_of("walled", &database)), &appended).await;
    assert!(lines[0].contains("give walled BYPASSRLS"), "{lines:?}");
}

#[tokio::test]
async fn a_domain_of_a_domain_is_its_base_type() {
    let (database, mapping) = (
        new_database(),
        mapping("table = 'd'\ncolumns = [{name='n',type='integer'}]\nrecord = {}"),
    );
    let sql = |sql: &str| SERVER.psql(&database, sql).expect(sql);
    sql("CREATE DOMAIN positive AS int CHECK (value > 0)");
    sql("CREATE DOMAIN digit AS positive CHECK (value < 10)");
    sql("CREATE TABLE d (n digit)");
    let sink = prepared(options(&SERVER.url(&database)), &mapping).await;
    let records = (0..)
        .zip([0, 5, 10])
        .map(|(offset, n)| testing::record(0, offset, &format!(r#"{{"n":{n}}}"#)));
    let written = sink.write(Arc::new(batch(&mapping, records.collect(), None))).await;
    let refused: Vec<usize> =
        written.expect("writes").rejected.iter().map(|(entry, _)| *entry).collect();
    assert_eq!((refused, sql("SELECT n FROM d")), (vec![0, 2], "5".to_owned()));
}

/// Whatever code a trigger raises for a row, the row is what is refused.
#[tokio::test]
async fn a_row_that_a_trigger_refuses_by_any_code_ends_nobody() {
    let f = Fixture::new().await;
    f.sql(
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
           CASE NEW.kafka_offset WHEN 0 THEN NULL;
             WHEN 1 THEN RAISE 'own' USING errcode = '70001';
             WHEN 2 THEN RAISE 'python' USING errcode = '38000';
             WHEN 4 THEN NULL; END CASE;
           RETURN NEW; END $$",
    );
    f.sql("CREATE TRIGGER refuse BEFORE INSERT ON trades FOR EACH ROW EXECUTE FUNCTION refuse()");
    let records = (0..5).map(|offset| trade(0, offset)).collect();
    let written = f.write(testing::batch(records, None)).await.expect("writes");
    let refused: Vec<_> = written.rejected.iter().map(|(entry, why)| (*entry, why.code)).collect();
    let code = reason::REJECTED_BY_DATABASE;
    assert_eq!(refused, [(1, code), (2, code), (3, code)]);
    assert_eq!(f.sql("SELECT string_agg(kafka_offset::text, ' ' ORDER BY id) FROM trades"), "0 4");
}

/// Two NULLs are different to a unique index: each would have been a row of its own.
#[tokio::test]
async fn a_record_without_the_key_replaces_none_and_is_a_dead_letter() {
    let mapping = mapping(
        "table = 'keyed'\nmode = 'upsert'\nkey = ['k', 'n']
         columns = [{name='n',type='integer'}]\nrecord = {key_text='k',offset='o'}",
    );
    let database = new_database();
    let sql = |sql: &str| SERVER.psql(&database, sql).expect(sql);
    sql("CREATE TABLE keyed (n int, k text, o bigint, UNIQUE (n, k))");
    let sink = prepared(options(&SERVER.url(&database)), &mapping).await;
    let record = |offset: i64, key: Option<&'static str>| {
        let mut record = testing::record(0, offset, r#"{"n":1}"#);
        record.key = key.map(|key| key.as_bytes().into());
        record
    };
    let records = vec![record(0, None), record(1, Some("")), record(2, None), record(3, Some(""))];
    let written = sink.write(Arc::new(batch(&mapping, records, None))).await.expect("writes");
    let refused: Vec<usize> = written.rejected.iter().map(|(entry, _)| *entry).collect();
    assert_eq!(refused, [0, 2]);
    assert!(written.rejected[0].1.reason.contains("column k is of the key"), "{written:?}");
    assert_eq!(sql("SELECT n, k, o FROM keyed"), "1||3");
}
