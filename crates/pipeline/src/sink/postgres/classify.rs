//! SQLSTATE, by what helps: another attempt, nobody, or leaving the row out.

use std::error::Error as _;

use tidegate_postgres::tokio_postgres::Error;
use tidegate_postgres::{ConnectError, describe};

use crate::sink::SinkError;

/// Whose fault a SQLSTATE is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    /// Other rows of the batch can be written.
    Row,
    /// Not for ever.
    Passing,
    /// No retry can help.
    Lasting,
}

/// Where the server says that a statement was prepared for a table that is another one now.
const CACHED_PLAN_ROUTINE: &str = "RevalidateCachedQuery";

fn fault(state: &str, routine: Option<&str>) -> Fault {
    match state {
        // The binary format does not fit the table: someone has altered it.
        "22P03" | "22P04" => Fault::Lasting,
        // Dropped while we were connected; corrupted.
        "57P04" | "XX001" | "XX002" => Fault::Lasting,
        // A cached plan that no longer fits. Whatever else the server does not support,
        // such as COPY into a table with row-level security, it never will.
        "0A000" if routine == Some(CACHED_PLAN_ROUTINE) => Fault::Passing,
        // Busy; read-only (a standby, or a full disk's precaution); an open
        // transaction that the server ended; a prepared statement that a
        // connection pooler has lost.
        "55P03" | "55006" | "25006" | "25P02" | "25P03" | "25P04" | "26000" => Fault::Passing,
        _ => match state.get(..2).unwrap_or_default() {
            // Two rows of a statement for one key, data, constraints, a view's check, a program limit such as an index
            // entry's size, RAISE in a trigger.
            "21" | "22" | "23" | "27" | "44" | "54" | "P0" => Fault::Row,
            // A trigger's CASE without a branch for this row; what one in Python, Perl or
            // Tcl raised.
            "20" | "38" | "39" => Fault::Row,
            // Connection, rolled back, resources, operator, snapshot, system, internal.
            "08" | "40" | "53" | "57" | "58" | "72" | "XX" => Fault::Passing,
            // What a program is not in the right state for.
            "55" => Fault::Lasting,
            // Classes of 5 to 9 and I to Z are left to users: what a trigger raised.
            class if class.starts_with(|first| matches!(first, '5'..='9' | 'I'..='Z')) => {
                Fault::Row
            }
            _ => Fault::Lasting,
        },
    }
}

/// `None` where the server has not answered.
fn fault_of(error: &Error) -> Option<Fault> {
    error.as_db_error().map(|answer| fault(answer.code().code(), answer.routine()))
}

/// The row itself is what the database refuses; others can be written.
pub(super) fn is_rows_fault(error: &Error) -> bool {
    fault_of(error) == Some(Fault::Row)
}

/// The engine's view of an error met while `doing` something.
pub(super) fn sink_error(doing: &str, error: &Error) -> SinkError {
    let text = format!("{doing}: {}", describe(error));
    match fault_of(error) {
        Some(Fault::Passing) => SinkError::Retry(text),
        Some(_) => SinkError::Fatal(text),
        None if is_own_fault(error) => SinkError::Fatal(text),
        None => SinkError::Retry(text),
    }
}

/// The same for a connection that could not be opened.
pub(super) fn connect_error(doing: &str, error: &ConnectError) -> SinkError {
    match error {
        ConnectError::Postgres(error) => sink_error(doing, error),
        // A secret that is being replaced, a server that is starting.
        ConnectError::PasswordFile { .. } | ConnectError::Timeout(_) => {
            SinkError::Retry(format!("{doing}: {error}"))
        }
        ConnectError::Tls(_) => SinkError::Fatal(format!("{doing}: {error}")),
    }
}

/// Without an answer of the server: the network is a passing matter; a missing
/// password, a certificate that is not trusted or a server without TLS is not.
fn is_own_fault(error: &Error) -> bool {
    let text = error.to_string();
    // The client library has no public kind of its errors.
    ["invalid configuration", "authentication error", "error serializing", "error encoding"]
        .iter()
        .any(|kind| text.starts_with(kind))
        || text.starts_with("error performing TLS handshake") && !is_broken_pipe(error)
}

/// The peer went away in the middle of the handshake.
fn is_broken_pipe(error: &Error) -> bool {
    use std::io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof};
    error.source().and_then(|source| source.downcast_ref::<std::io::Error>()).is_some_and(|io| {
        matches!(io.kind(), BrokenPipe | ConnectionAborted | ConnectionReset | UnexpectedEof)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_state_is_somebodys_fault() {
        for (states, expected) in [
            (
                &[
                    "22003", "22021", "22001", "23505", "23514", "44000", "54000", "P0001",
                    "U0001", "20000", "38000", "38001", "39004", "50001", "70001", "99999",
                ][..],
                Fault::Row,
            ),
            (
                &[
                    "08006", "57P01", "57P02", "57P03", "57014", "40001", "40P01", "53100",
                    "53300", "55P03", "25006", "58030", "72000", "XX000",
                ],
                Fault::Passing,
            ),
            (
                &[
                    "28P01", "28000", "3D000", "3F000", "42P01", "42703", "42501", "22P03",
                    "22P04", "57P04", "XX001", "0A000", "55000",
                ],
                Fault::Lasting,
            ),
        ] {
            for state in states {
                assert_eq!(fault(state, Some("DoCopy")), expected, "{state}");
            }
        }
        assert_eq!(fault("0A000", Some("RevalidateCachedQuery")), Fault::Passing);
    }
}
