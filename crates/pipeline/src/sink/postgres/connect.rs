//! A session: a connection with its settings made, its tables there and its
//! statements prepared.

use std::sync::Arc;
use std::time::Duration;

use tidegate_postgres::tokio_postgres::types::Type;
use tidegate_postgres::tokio_postgres::{Client, Statement};
use tidegate_postgres::{Connected, connect};
use tokio::time::timeout;

use super::classify::{connect_error, sink_error};
use super::{PostgresOptions, PostgresRow, schema, transaction};
use crate::sink::{SinkContext, SinkError};

/// The server's side of a connection whose client has vanished is given up as
/// fast as ours: it may hold a lock that the next owner needs. A transaction in
/// which the client says nothing is ended for the same reason.
const SETTINGS: &str = "SET tcp_keepalives_idle = 10; SET tcp_keepalives_interval = 5; \
     SET tcp_keepalives_count = 3; SET idle_in_transaction_session_timeout = '10s'";

/// Tables and statements may wait for another pod that creates the tables.
const PREPARE_TIMEOUT: Duration = Duration::from_secs(30);

/// Columns of a table and their types, in the order of the COPY.
pub(super) type Columns = Arc<Vec<(String, Type)>>;

/// A connection that can write batches.
pub(super) struct Session {
    connected: Connected,
    pub(super) statements: Statements,
    /// Columns of the rows' table in the order of [`Statements::copy_rows`].
    pub(super) columns: Columns,
    /// How a transaction begins.
    pub(super) begin: String,
}

/// What is prepared once a session.
pub(super) struct Statements {
    pub(super) positions: Statement,
    pub(super) move_positions: Statement,
    pub(super) dead_letters: Statement,
    pub(super) copy_rows: Statement,
}

impl Session {
    pub(super) fn client(&self) -> &Client {
        &self.connected.client
    }

    pub(super) fn is_open(&self) -> bool {
        !self.connected.client.is_closed()
    }
}

/// Connects, creates what is absent, refuses what belongs to somebody else.
pub(super) async fn open<R: PostgresRow>(
    options: &PostgresOptions,
    context: &SinkContext,
) -> Result<Session, SinkError> {
    let url = &options.url;
    let connected = connect(&options.connection(), &format!("tidegate {}", context.owner))
        .await
        .map_err(|error| connect_error(&format!("connecting to {url}"), &error))?;
    let client = &connected.client;
    let preparing = async {
        client
            .batch_execute(SETTINGS)
            .await
            .map_err(|error| sink_error(&format!("preparing {url}"), &error))?;
        schema::make_ready::<R>(client, url, context).await?;
        let columns = schema::columns::<R>(client, url).await?;
        let statements = transaction::prepare(client, R::TABLE, &columns)
            .await
            .map_err(|error| sink_error(&format!("{url} has another schema"), &error))?;
        Ok((columns, statements))
    };
    let (columns, statements) = timeout(PREPARE_TIMEOUT, preparing).await.unwrap_or_else(|_| {
        Err(SinkError::Retry(format!("preparing {url}: not within {PREPARE_TIMEOUT:?}")))
    })?;
    // For the transaction only: a pooler may give the connection to others.
    let begin = format!(
        "BEGIN ISOLATION LEVEL READ COMMITTED; SET LOCAL lock_timeout = {}",
        options.lock_timeout_ms
    );
    Ok(Session { connected, statements, columns: Arc::new(columns), begin })
}
