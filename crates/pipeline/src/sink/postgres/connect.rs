//! A session: a connection with its settings made, its tables there and its
//! statements prepared.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tidegate_postgres::tokio_postgres::Client;
use tidegate_postgres::{Connected, connect};
use tokio::time::timeout;

use super::classify::{connect_error, sink_error};
use super::schema::Column;
use super::statements::Statements;
use super::upsert::NewKeys;
use super::{PostgresOptions, schema};
use crate::sink::{SinkContext, SinkError};
use crate::table::TableShape;

/// The server's side of a connection whose client has vanished is given up as
/// fast as ours: it may hold a lock that the next owner needs. Behind a pooler
/// the server's client is the pooler, and its connection serves others too.
const SETTINGS: &str = "SET tcp_keepalives_idle = 10; SET tcp_keepalives_interval = 5; \
     SET tcp_keepalives_count = 3";

/// Tables and statements may wait for another pod that creates the tables.
const PREPARE_TIMEOUT: Duration = Duration::from_secs(30);

/// Columns of a table and their types, in the order of the COPY.
pub(super) type Columns = Arc<Vec<Column>>;

/// A connection that can write batches.
pub(super) struct Session {
    connected: Connected,
    pub(super) statements: Statements,
    /// Columns of the rows' table in the order in which they are written.
    pub(super) columns: Columns,
    /// Whether a COPY is worth an attempt, with a key.
    new_keys: Mutex<NewKeys>,
    /// Something failed on it: it is used for nothing new.
    is_spoiled: AtomicBool,
    /// How a transaction begins.
    pub(super) begin: String,
}

impl Session {
    pub(super) fn client(&self) -> &Client {
        &self.connected.client
    }

    pub(super) fn is_usable(&self) -> bool {
        !self.is_spoiled.load(Relaxed) && !self.connected.client.is_closed()
    }

    /// What waits for its answers still gets them.
    pub(super) fn spoil(&self) {
        self.is_spoiled.store(true, Relaxed);
    }

    fn new_keys(&self) -> MutexGuard<'_, NewKeys> {
        self.new_keys.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asked once a batch.
    pub(super) fn expects_new_keys(&self) -> bool {
        self.new_keys().expected()
    }

    /// Whether the table had none of the keys of a batch that was copied.
    pub(super) fn keys_were(&self, new: bool) {
        let mut keys = self.new_keys();
        if new { keys.were_new() } else { keys.were_not() }
    }
}

/// Connects, creates what is absent, refuses what belongs to somebody else.
pub(super) async fn open(
    options: &PostgresOptions,
    shape: &TableShape,
    context: &SinkContext,
) -> Result<Session, SinkError> {
    let url = &options.url;
    let connected = connect(&options.connection(), &format!("tidegate {}", context.owner))
        .await
        .map_err(|error| connect_error(&format!("connecting to {url}"), &error))?;
    let client = &connected.client;
    let preparing = async {
        if !options.pooled {
            client
                .batch_execute(SETTINGS)
                .await
                .map_err(|error| sink_error(&format!("preparing {url}"), &error))?;
        }
        schema::make_ready(client, url, shape, context).await?;
        // Who replays dead letters has no group and moves no positions.
        if !context.group.is_empty() {
            schema::check_rights(client, url).await?;
        }
        let columns = schema::columns(client, url, shape).await?;
        let statements = Statements::prepare(client, shape, &columns, options.pooled)
            .await
            .map_err(|error| sink_error(&format!("{url} has another schema"), &error))?;
        Ok((columns, statements))
    };
    let (columns, statements) = timeout(PREPARE_TIMEOUT, preparing).await.unwrap_or_else(|_| {
        Err(SinkError::Retry(format!(
            "preparing {url}: not within {PREPARE_TIMEOUT:?}: somebody locks its tables, or a \
             pooler in transaction mode is in between without --database-pooler"
        )))
    })?;
    // For the transaction only: a pooler may give the connection to others. One in
    // which the client says nothing is ended: it may hold a lock.
    let begin = format!(
        "BEGIN ISOLATION LEVEL READ COMMITTED; SET LOCAL lock_timeout = {}; \
         SET LOCAL idle_in_transaction_session_timeout = '10s'",
        options.lock_timeout_ms
    );
    Ok(Session {
        connected,
        statements,
        columns: Arc::new(columns),
        new_keys: Mutex::default(),
        is_spoiled: AtomicBool::new(false),
        begin,
    })
}
