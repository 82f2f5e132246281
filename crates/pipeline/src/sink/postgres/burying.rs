//! Dead letters of a batch into their table, in its transaction.

use tidegate_postgres::tokio_postgres::Error;
use tidegate_postgres::tokio_postgres::types::ToSql;

use super::connect::Session;
use super::copy::Rejected;
use crate::batch::Batch;
use crate::dead_letters::Letter;
use crate::sink::headers::headers_json;

/// Records that become dead letters, and why.
pub(super) type DeadLetters<'a> = Vec<Letter<'a>>;

pub(super) fn dead_letters<'a, R>(batch: &'a Batch<R>, rejected: &'a Rejected) -> DeadLetters<'a> {
    let refused = rejected.iter().map(|(index, why)| (&batch.entries()[*index].record, why));
    batch.dead_letters().chain(refused).collect()
}

/// One statement for all; nothing is sent where there are none.
pub(super) async fn insert_dead_letters(
    session: &Session,
    letters: &DeadLetters<'_>,
    committed_at_ms: i64,
) -> Result<(), Error> {
    if letters.is_empty() {
        return Ok(());
    }
    let topics: Vec<&str> = letters.iter().map(|(record, _)| &*record.topic).collect();
    let partitions: Vec<i32> = letters.iter().map(|(record, _)| record.partition).collect();
    let offsets: Vec<i64> = letters.iter().map(|(record, _)| record.offset).collect();
    let timestamps: Vec<Option<i64>> =
        letters.iter().map(|(record, _)| record.timestamp_ms).collect();
    let keys: Vec<Option<&[u8]>> =
        letters.iter().map(|(record, _)| record.key.as_deref()).collect();
    let payloads: Vec<Option<&[u8]>> =
        letters.iter().map(|(record, _)| record.payload.as_deref()).collect();
    let headers: Vec<String> =
        letters.iter().map(|(record, _)| headers_json(&record.headers)).collect();
    let codes: Vec<&str> = letters.iter().map(|(_, why)| why.code).collect();
    // PostgreSQL's texts have no NUL; a reason may quote one.
    let reasons: Vec<String> =
        letters.iter().map(|(_, why)| why.reason.replace('\0', "\u{fffd}")).collect();
    let values: [&(dyn ToSql + Sync); 10] = [
        &topics,
        &partitions,
        &offsets,
        &timestamps,
        &keys,
        &payloads,
        &headers,
        &codes,
        &reasons,
        &committed_at_ms,
    ];
    session.statements.dead_letters.execute(session.client(), &values).await.map(drop)
}
