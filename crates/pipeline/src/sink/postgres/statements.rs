//! What is sent for a batch, prepared once a session.
//!
//! Behind a pooler in transaction mode a session's next transaction runs on
//! another connection of the server, where nothing is prepared: there each
//! statement is sent with its text and the types of its parameters.

use tidegate_postgres::tokio_postgres::error::SqlState;
use tidegate_postgres::tokio_postgres::types::{ToSql, Type};
use tidegate_postgres::tokio_postgres::{Client, Error, Row, Statement};

use super::schema::Column;
use super::transaction::Copy;
use crate::table::TableShape;

const SELECT_POSITIONS: &str = "SELECT p.next_offset \
     FROM unnest($2::text[], $3::int4[]) WITH ORDINALITY AS w (topic, partition, number) \
     LEFT JOIN positions p ON p.consumer_group = $1::text AND p.kafka_topic = w.topic \
       AND p.kafka_partition = w.partition \
     ORDER BY w.number";

/// Compare and set. Divides by zero if a position was not the expected one, so
/// that the COMMIT that follows at once becomes a rollback.
const MOVE_POSITIONS: &str = "WITH wanted AS ( \
       SELECT * FROM unnest($2::text[], $3::int4[], $4::int8[], $5::int8[]) \
         AS w (topic, partition, expected, next_offset)), \
     moved AS ( \
       UPDATE positions p SET next_offset = w.next_offset, owner = $6::text, \
         updated_at_ms = $7::int8 \
       FROM wanted w WHERE p.consumer_group = $1::text AND p.kafka_topic = w.topic \
         AND p.kafka_partition = w.partition AND p.next_offset = w.expected \
       RETURNING 1), \
     first AS ( \
       INSERT INTO positions \
         (consumer_group, kafka_topic, kafka_partition, next_offset, owner, updated_at_ms) \
       SELECT $1::text, topic, partition, next_offset, $6::text, $7::int8 \
         FROM wanted WHERE expected IS NULL \
       ON CONFLICT DO NOTHING RETURNING 1) \
     SELECT 1 / (CASE WHEN (SELECT count(*) FROM moved) + (SELECT count(*) FROM first) \
       = cardinality($2::text[]) THEN 1 ELSE 0 END)";

const INSERT_DEAD_LETTERS: &str = "INSERT INTO dead_letters \
     (kafka_topic, kafka_partition, kafka_offset, record_timestamp_ms, key, payload, headers, \
      reason_code, reason, committed_at_ms) \
     SELECT *, $10::int8 FROM unnest($1::text[], $2::int4[], $3::int8[], $4::int8[], \
       $5::bytea[], $6::bytea[], $7::text[], $8::text[], $9::text[])";

/// What a batch needs.
pub(super) struct Statements {
    pub(super) positions: Query,
    pub(super) move_positions: Query,
    pub(super) dead_letters: Query,
    /// Rows from one array a column.
    pub(super) insert_rows: Query,
    copy_rows: CopyQuery,
}

/// A statement with parameters.
pub(super) struct Query {
    sql: String,
    parameters: Vec<Type>,
    prepared: Option<Statement>,
}

struct CopyQuery {
    sql: String,
    prepared: Option<Statement>,
}

impl Query {
    async fn prepared(client: &Client, sql: &str, parameters: &[Type]) -> Result<Self, Error> {
        let prepared = client.prepare_typed(sql, parameters).await?;
        Ok(Self {
            prepared: Some(prepared),
            ..Self::unprepared(sql.to_owned(), parameters.to_vec())
        })
    }

    /// Sent with its text: for a statement that would wait for a lock already
    /// when it is prepared.
    pub(super) fn unprepared(sql: String, parameters: Vec<Type>) -> Self {
        Self { sql, parameters, prepared: None }
    }

    fn typed<'v>(&self, values: &[&'v (dyn ToSql + Sync)]) -> Vec<(&'v (dyn ToSql + Sync), Type)> {
        values.iter().copied().zip(self.parameters.iter().cloned()).collect()
    }

    pub(super) async fn rows(
        &self,
        client: &Client,
        values: &[&(dyn ToSql + Sync)],
    ) -> Result<Vec<Row>, Error> {
        match &self.prepared {
            Some(statement) => client.query(statement, values).await,
            None => client.query_typed(&self.sql, &self.typed(values)).await,
        }
    }

    pub(super) async fn execute(
        &self,
        client: &Client,
        values: &[&(dyn ToSql + Sync)],
    ) -> Result<u64, Error> {
        match &self.prepared {
            Some(statement) => client.execute(statement, values).await,
            None => client.execute_typed(&self.sql, &self.typed(values)).await,
        }
    }
}

/// `INSERT` of rows that come as one array a column. `newer`: see
/// [`TableShape::on_conflict`].
pub(super) fn insert_sql(shape: &TableShape, newer: &str) -> String {
    let count = shape.written().count();
    let parameters = (1..=count).map(|n| format!("${n}")).collect::<Vec<_>>().join(", ");
    format!(
        "INSERT INTO {} ({}) SELECT * FROM unnest({parameters}){}",
        shape.quoted_table(),
        shape.quoted_columns(),
        shape.on_conflict(newer)
    )
}

impl Statements {
    /// Prepares all of them; fails if a table lacks a column.
    pub(super) async fn prepare(
        client: &Client,
        shape: &TableShape,
        columns: &[Column],
        pooled: bool,
    ) -> Result<Self, Error> {
        if !pooled {
            return Self::prepare_all(client, shape, columns).await;
        }
        let mut tries = NAMES_TRIED;
        loop {
            client.batch_execute("BEGIN").await?;
            let prepared = Self::prepare_all(client, shape, columns).await.map(Self::forget);
            // The statements are closed in the transaction in which they were prepared.
            client.batch_execute("ROLLBACK").await?;
            match prepared {
                Err(error) if is_name_taken(&error) && tries > 0 => tries -= 1,
                prepared => return prepared,
            }
        }
    }

    /// Behind a pooler: what somebody else left on this connection of the server has the name
    /// of the COPY. The next attempt has another name.
    pub(super) fn is_name_taken(&self, error: &Error) -> bool {
        self.copy_rows.prepared.is_none() && is_name_taken(error)
    }

    async fn prepare_all(
        client: &Client,
        shape: &TableShape,
        columns: &[Column],
    ) -> Result<Self, Error> {
        let copy = format!(
            "COPY {} ({}) FROM STDIN (FORMAT binary)",
            shape.quoted_table(),
            shape.quoted_columns()
        );
        let arrays = columns.iter().map(|column| column.array.clone()).collect();
        // In a transaction the first error is why; those behind it only say that there was one.
        let (positions, move_positions, dead_letters, copy_rows) = tokio::join!(
            Query::prepared(client, SELECT_POSITIONS, &POSITIONS),
            Query::prepared(client, MOVE_POSITIONS, &MOVES),
            Query::prepared(client, INSERT_DEAD_LETTERS, &LETTERS),
            client.prepare(&copy),
        );
        let insert_rows = Query::unprepared(insert_sql(shape, ""), arrays);
        Ok(Self {
            positions: positions?,
            move_positions: move_positions?,
            dead_letters: dead_letters?,
            insert_rows,
            copy_rows: CopyQuery { sql: copy, prepared: Some(copy_rows?) },
        })
    }

    fn forget(mut self) -> Self {
        for query in [&mut self.positions, &mut self.move_positions, &mut self.dead_letters] {
            query.prepared = None;
        }
        self.copy_rows.prepared = None;
        self
    }

    /// Opens a COPY of rows.
    pub(super) async fn open_copy(&self, client: &Client) -> Result<Copy, Error> {
        let copy = match &self.copy_rows.prepared {
            Some(statement) => client.copy_in(statement).await?,
            None => client.copy_in(self.copy_rows.sql.as_str()).await?,
        };
        Ok(Box::pin(copy))
    }
}

/// The client library numbers its statements, and others that use it begin with the same
/// numbers: so many are tried in a row.
pub(super) const NAMES_TRIED: u32 = 1_000;

fn is_name_taken(error: &Error) -> bool {
    error.code() == Some(&SqlState::DUPLICATE_PSTATEMENT)
}

const POSITIONS: [Type; 3] = [Type::TEXT, Type::TEXT_ARRAY, Type::INT4_ARRAY];
const MOVES: [Type; 7] = [
    Type::TEXT,
    Type::TEXT_ARRAY,
    Type::INT4_ARRAY,
    Type::INT8_ARRAY,
    Type::INT8_ARRAY,
    Type::TEXT,
    Type::INT8,
];
const LETTERS: [Type; 10] = [
    Type::TEXT_ARRAY,
    Type::INT4_ARRAY,
    Type::INT8_ARRAY,
    Type::INT8_ARRAY,
    Type::BYTEA_ARRAY,
    Type::BYTEA_ARRAY,
    Type::TEXT_ARRAY,
    Type::TEXT_ARRAY,
    Type::TEXT_ARRAY,
    Type::INT8,
];
