//! SASL on a connection of our own, message by message. The caller carries them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;

use super::scram::{Hash, Scram};
use super::{SaslMechanism, SecurityOptions};
use crate::{ConnectionOptions, Error};

/// Authenticates; `exchange` sends the client's bytes and returns the broker's.
/// The broker's refusal is the exchange's own error.
pub(crate) fn authenticate(
    connection: &ConnectionOptions,
    mechanism: SaslMechanism,
    mut exchange: impl FnMut(Vec<u8>) -> Result<Vec<u8>, Error>,
) -> Result<(), Error> {
    let options = &connection.security;
    match mechanism {
        SaslMechanism::Plain => {
            let (user, password) = user_and_password(options)?;
            exchange(format!("\0{user}\0{password}").into_bytes()).map(drop)
        }
        SaslMechanism::ScramSha256 => scram(connection, Hash::Sha256, exchange),
        SaslMechanism::ScramSha512 => scram(connection, Hash::Sha512, exchange),
        SaslMechanism::OAuthBearer | SaslMechanism::AwsMskIam => {
            let token = connection.token()?.map(|token| token.value).unwrap_or_default();
            let answer = exchange(format!("n,,\u{1}auth=Bearer {token}\u{1}\u{1}").into_bytes())?;
            if answer.is_empty() {
                return Ok(());
            }
            // RFC 7628, 3.2.3: a refusal comes as a challenge, and as an error once the client
            // has answered that it saw it.
            exchange(vec![1])?;
            let reason = format!("authentication failed: {}", String::from_utf8_lossy(&answer));
            Err(Error::Security { brokers: connection.brokers.clone(), reason })
        }
    }
}

fn user_and_password(options: &SecurityOptions) -> Result<(&str, String), Error> {
    let password = options.sasl_password.as_ref().map(super::Secret::read).transpose()?;
    Ok((options.sasl_username.as_deref().unwrap_or_default(), password.unwrap_or_default()))
}

fn scram(
    connection: &ConnectionOptions,
    hash: Hash,
    mut exchange: impl FnMut(Vec<u8>) -> Result<Vec<u8>, Error>,
) -> Result<(), Error> {
    let refused = |why: &str| Error::Security {
        brokers: connection.brokers.clone(),
        reason: format!("SCRAM: {why}"),
    };
    let (user, password) = user_and_password(&connection.security)?;
    let mut nonce = [0u8; 18];
    ring::rand::SecureRandom::fill(&ring::rand::SystemRandom::new(), &mut nonce)
        .map_err(|_| refused("no randomness"))?;
    let scram = Scram::new(hash, user, STANDARD_NO_PAD.encode(nonce));
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).map_err(|_| refused("not text"));
    let server_first = text(exchange(scram.first().into_bytes())?)?;
    let (answer, proof) = scram.second(&password, &server_first).map_err(&refused)?;
    let server_final = text(exchange(answer.into_bytes())?)?;
    if server_final.split(',').next() == Some(proof.as_str()) {
        Ok(())
    } else {
        Err(refused("the broker does not know the password either"))
    }
}
