//! The sessions of a sink, and whose turn it is.
//!
//! Contract: at most so many take turns at once. A session that is given back may still wait
//! for the answer to a COMMIT: the next one's statements queue behind it. Who drops a lease
//! gives its connection up.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Semaphore, SemaphorePermit};

use super::connect::{Columns, Session};
use super::{PostgresOptions, connect};
use crate::sink::{SinkContext, SinkError};
use crate::table::TableShape;

pub(super) struct Pool {
    /// A turn a connection.
    turns: Semaphore,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    context: Option<SinkContext>,
    /// Of the session opened last: what batches are encoded for before they have one.
    columns: Option<Columns>,
    /// Nothing more is to be sent by whoever had it; a COMMIT's answer may be to come.
    idle: Vec<Arc<Session>>,
}

impl State {
    /// One that waits for no answer, if there is one.
    fn take_idle(&mut self) -> Option<Arc<Session>> {
        self.idle.retain(|session| session.is_usable());
        let is_quiet = |session: &Arc<Session>| Arc::strong_count(session) == 1;
        let at = self.idle.iter().position(is_quiet).or(self.idle.len().checked_sub(1))?;
        Some(self.idle.swap_remove(at))
    }
}

/// A session, and the turn it is used in.
pub(super) struct Lease<'a> {
    pub(super) session: Arc<Session>,
    pub(super) context: SinkContext,
    pub(super) turn: SemaphorePermit<'a>,
}

impl Pool {
    pub(super) fn new(connections: usize) -> Self {
        Self { turns: Semaphore::new(connections), state: Mutex::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// All sessions are opened anew, for this.
    pub(super) fn begin(&self, context: &SinkContext) {
        *self.state() = State { context: Some(context.clone()), ..State::default() };
    }

    /// Of the session opened last.
    pub(super) fn columns(&self) -> Option<Columns> {
        self.state().columns.clone()
    }

    /// Waits for a turn and takes a session out, opening it if needed.
    pub(super) async fn lease(
        &self,
        options: &PostgresOptions,
        shape: &TableShape,
    ) -> Result<Lease<'_>, SinkError> {
        let closed = |_| SinkError::Fatal("the sink was closed".into());
        let turn = self.turns.acquire().await.map_err(closed)?;
        let (context, idle) = {
            let mut state = self.state();
            (state.context.clone(), state.take_idle())
        };
        let Some(context) = context else {
            return Err(SinkError::Fatal("the sink was used before prepare()".into()));
        };
        let session = match idle {
            Some(session) => session,
            None => {
                let session = connect::open(options, shape, &context).await?;
                self.state().columns = Some(Arc::clone(&session.columns));
                Arc::new(session)
            }
        };
        Ok(Lease { session, context, turn })
    }

    /// For whoever comes next.
    pub(super) fn put(&self, session: Arc<Session>) {
        self.state().idle.push(session);
    }

    /// After an error other than a fence the next call starts afresh.
    pub(super) fn put_back<T>(&self, lease: Lease<'_>, result: &Result<T, SinkError>) {
        if matches!(result, Ok(_) | Err(SinkError::Fenced { .. })) {
            self.put(lease.session);
        }
    }

    #[cfg(test)]
    pub(super) fn free_turns(&self) -> usize {
        self.turns.available_permits()
    }

    /// Sessions that could be used again.
    #[cfg(test)]
    pub(super) fn idle(&self) -> usize {
        let mut state = self.state();
        state.idle.retain(|session| session.is_usable());
        state.idle.len()
    }
}
