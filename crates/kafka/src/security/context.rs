//! Callbacks of the clients that only ask: lag reader and admin.

use std::error::Error as StdError;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rdkafka::client::{ClientContext, OAuthToken};
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::{KafkaError, KafkaResult};

use super::refusal;
use super::token::install;
use crate::{ConnectionOptions, Error, probe};

/// Serves tokens, and keeps the first refusal for whoever asks next.
pub(crate) struct Asking {
    connection: ConnectionOptions,
    refused: Mutex<Option<Error>>,
    answered: AtomicBool,
}

impl Asking {
    pub(crate) fn new(connection: ConnectionOptions) -> Self {
        Self { connection, refused: Mutex::default(), answered: AtomicBool::new(false) }
    }

    fn refused(&self) -> MutexGuard<'_, Option<Error>> {
        self.refused.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ClientContext for Asking {
    const ENABLE_REFRESH_OAUTH_TOKEN: bool = true;

    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        crate::log::line(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(%error, reason, "kafka client");
        if self.refused().is_none()
            && let Some(refusal) = refusal::of(&self.connection, &error, reason)
        {
            *self.refused() = Some(refusal);
        }
    }

    fn generate_oauth_token(&self, _: Option<&str>) -> Result<OAuthToken, Box<dyn StdError>> {
        oauth_token(&self.connection)
    }
}

impl ConsumerContext for Asking {}

/// What a client's refresh event is answered with.
pub(crate) fn oauth_token(connection: &ConnectionOptions) -> Result<OAuthToken, Box<dyn StdError>> {
    match connection.token() {
        Ok(Some(token)) => Ok(OAuthToken {
            token: token.value,
            principal_name: token.principal,
            lifetime_ms: token.expires_at_ms,
        }),
        Ok(None) => Err("the mechanism has no token".into()),
        Err(error) => {
            tracing::warn!(%error, "Kafka token refused to a client; it asks again in 10 s");
            Err(error.to_string().replace('\0', " ").into())
        }
    }
}

/// One blocking question to a client nobody polls: a fresh token first, and what
/// the client has to say before and after. `action` is what for, in errors.
pub(crate) fn ask<T>(
    client: &BaseConsumer<Asking>,
    action: &'static str,
    question: impl FnOnce(&BaseConsumer<Asking>) -> KafkaResult<T>,
) -> Result<T, Error> {
    let context = client.client().context();
    let connection = &context.connection;
    if let Some(token) = connection.token()? {
        install(client.client(), &token)?;
    }
    serve(client);
    let outcome = question(client);
    serve(client);
    let error = match outcome {
        Ok(answer) => {
            context.answered.store(true, Ordering::Relaxed);
            return Ok(answer);
        }
        Err(error) => error,
    };
    if let Some(refusal) = context.refused().take() {
        return Err(refusal);
    }
    // Not every refusal comes as an event; before the first answer we look ourselves.
    if !context.answered.load(Ordering::Relaxed)
        && let Err(refusal @ Error::Security { .. }) = probe::cluster(connection)
    {
        return Err(refusal);
    }
    // Codes above zero are a broker's own: it answers, and says no.
    if error.rdkafka_error_code().is_some_and(|code| code as i32 > 0) {
        return Err(Error::client(action, &error));
    }
    Err(Error::Unreachable { brokers: connection.brokers.clone(), reason: error.to_string() })
}

/// Log lines, errors and refresh events that wait; an error is an item of its own.
fn serve(client: &BaseConsumer<Asking>) {
    for _ in 0..100 {
        if client.poll(Duration::ZERO).is_none() {
            return;
        }
    }
}
