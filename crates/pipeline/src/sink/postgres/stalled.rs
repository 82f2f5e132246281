//! Sessions of pods that are stopped in the middle of a COPY.
//!
//! A pod that is frozen, or whose machine is, may have sent half of its rows. The server waits
//! for the rest, and no timeout of its own ends a COPY that waits for its client. With a key
//! the rows' keys are locked meanwhile, and whoever takes over waits for them. So a pod that
//! has waited for a lock in vain ends such sessions: they lose what was never committed, and
//! their pod, if it lives, writes its batch again.
//!
//! Rejected: `transaction_timeout` (only from PostgreSQL 17 on, and it would also end a batch
//! that is merely large).

use tidegate_postgres::tokio_postgres::types::Type;

use super::classify::sink_error;
use super::connect::Session;
use crate::sink::SinkError;

/// A COPY of a pod, by the same role in the same database, whose client has said nothing when
/// looked at, and that began before the lock was waited for.
const END: &str = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity \
     WHERE datname = current_database() AND usename = current_user AND pid <> pg_backend_pid() \
       AND application_name LIKE 'tidegate %' AND state = 'active' AND query LIKE 'COPY %' \
       AND wait_event = 'ClientRead' AND query_start < now() - $1 * interval '1 millisecond'";

/// Ends those that have waited for their client for at least as long; returns how many.
pub(super) async fn end(session: &Session, waited_ms: u64) -> Result<i64, SinkError> {
    let failed = |error| sink_error("ending stalled sessions", &error);
    let waited_ms = waited_ms as f64;
    let rows = session.client().query_typed(END, &[(&waited_ms, Type::FLOAT8)]).await;
    let rows = rows.map_err(failed)?;
    rows.first().map_or(Ok(0), |row| row.try_get(0)).map_err(failed)
}
