//! One batch, one transaction: look at the positions, COPY the rows, insert the
//! dead letters, compare and set the positions, commit.
//!
//! Statements are sent without waiting for the answers of those before: a
//! statement that fails makes the server refuse all that follow, COMMIT
//! included. What this side could not even send would not be missed by the
//! server, so a COMMIT goes out only behind statements that did ([`Pending::sent`]).
//!
//! Once the COMMIT is sent the session may be handed on ([`HandOn`]): the next batch
//! opens its transaction behind it and does not wait for the answer to ours. It has no
//! partition in common with this one, so what becomes of this one is nothing to it;
//! and if this one must be asked about or written again, that is done by [`settle`] in a
//! turn of its own.

use std::future::Future;
use std::pin::Pin;

use bytes::Bytes;
use tidegate_kafka::TopicPartition;
use tidegate_postgres::describe;
use tidegate_postgres::tokio_postgres::error::SqlState;
use tidegate_postgres::tokio_postgres::types::ToSql;
use tidegate_postgres::tokio_postgres::{CopyInSink, Error};

use super::burying::{dead_letters, insert_dead_letters};
use super::classify::{is_rows_fault, sink_error};
use super::connect::Session;
use super::copy::{CopyRows, Rejected};
use super::sending::Pending;
use super::{sift, upsert};
use crate::batch::{Batch, PositionUpdate};
use crate::dead_letters::DeadLetterTopic;
use crate::sink::{SinkContext, SinkError, Written};

/// An open COPY; dropping it fails the statement.
pub(super) type Copy = Pin<Box<CopyInSink<Bytes>>>;

/// The positions stored for a group.
pub(super) async fn positions(
    session: &Session,
    group: &str,
    partitions: &[TopicPartition],
) -> Result<Vec<Option<i64>>, SinkError> {
    read_positions(session, group, partitions.iter())
        .await
        .map_err(|error| sink_error("reading positions", &error))
}

async fn read_positions<'a>(
    session: &Session,
    group: &str,
    partitions: impl Iterator<Item = &'a TopicPartition>,
) -> Result<Vec<Option<i64>>, Error> {
    let (topics, numbers): (Vec<&str>, Vec<i32>) =
        partitions.map(|p| (&*p.topic, p.partition)).unzip();
    let statement = &session.statements.positions;
    let rows = statement.rows(session.client(), &[&group, &topics, &numbers]).await?;
    rows.iter().map(|row| row.try_get(0)).collect()
}

/// Why a transaction was rolled back.
pub(super) enum Failed {
    /// A row is refused; this is what was said.
    Row(Error),
    /// A position had moved when it was compared: somebody is fenced.
    Moved,
    /// A lock was waited for in vain.
    Blocked(SinkError),
    /// The name of a statement is taken, behind a pooler: the next attempt has another.
    Named(SinkError),
    /// The batch cannot be written now, or not by us.
    Sink(SinkError),
}

impl Failed {
    pub(super) fn new(doing: &str, error: Error) -> Self {
        match error.code() {
            _ if is_rows_fault(&error) => Self::Row(error),
            Some(&SqlState::LOCK_NOT_AVAILABLE) => Self::Blocked(sink_error(doing, &error)),
            _ => Self::Sink(sink_error(doing, &error)),
        }
    }
}

impl From<SinkError> for Failed {
    fn from(error: SinkError) -> Self {
        Self::Sink(error)
    }
}

/// Called when the session has nothing more to be sent for a batch.
pub(super) type HandOn<'a> = dyn FnMut() + Send + 'a;

/// What carries the rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum How {
    /// COPY, without a key.
    Append,
    /// COPY of rows with keys that the table does not have.
    NewKeys,
    /// One statement, which replaces.
    Upsert,
}

impl How {
    /// What is tried first. Asked once a batch.
    pub(super) fn first(session: &Session, rows: &CopyRows) -> Self {
        if !rows.have_key() {
            Self::Append
        } else if session.expects_new_keys() && rows.keys_differ() {
            Self::NewKeys
        } else {
            Self::Upsert
        }
    }

    /// Whether the table has a key that was expected to be new.
    pub(super) fn has_met_a_key(self, failed: &Failed) -> bool {
        self == Self::NewKeys
            && matches!(failed, Failed::Row(error) if upsert::is_repeated_key(error))
    }
}

/// Writes the batch, encoded as `rows` and `rejected`, or nothing; returns the time of
/// the commit, Unix milliseconds. Expects that no row is refused: two exchanges.
pub(super) async fn write<R>(
    session: &Session,
    context: &SinkContext,
    batch: &Batch<R>,
    (rows, rejected): (&mut CopyRows, &Rejected),
    how: How,
    hand_on: &mut HandOn<'_>,
) -> Result<i64, Failed> {
    let result = write_whole(session, context, batch, (rows, rejected), how, hand_on).await;
    match &result {
        Ok(_) if how == How::NewKeys => session.keys_were(true),
        Err(failed) if how.has_met_a_key(failed) => session.keys_were(false),
        _ => {}
    }
    result
}

/// What is left to be done about a batch of which a row was refused or a position had
/// moved. `topic` has the letters of `rejected` already; rows that turn out to be
/// refused are published before the commit.
pub(super) async fn settle<R>(
    session: &Session,
    context: &SinkContext,
    topic: Option<&DeadLetterTopic>,
    batch: &Batch<R>,
    mut rows: CopyRows,
    rejected: Rejected,
    failed: Failed,
) -> Result<Written, SinkError> {
    match failed {
        Failed::Row(error) => {
            sift::write(session, context, topic, batch, &mut rows, rejected, &error).await
        }
        Failed::Moved => Err(who_is_fenced(session, context, batch.positions()).await),
        Failed::Blocked(error) | Failed::Named(error) | Failed::Sink(error) => Err(error),
    }
}

async fn write_whole<R>(
    session: &Session,
    context: &SinkContext,
    batch: &Batch<R>,
    (rows, rejected): (&mut CopyRows, &Rejected),
    how: How,
    hand_on: &mut HandOn<'_>,
) -> Result<i64, Failed> {
    let client = session.client();
    let updates = batch.positions();
    let copied_rows = if how == How::Upsert { 0 } else { rows.len() };
    let (begun, stored, copy) = tokio::join!(
        client.batch_execute(&session.begin),
        read_positions(session, &context.group, updates.iter().map(|update| &update.partition)),
        open_copy(session, copied_rows),
    );
    let broken = |error: Error| Failed::Sink(sink_error("writing a batch", &error));
    begun.map_err(broken)?;
    let stored = stored.map_err(broken)?;
    let mut copy = match copy {
        Err(error) if session.statements.is_name_taken(&error) => {
            client.batch_execute("ROLLBACK").await.map_err(broken)?;
            let why = format!("writing a batch: {}", describe(&error));
            return Err(Failed::Named(SinkError::Retry(why)));
        }
        copy => copy.map_err(broken)?,
    };
    let fenced = fenced(updates, &stored);
    if !fenced.is_empty() {
        drop(copy);
        client.batch_execute("ROLLBACK").await.map_err(broken)?;
        return Err(Failed::Sink(SinkError::Fenced { partitions: fenced }));
    }
    let committed_at_ms = crate::clock::now_ms();
    rows.stamp(committed_at_ms);
    if let Some(copy) = &mut copy {
        rows.send(copy.as_mut()).await.map_err(broken)?;
    }
    let copying = async {
        match copy {
            Some(mut copy) => copy.as_mut().finish().await.map(drop),
            None if how == How::Upsert => upsert::execute(session, rows).await,
            None => Ok(()),
        }
    };
    let letters = dead_letters(batch, rejected);
    let burying = insert_dead_letters(session, &letters, committed_at_ms);
    conclude(session, context, updates, copying, burying, hand_on).await?;
    Ok(committed_at_ms)
}

/// The last exchange: what is still to come of the COPY, the dead letters, the
/// positions, COMMIT.
pub(super) async fn conclude(
    session: &Session,
    context: &SinkContext,
    updates: &[PositionUpdate],
    copying: impl Future<Output = Result<(), Error>>,
    burying: impl Future<Output = Result<(), Error>>,
    hand_on: &mut HandOn<'_>,
) -> Result<(), Failed> {
    let unsent = |error: Error| Failed::Sink(sink_error("writing a batch", &error));
    let copying = Pending::send(copying).await.sent().map_err(unsent)?;
    let burying = Pending::send(burying).await.sent().map_err(unsent)?;
    let moving = move_positions(session, context, updates);
    let moving = Pending::send(moving).await.sent().map_err(unsent)?;
    let committing = session.client().batch_execute("COMMIT");
    let committing = Pending::send(committing).await.sent().map_err(unsent)?;
    hand_on();
    let (copied, buried, moved, committed) =
        tokio::join!(copying.answer(), burying.answer(), moving.answer(), committing.answer());
    copied.map_err(|error| Failed::new("writing a batch", error))?;
    buried.map_err(|error| Failed::Sink(sink_error("inserting dead letters", &error)))?;
    match moved {
        Err(error) if error.code() == Some(&SqlState::DIVISION_BY_ZERO) => {
            return Err(Failed::Moved);
        }
        moved => moved.map_err(|error| Failed::Sink(sink_error("moving positions", &error)))?,
    }
    committed.map_err(|error| Failed::new("committing a batch", error))
}

/// `None` if there are no rows to be copied.
async fn open_copy(session: &Session, rows: usize) -> Result<Option<Copy>, Error> {
    if rows == 0 {
        return Ok(None);
    }
    session.statements.open_copy(session.client()).await.map(Some)
}

/// The partitions whose position is not the expected one.
fn fenced(updates: &[PositionUpdate], stored: &[Option<i64>]) -> Vec<TopicPartition> {
    updates
        .iter()
        .zip(stored)
        .filter(|(update, stored)| update.expected != **stored)
        .map(|(update, _)| update.partition.clone())
        .collect()
}

async fn move_positions(
    session: &Session,
    context: &SinkContext,
    updates: &[PositionUpdate],
) -> Result<(), Error> {
    let topics: Vec<&str> = updates.iter().map(|update| &*update.partition.topic).collect();
    let partitions: Vec<i32> = updates.iter().map(|update| update.partition.partition).collect();
    let expected: Vec<Option<i64>> = updates.iter().map(|update| update.expected).collect();
    let next_offsets: Vec<i64> = updates.iter().map(|update| update.next_offset).collect();
    let now_ms = crate::clock::now_ms();
    let (group, owner) = (&context.group, &context.owner);
    let values: [&(dyn ToSql + Sync); 7] =
        [group, &topics, &partitions, &expected, &next_offsets, owner, &now_ms];
    session.statements.move_positions.execute(session.client(), &values).await.map(drop)
}

/// Asked after the rollback.
pub(super) async fn who_is_fenced(
    session: &Session,
    context: &SinkContext,
    updates: &[PositionUpdate],
) -> SinkError {
    let partitions = updates.iter().map(|update| &update.partition);
    match read_positions(session, &context.group, partitions).await {
        Ok(stored) => match fenced(updates, &stored) {
            partitions if partitions.is_empty() => {
                SinkError::Retry("positions changed while they were compared".into())
            }
            partitions => SinkError::Fenced { partitions },
        },
        Err(error) => sink_error("reading positions", &error),
    }
}
