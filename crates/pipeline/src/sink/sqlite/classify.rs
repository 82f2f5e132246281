//! SQLite's result codes, by what helps: another attempt, nobody, or leaving
//! the row out.

use rusqlite::{Error, ErrorCode};

use crate::sink::SinkError;

/// The row itself is what the database refuses, or has a value that cannot be
/// given to it; others can be written.
pub(super) fn is_rows_fault(error: &Error) -> bool {
    matches!(error, Error::ToSqlConversionFailure(_))
        || matches!(
            error.sqlite_error_code(),
            Some(ErrorCode::ConstraintViolation | ErrorCode::TypeMismatch | ErrorCode::TooBig)
        )
}

/// Another process holds the lock.
pub(super) fn is_busy(error: &Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked))
}

/// The engine's view of an error met while `doing` something.
pub(super) fn sink_error(doing: &str, error: &Error) -> SinkError {
    let text = format!("{doing}: {error}");
    match error.sqlite_error_code() {
        Some(
            ErrorCode::DatabaseBusy
            | ErrorCode::DatabaseLocked
            | ErrorCode::DiskFull
            | ErrorCode::SystemIoFailure
            | ErrorCode::OutOfMemory
            | ErrorCode::OperationInterrupted
            | ErrorCode::CannotOpen
            | ErrorCode::FileLockingProtocolFailed
            | ErrorCode::SchemaChanged,
        ) => SinkError::Retry(text),
        _ => SinkError::Fatal(text),
    }
}
