//! Statements that are sent before the answers to those in front of them are there.

use std::future::Future;
use std::pin::Pin;
use std::task::Poll;

use tidegate_postgres::tokio_postgres::Error;

/// Sends a statement by asking for its answer once. `Some` if it is there
/// already; an error at once means that nothing was sent.
pub(super) async fn sent(
    mut statement: Pin<&mut impl Future<Output = Result<(), Error>>>,
) -> Result<Option<()>, Error> {
    std::future::poll_fn(|context| match statement.as_mut().poll(context) {
        Poll::Ready(Ok(())) => Poll::Ready(Ok(Some(()))),
        Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
        Poll::Pending => Poll::Ready(Ok(None)),
    })
    .await
}

pub(super) async fn answer(
    known: Option<()>,
    statement: Pin<&mut impl Future<Output = Result<(), Error>>>,
) -> Result<(), Error> {
    match known {
        Some(()) => Ok(()),
        None => statement.await,
    }
}

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

    pub(super) async fn answer(self) -> Result<(), Error> {
        match self.known {
            Some(answer) => answer,
            None => self.statement.await,
        }
    }
}
