//! Each broken promise is found, and an unbroken one is not accused.

use rusqlite::Connection;
use rusqlite::types::ValueRef;
use tidegate_pgtest::{Pooler, Server};
use tidegate_postgres::{ConnectOptions, connect};

use super::{AuditReport, AuditTable, Database, RowMeaning, audit, audit_table};
use crate::ledger::{Acked, LedgerMeta, LedgerWriter};
use crate::trade::{Kind, trade_id};

/// Six good records of two keys on two partitions, and a poison one at the end.
struct World {
    directory: tempfile::TempDir,
    database: Connection,
}

fn record(seq: u64) -> Acked {
    let key = (seq % 2) as u32;
    let kind = if seq == 6 { Kind::BadJson } else { Kind::Trade };
    Acked { seq, key, partition: key as i32, offset: (seq / 2) as i64, timestamp_ms: 1000, kind }
}

impl World {
    fn new() -> Self {
        let directory = tempfile::tempdir().expect("directory");
        let meta = LedgerMeta { topic: "t".into(), seed: 1, started_at_ms: 0 };
        let writer = LedgerWriter::create(&directory.path().join("ledger"), &meta).expect("ledger");
        (0..7).for_each(|seq| writer.sender().acked(record(seq)));
        writer.finish().expect("finish");
        let database = Connection::open(directory.path().join("db")).expect("database");
        database
            .execute_batch(
                "CREATE TABLE trades(id INTEGER PRIMARY KEY AUTOINCREMENT, trade_id TEXT, kafka_topic TEXT,
                   kafka_partition INTEGER, kafka_offset INTEGER, record_timestamp_ms INTEGER, committed_at_ms INTEGER);
                 CREATE TABLE dead_letters(id INTEGER PRIMARY KEY AUTOINCREMENT, kafka_topic TEXT,
                   kafka_partition INTEGER, kafka_offset INTEGER, payload BLOB);
                 CREATE TABLE positions(consumer_group TEXT, kafka_topic TEXT, kafka_partition INTEGER, next_offset INTEGER);",
            )
            .expect("schema");
        let world = Self { directory, database };
        world.position(0, 4);
        world.position(1, 3);
        world
    }

    fn position(&self, partition: i32, next_offset: i64) {
        self.database
            .execute("DELETE FROM positions WHERE kafka_partition = ?1", [partition])
            .and_then(|_| {
                self.database.execute(
                    "INSERT INTO positions VALUES ('g', 't', ?1, ?2)",
                    (partition, next_offset),
                )
            })
            .expect("position");
    }

    fn store(&self, seq: u64) {
        let Acked { partition, offset, .. } = record(seq);
        self.database
            .execute(
                "INSERT INTO trades(trade_id, kafka_topic, kafka_partition, kafka_offset, record_timestamp_ms, committed_at_ms)
                 VALUES (?1, 't', ?2, ?3, 1000, ?4)",
                (trade_id(seq), partition, offset, 1010 + seq as i64),
            )
            .expect("row");
    }

    fn bury(&self, seq: u64, payload: Option<Vec<u8>>) {
        let Acked { partition, offset, .. } = record(seq);
        self.database
            .execute(
                "INSERT INTO dead_letters(kafka_topic, kafka_partition, kafka_offset, payload) VALUES ('t', ?1, ?2, ?3)",
                (partition, offset, payload),
            )
            .expect("dead letter");
    }

    fn complete() -> Self {
        let world = Self::new();
        (0..6).for_each(|seq| world.store(seq));
        world.bury(6, Kind::BadJson.poison_payload(6));
        world
    }

    fn audit(&self) -> AuditReport {
        audit(&self.directory.path().join("ledger"), &self.database()).expect("audit")
    }

    fn database(&self) -> Database {
        Database::Sqlite(self.directory.path().join("db"))
    }
}

/// (lost, duplicated, out of order, unexpected dead letters, altered, pending)
fn counts(report: &AuditReport) -> [u64; 6] {
    assert_eq!(report.passed(), report.violations.is_empty());
    [
        report.lost,
        report.duplicated,
        report.out_of_order,
        report.dead_lettered_unexpected,
        report.altered,
        report.pending,
    ]
}

#[test]
fn a_complete_database_passes() {
    let report = World::complete().audit();
    assert_eq!(counts(&report), [0; 6]);
    assert_eq!((report.sent, report.stored, report.dead_lettered, report.keys), (7, 6, 1, 2));
    let age_ms = report.age_ms.expect("ages");
    assert_eq!((age_ms.max, age_ms.p50), (15, 13));
    assert!(report.to_string().contains("exactly once, in order"));
}

#[test]
fn a_missing_row_before_the_position_is_lost_and_after_it_pending() {
    let world = World::new();
    [0, 1, 2, 3, 4].iter().for_each(|seq| world.store(*seq));
    world.bury(6, Kind::BadJson.poison_payload(6));
    assert_eq!(counts(&world.audit()), [1, 0, 0, 0, 0, 0]);
    world.position(1, 2);
    assert_eq!(counts(&world.audit()), [0, 0, 0, 0, 0, 1]);
}

#[test]
fn a_second_row_is_a_duplicate() {
    let world = World::complete();
    world.store(3);
    assert_eq!(counts(&world.audit()), [0, 1, 0, 0, 0, 0]);
}

#[test]
fn rows_against_the_send_order_are_found() {
    let world = World::new();
    [0, 1, 4, 2, 3, 5].iter().for_each(|seq| world.store(*seq));
    world.bury(6, Kind::BadJson.poison_payload(6));
    assert_eq!(counts(&world.audit()), [0, 0, 1, 0, 0, 0]);
}

#[test]
fn poison_must_be_buried_once_and_unaltered() {
    let world = World::new();
    (0..6).for_each(|seq| world.store(seq));
    assert_eq!(counts(&world.audit()), [1, 0, 0, 0, 0, 0], "poison that vanished");
    world.bury(6, Some(b"something else".to_vec()));
    assert_eq!(counts(&world.audit()), [0, 0, 0, 0, 1, 0], "altered");
    let world = World::complete();
    world.bury(6, Kind::BadJson.poison_payload(6));
    assert_eq!(counts(&world.audit()), [0, 1, 0, 0, 0, 0], "buried twice");
    let world = World::complete();
    world.store(6);
    assert_eq!(counts(&world.audit()), [0, 1, 0, 0, 0, 0], "stored as well");
}

#[test]
fn a_good_record_among_the_dead_is_found() {
    let world = World::new();
    (0..5).for_each(|seq| world.store(seq));
    world.bury(5, None);
    world.bury(6, Kind::BadJson.poison_payload(6));
    assert_eq!(counts(&world.audit()), [0, 0, 0, 1, 0, 0]);
}

#[test]
fn an_unacknowledged_row_is_counted_and_no_failure() {
    let world = World::complete();
    world
        .database
        .execute("INSERT INTO trades(trade_id, kafka_topic, kafka_partition, kafka_offset, committed_at_ms) VALUES ('TRD000000000099', 't', 1, 50, 5)", [])
        .expect("row");
    let report = world.audit();
    assert!(report.passed());
    assert_eq!(report.unacknowledged_stored, 1);
}

#[test]
fn what_is_no_tidegate_database_is_said() {
    let directory = tempfile::tempdir().expect("directory");
    let world = World::complete();
    let other = directory.path().join("other.db");
    Connection::open(&other).and_then(|db| db.execute_batch("CREATE TABLE x(y)")).expect("other");
    let error = audit(&world.directory.path().join("ledger"), &Database::Sqlite(other))
        .expect_err("no tables")
        .to_string();
    assert!(error.contains("other.db") && error.contains("tidegate consume"), "{error}");
}

/// The tables of a world in PostgreSQL.
fn in_postgres(server: &Server, name: &str, world: &World) -> Database {
    server.create_database(name).expect("creates");
    let mut sql = String::from(
        "CREATE TABLE trades(id bigint, trade_id text, kafka_topic text, kafka_partition int,
           kafka_offset bigint, record_timestamp_ms bigint, committed_at_ms bigint);
         CREATE TABLE dead_letters(id bigint, kafka_topic text, kafka_partition int,
           kafka_offset bigint, payload bytea);
         CREATE TABLE positions(consumer_group text, kafka_topic text, kafka_partition int,
           next_offset bigint);",
    );
    for (table, columns) in [("trades", 7), ("dead_letters", 5), ("positions", 4)] {
        let mut statement =
            world.database.prepare(&format!("SELECT * FROM {table}")).expect("query");
        let mut rows = statement.query([]).expect("rows");
        while let Some(row) = rows.next().expect("row") {
            let values: Vec<String> =
                (0..columns).map(|column| literal(row.get_ref(column).expect("value"))).collect();
            sql.push_str(&format!("INSERT INTO {table} VALUES ({});", values.join(", ")));
        }
    }
    server.psql(name, &sql).expect("rows");
    postgres(server, name)
}

fn literal(value: ValueRef<'_>) -> String {
    match value {
        ValueRef::Null => "NULL".into(),
        ValueRef::Integer(number) => number.to_string(),
        ValueRef::Blob(bytes) => {
            let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            format!("'\\x{digits}'")
        }
        other => format!("'{}'", other.as_str().expect("text")),
    }
}

fn postgres(server: &Server, name: &str) -> Database {
    Database::Postgres(ConnectOptions::new(server.url(name).parse().expect("URL")))
}

#[test]
fn postgres_gives_the_same_report() {
    let server = Server::start(&["fsync=off"]).expect("a PostgreSQL server");
    let broken = World::new();
    [0, 1, 4, 2, 2, 5].iter().for_each(|seq| broken.store(*seq));
    broken.bury(6, Some(b"altered".to_vec()));
    broken.bury(0, None);
    for (name, world) in [("complete", World::complete()), ("broken", broken)] {
        let database = in_postgres(&server, name, &world);
        assert!(database.is_used().expect("asks"));
        let report = audit(&world.directory.path().join("ledger"), &database).expect("audit");
        assert_eq!(format!("{report:?}"), format!("{:?}", world.audit()), "{name}");
    }
    let empty = postgres(&server, "postgres");
    assert!(!empty.is_used().expect("asks"));
    let ledger = World::new();
    let error = audit(&ledger.directory.path().join("ledger"), &empty).expect_err("no tables");
    assert!(error.to_string().contains("tidegate consume"), "{error}");
}

/// Another client of the pooler has left statements on the connection that all share.
#[test]
fn a_pooler_in_transaction_mode_gives_the_same_report() {
    let server = Server::start(&["fsync=off"]).expect("a PostgreSQL server");
    let pooler = Pooler::start(&server, 1).expect("a pooler");
    let world = World::complete();
    in_postgres(&server, "pooled", &world);
    let options = ConnectOptions::new(pooler.url("pooled").parse().expect("URL"));
    let left: Vec<String> = (0..100).map(|n| format!("PREPARE s{n} AS SELECT 1")).collect();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime").block_on(async {
        let other = connect(&options, "other").await.expect("connects");
        other.client.batch_execute(&left.join(";")).await.expect("prepares");
    });
    let database = Database::Postgres(options);
    assert!(database.is_used().expect("asks"));
    let report = audit(&world.directory.path().join("ledger"), &database).expect("audit");
    assert_eq!(format!("{report:?}"), format!("{:?}", world.audit()));
}

/// The world's table under other names, as a mapping may have it.
fn renamed(world: &World, upsert: bool) -> AuditTable {
    world
        .database
        .execute_batch(
            "ALTER TABLE trades RENAME TO orders;
             ALTER TABLE orders RENAME COLUMN kafka_partition TO \"part \"\"1\"\"\";
             ALTER TABLE orders RENAME COLUMN trade_id TO nr;",
        )
        .expect("renames");
    AuditTable {
        table: "orders".into(),
        position: Some(("part \"1\"".into(), "kafka_offset".into())),
        trade_id: None,
        rows: if upsert { RowMeaning::LastOfKey } else { RowMeaning::EachRecord },
        number: (!upsert).then(|| "id".into()),
        accepts: Some(Box::new(|payload: Option<&[u8]>| {
            payload.is_some_and(|payload| payload.ends_with(b"}"))
        })),
        ..AuditTable::default()
    }
}

fn audit_as(world: &World, table: &AuditTable) -> AuditReport {
    audit_table(&world.directory.path().join("ledger"), &world.database(), table).expect("audit")
}

#[test]
fn a_mapped_table_is_known_by_partition_and_offset() {
    let world = World::complete();
    let report = audit_as(&world, &renamed(&world, false));
    assert_eq!(counts(&report), [0; 6]);
    assert_eq!((report.stored, report.dead_lettered, report.order_checked), (6, 1, true));
    let world = World::new();
    [0, 1, 4, 2, 3, 5].iter().for_each(|seq| world.store(*seq));
    assert_eq!(counts(&audit_as(&world, &renamed(&world, false))), [1, 0, 1, 0, 0, 0]);
}

#[test]
fn a_table_that_is_not_numbered_is_audited_without_order() {
    let world = World::new();
    [0, 1, 4, 2, 3, 5].iter().for_each(|seq| world.store(*seq));
    world.bury(6, Kind::BadJson.poison_payload(6));
    let table = AuditTable { number: Some("nr".into()), ..renamed(&world, false) };
    world.database.execute_batch("ALTER TABLE orders DROP COLUMN nr").expect("drops");
    let report = audit_as(&world, &AuditTable { committed_at: None, ..table });
    assert_eq!(counts(&report), [0; 6]);
    assert!(!report.order_checked && report.age_ms.is_none());
    let text = report.to_string();
    assert!(text.contains("not checked") && text.contains("not known"), "{text}");
    assert!(text.ends_with("exactly once"), "{text}");
}

/// Key 0 has the records 0, 2, 4, key 1 has 1, 3, 5.
#[test]
fn of_a_key_the_last_record_counts() {
    let world = World::new();
    [4, 5].iter().for_each(|seq| world.store(*seq));
    world.bury(6, Kind::BadJson.poison_payload(6));
    let report = audit_as(&world, &renamed(&world, true));
    assert_eq!((counts(&report), report.replaced, report.order_checked), ([0; 6], 4, true));

    let world = World::new();
    [2, 5].iter().for_each(|seq| world.store(*seq));
    world.bury(6, Kind::BadJson.poison_payload(6));
    let report = audit_as(&world, &renamed(&world, true));
    assert_eq!((counts(&report), report.replaced), ([1, 0, 0, 0, 0, 0], 3), "4 is lost");

    let world = World::new();
    [4, 5, 3].iter().for_each(|seq| world.store(*seq));
    world.bury(6, Kind::BadJson.poison_payload(6));
    let report = audit_as(&world, &renamed(&world, true));
    assert_eq!(counts(&report), [0, 1, 0, 0, 0, 0], "two rows of a key");
}

/// What is poison is the mapping's to say.
#[test]
fn a_record_that_the_mapping_refuses_belongs_to_the_dead_letters() {
    let world = World::new();
    (0..5).for_each(|seq| world.store(seq));
    world.bury(5, Some(b"{".to_vec()));
    world.bury(6, Kind::BadJson.poison_payload(6));
    let table = renamed(&world, false);
    let report = audit_as(&world, &table);
    assert_eq!((counts(&report), report.dead_lettered), ([0; 6], 2));
    let takes_all = AuditTable { accepts: Some(Box::new(|_: Option<&[u8]>| true)), ..table };
    assert_eq!(counts(&audit_as(&world, &takes_all)), [0, 0, 0, 2, 0, 0]);
}

#[test]
fn a_row_at_the_place_of_another_record_is_found() {
    let world = World::complete();
    world.database.execute("UPDATE trades SET kafka_offset = 9 WHERE id = 1", []).expect("moves");
    assert_eq!(counts(&world.audit()), [0, 0, 0, 0, 1, 0]);
}
