//! Statements that are sent before the answers to those in front of them are there.

use std::future::Future;
use std::pin::Pin;
use std::task::Poll;

use tidegate_postgres::tokio_postgres::Error;

/// A statement that was sent, and whose answer is to come.
pub(super) struct Pending<F> {
    statement: Pin<Box<F>>,
    known: Option<Result<(), Error>>,
}

impl<F: Future<Output = Result<(), Error>>> Pending<F> {
    /// Sends it by asking for its answer once.
    pub(super) async fn send(statement: F) -> Self {
        let mut statement = Box::pin(statement);
        let known = std::future::poll_fn(|context| {
            Poll::Ready(match statement.as_mut().poll(context) {
                Poll::Ready(answer) => Some(answer),
                Poll::Pending => None,
            })
        })
        .await;
        Self { statement, known }
    }

    /// An error that is there at once means that nothing was sent.
    pub(super) fn sent(self) -> Result<Self, Error> {
        match self.known {
            Some(Err(error)) => Err(error),
            known => Ok(Self { known, ..self }),
        }
    }

    pub(super) async fn answer(self) -> Result<(), Error> {
        match self.known {
            Some(answer) => answer,
            None => self.statement.await,
        }
    }
}
