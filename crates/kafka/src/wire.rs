//! One connection to one broker, spoken to without the client library.
//!
//! Contract: a request and its answer at a time, secured as every other connection; every
//! step bounded in time. What a handshake or a login is refused for comes back as
//! [`Error::Security`] in words that say what to do; what time may heal as [`Error::Wire`].
//!
//! Threads: blocking.

use std::io::{Read, Write};
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use kafka_protocol::messages::{
    ApiVersionsRequest, RequestHeader, ResponseHeader, SaslAuthenticateRequest,
    SaslHandshakeRequest,
};
use kafka_protocol::protocol::{Decodable, Encodable, HeaderVersion, Request, StrBytes};
use rustls::ClientConfig;

use crate::security::sasl;
use crate::security::stream::{Silent, Stream, tls_config};
use crate::{ConnectionOptions, Error};

/// The offsets of twenty thousand partitions are about a megabyte, a batch of records is as
/// large as a broker is set to take it; more than this is not a Kafka broker.
const MAX_ANSWER_BYTES: usize = 128 << 20;
pub(crate) const UNSUPPORTED_SASL_MECHANISM: i16 = 33;

/// A TLS record came where a length should be.
#[derive(Debug, thiserror::Error)]
#[error("the broker speaks TLS here: set the security protocol to SSL or SASL_SSL")]
struct SpeaksTls;

#[derive(Debug)]
pub(crate) struct Connection {
    stream: Stream,
    broker: String,
    correlation_id: i32,
    /// The broker hung up instead of an answer.
    ended: bool,
}

impl Connection {
    /// Answers may come this much later than those that are made at once.
    pub(crate) fn patience(&mut self, wait: Duration) -> Result<(), Error> {
        self.stream.patience(wait).map_err(|error| Error::Wire {
            action: "set the timeout",
            broker: self.broker.clone(),
            reason: error.to_string(),
        })
    }

    /// host:port of the broker.
    pub(crate) fn broker(&self) -> &str {
        &self.broker
    }

    /// Whether the broker hung up instead of an answer.
    pub(crate) fn has_ended(&self) -> bool {
        self.ended
    }

    /// Asks the brokers of the list in turn, until one answers or refuses. A broker that
    /// accepts may still be silent, or another kind of server. Not authenticated yet.
    pub(crate) fn try_each<T>(
        options: &ConnectionOptions,
        mut ask: impl FnMut(Self) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let tls = tls_config(&options.security)?;
        let mut refused = None;
        let mut silent = None;
        for broker in options.brokers.split(',').map(str::trim) {
            match Self::open(broker, tls.as_ref()).map(&mut ask) {
                Ok(Ok(answer)) => return Ok(answer),
                Ok(Err(error)) if error.is_permanent() => return Err(error),
                Err(error) if error.is_permanent() => refused = Some(error),
                Ok(Err(error)) | Err(error) => silent = Some(error),
            }
        }
        Err(refused.or(silent).unwrap_or_else(|| {
            Error::option("brokers", &options.brokers, "a comma separated list of host:port")
        }))
    }

    /// Connected, not authenticated yet.
    pub(crate) fn open_at(options: &ConnectionOptions, broker: &str) -> Result<Self, Error> {
        Self::open(broker, tls_config(&options.security)?.as_ref())
    }

    /// Connected, not authenticated yet.
    pub(crate) fn open(broker: &str, tls: Option<&Arc<ClientConfig>>) -> Result<Self, Error> {
        let wire =
            |reason: String| Error::Wire { action: "connect", broker: broker.into(), reason };
        let (host, port) = host_and_port(broker).ok_or_else(|| wire("not host:port".into()))?;
        match Stream::connect(host, port, tls) {
            Ok(stream) => {
                Ok(Self { stream, broker: broker.into(), correlation_id: 0, ended: false })
            }
            Err(error) => match error.get_ref().and_then(|inner| inner.downcast_ref()) {
                Some(error) => Err(untrusted(broker, error)),
                None if tls.is_some() && hung_up(&error) && speaks_plaintext(broker) => {
                    let reason = "the broker ended the TLS handshake: it does not speak TLS here";
                    Err(Error::Security { brokers: broker.into(), reason: reason.into() })
                }
                None => Err(wire(words(broker, &error))),
            },
        }
    }

    /// Logs in, where a mechanism is set.
    pub(crate) fn authenticate(&mut self, options: &ConnectionOptions) -> Result<(), Error> {
        let Some(mechanism) = options.security.sasl_mechanism else { return Ok(()) };
        let request = SaslHandshakeRequest::default()
            .with_mechanism(StrBytes::from_static_str(mechanism.on_the_wire()));
        let answer = self.ask("authenticate", &request, 1)?;
        if answer.error_code == UNSUPPORTED_SASL_MECHANISM {
            let offered: Vec<&str> = answer.mechanisms.iter().map(StrBytes::as_str).collect();
            let reason = format!("it does not offer {mechanism}, but {}", offered.join(", "));
            return Err(Error::Security { brokers: self.broker.clone(), reason });
        }
        sasl::authenticate(options, mechanism, |bytes| {
            let request = SaslAuthenticateRequest::default().with_auth_bytes(bytes.into());
            let answer = self.ask("authenticate", &request, 0)?;
            if answer.error_code == 0 {
                return Ok(answer.auth_bytes.to_vec());
            }
            let why = answer.error_message.as_ref().map_or("no reason given", StrBytes::as_str);
            let reason = format!("authentication failed: {why}");
            Err(Error::Security { brokers: self.broker.clone(), reason })
        })
    }

    /// One request, one answer.
    pub(crate) fn ask<R: Request>(
        &mut self,
        action: &'static str,
        request: &R,
        version: i16,
    ) -> Result<R::Response, Error> {
        self.correlation_id += 1;
        let broker = self.broker.clone();
        let failed = |reason: String| Error::Wire { action, broker: broker.clone(), reason };
        let header = RequestHeader::default()
            .with_request_api_key(R::KEY)
            .with_request_api_version(version)
            .with_correlation_id(self.correlation_id)
            .with_client_id(Some(StrBytes::from_static_str("tidegate")));
        let mut body = BytesMut::new();
        header
            .encode(&mut body, R::header_version(version))
            .and_then(|()| request.encode(&mut body, version))
            .map_err(|error| failed(error.to_string()))?;
        let mut answer = self.exchange(&body).map_err(|error| {
            self.ended = hung_up(&error);
            let inner = error.get_ref();
            if let Some(speaks_tls) = inner.filter(|inner| inner.is::<SpeaksTls>()) {
                return Error::Security { brokers: broker.clone(), reason: speaks_tls.to_string() };
            }
            // With TLS 1.3 a refused certificate is told after the handshake.
            match inner.and_then(|inner| inner.downcast_ref()) {
                Some(error) => untrusted(&broker, error),
                None => failed(words(&broker, &error)),
            }
        })?;
        ResponseHeader::decode(&mut answer, <R::Response as HeaderVersion>::header_version(version))
            .and_then(|_| <R::Response as Decodable>::decode(&mut answer, version))
            .map_err(|error| failed(error.to_string()))
    }

    fn exchange(&mut self, body: &[u8]) -> std::io::Result<Bytes> {
        let length = u32::try_from(body.len()).unwrap_or(u32::MAX).to_be_bytes();
        self.stream.write_all(&[&length, body].concat())?;
        self.read_frame()
    }

    fn read_frame(&mut self) -> std::io::Result<Bytes> {
        let mut length = [0u8; 4];
        self.stream.read_exact(&mut length)?;
        if matches!(length, [21 | 22, 3, ..]) {
            return Err(std::io::Error::other(SpeaksTls));
        }
        let length = u32::from_be_bytes(length) as usize;
        if length > MAX_ANSWER_BYTES {
            return Err(std::io::Error::other(format!(
                "an answer of {length} bytes is not Kafka's"
            )));
        }
        let mut frame = vec![0u8; length];
        self.stream.read_exact(&mut frame)?;
        Ok(frame.into())
    }

    pub(crate) fn hung_up_on(&self, advice: &str) -> Error {
        let reason = format!("the broker ended the connection without an answer: {advice}");
        Error::Security { brokers: self.broker.clone(), reason }
    }

    pub(crate) fn refused(&self, action: &'static str, code: i16) -> Error {
        let reason = kafka_protocol::ResponseError::try_from_code(code)
            .map_or_else(|| format!("error code {code}"), |error| error.to_string());
        Error::Wire { action, broker: self.broker.clone(), reason }
    }
}

/// A failure of the connection.
fn words(broker: &str, error: &std::io::Error) -> String {
    match error.get_ref().and_then(|inner| inner.downcast_ref::<Silent>()) {
        Some(silent) => format!("the broker at {broker} {silent}"),
        None => error.to_string(),
    }
}

/// The other side closed.
fn hung_up(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof};
    matches!(error.kind(), UnexpectedEof | ConnectionReset | ConnectionAborted | BrokenPipe)
}

/// Why a handshake failed, in words that say what to do.
fn untrusted(broker: &str, error: &rustls::Error) -> Error {
    use rustls::{CertificateError, Error as Tls};
    let advice = match error {
        Tls::InvalidCertificate(CertificateError::UnknownIssuer) => {
            "the broker's certificate is not from a known authority; name its authority with tls_ca: "
        }
        Tls::InvalidCertificate(
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
        ) => "the broker's certificate is not for this host name: ",
        Tls::InvalidCertificate(
            CertificateError::Expired | CertificateError::ExpiredContext { .. },
        ) => "the broker's certificate has expired: ",
        Tls::InvalidMessage(_) => "the broker does not speak TLS here: ",
        Tls::AlertReceived(_) => {
            "the broker ended the handshake (does it want a tls_certificate, or another one?): "
        }
        _ => "",
    };
    Error::Security { brokers: broker.to_owned(), reason: format!("{advice}{error}") }
}

/// A text as the protocol's messages hold it.
pub(crate) fn text(value: &str) -> StrBytes {
    StrBytes::from_string(value.to_owned())
}

pub(crate) fn host_and_port(broker: &str) -> Option<(&str, u16)> {
    let (host, port) = broker.rsplit_once(':')?;
    Some((host, port.parse().ok()?))
}

/// Whether a broker answers there without TLS.
fn speaks_plaintext(broker: &str) -> bool {
    Connection::open(broker, None).is_ok_and(|mut connection| {
        connection.ask("look for a broker without TLS", &ApiVersionsRequest::default(), 0).is_ok()
    })
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    /// A broker that hangs: the system accepts for it, and nobody answers.
    #[test]
    fn a_broker_that_is_silent_is_named_with_the_seconds_that_were_waited() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let broker = listener.local_addr().expect("an address").to_string();
        let silent = format!("the broker at {broker} did not answer within 3 s");
        let mut plain = Connection::open(&broker, None).expect("accepted");
        let error = plain.ask("ask", &ApiVersionsRequest::default(), 0).expect_err("silent");
        assert!(error.to_string().ends_with(&silent), "{error}");
        let tls = crate::security::stream::web_tls_config().expect("TLS");
        let error = Connection::open(&broker, Some(&tls)).expect_err("silent");
        assert!(error.to_string().ends_with(&silent), "{error}");
    }
}
