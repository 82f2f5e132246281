//! Which errors of the client are a refusal, in plain words.

use rdkafka::error::{KafkaError, RDKafkaErrorCode};

use crate::{ConnectionOptions, Error, probe};

/// What the client guesses about a connection that ended early. A broker that stops
/// looks the same, so a guess is looked into.
const GUESSES: &[&str] =
    &["SSL listener?", "PLAINTEXT listener", "PLAINTEXT broker", "require SASL authentication"];

/// The refusal an error event tells of; `None` for an error that time may heal.
///
/// The client says of a certificate only that it could not be verified. Our own
/// handshake knows why: it is done again, once, to tell.
pub(crate) fn of(
    connection: &ConnectionOptions,
    error: &KafkaError,
    reason: &str,
) -> Option<Error> {
    let security =
        |reason: String| Some(Error::Security { brokers: connection.brokers.clone(), reason });
    match error.rdkafka_error_code()? {
        RDKafkaErrorCode::Authentication | RDKafkaErrorCode::SaslAuthenticationFailed
            if connection.token().is_err_and(|error| !error.is_permanent()) =>
        {
            None
        }
        RDKafkaErrorCode::Authentication | RDKafkaErrorCode::SaslAuthenticationFailed => {
            security(authentication(reason))
        }
        RDKafkaErrorCode::SSL => match probe::cluster(connection) {
            Err(error @ (Error::Security { .. } | Error::Option { .. })) => Some(error),
            _ => security(plain(reason)),
        },
        _ if GUESSES.iter().any(|guess| reason.contains(guess)) => {
            probe::cluster(connection).err().filter(Error::is_permanent)
        }
        _ => None,
    }
}

fn authentication(reason: &str) -> String {
    format!("authentication failed: {}", plain(reason))
}

/// Without the address in front and the state at the end.
fn plain(reason: &str) -> String {
    let end = reason.rfind(" (after ").unwrap_or(reason.len());
    let text = reason[..end].trim();
    let start = match text.find("://") {
        Some(scheme) => text[scheme..].find(": ").map_or(0, |at| scheme + at + 2),
        None => 0,
    };
    text[start..].trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clients_words_lose_address_and_state() {
        assert_eq!(
            plain(
                "sasl_ssl://localhost:9098/bootstrap: SASL authentication error: wrong (after 5ms in state AUTH_REQ)"
            ),
            "SASL authentication error: wrong"
        );
        assert_eq!(plain("odd"), "odd");
    }
}
