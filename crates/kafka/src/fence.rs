//! Ends the membership of a pod that is known to be dead.
//!
//! Contract: sends the coordinator what the dead member would have sent to
//! leave: `LeaveGroup` (classic), `ConsumerGroupHeartbeat` with epoch −1 (KIP-848).
//! Its partitions then move within a heartbeat instead of a session timeout.
//! Fencing a living member by mistake costs a rebalance and nothing else: what may
//! be written is decided by the positions in the database.
//!
//! Threads: a blocking connection of its own a call, secured as every other
//! connection, every step bounded in time; the async function runs it on the
//! runtime's blocking pool.
//!
//! Rejected: librdkafka, which has no call for it. Limits: a TLS key with a pass
//! phrase cannot be read here; the session timeout does the work then.

use std::io::{Read, Write};
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use kafka_protocol::messages::{
    ApiKey, ApiVersionsRequest, ConsumerGroupHeartbeatRequest, FindCoordinatorRequest, GroupId,
    LeaveGroupRequest, MetadataRequest, RequestHeader, ResponseHeader, SaslAuthenticateRequest,
    SaslHandshakeRequest,
};
use kafka_protocol::protocol::{Decodable, Encodable, HeaderVersion, Request, StrBytes};
use rustls::ClientConfig;

use crate::security::sasl;
use crate::security::stream::{Stream, tls_config, web_tls_config};
use crate::{ConnectionOptions, Error, GroupProtocol};

/// The offsets of twenty thousand partitions are about a megabyte; more than this is
/// not a Kafka broker.
const MAX_ANSWER_BYTES: usize = 64 << 20;
/// Member epoch with which a KIP-848 member leaves.
const LEAVE_EPOCH: i32 = -1;
const UNKNOWN_MEMBER_ID: i16 = 25;
const UNSUPPORTED_SASL_MECHANISM: i16 = 33;
/// How often a hang-up must be seen again before it is taken for a refusal.
const HANG_UPS: usize = 2;
const HANG_UP_PAUSE: Duration = Duration::from_secs(1);

/// Whether the cluster offers KIP-848 groups. Blocking, seconds at most. Asked
/// before authentication, which brokers allow: it costs them no login.
///
/// # Errors
/// [`Error::Wire`] when no broker of the list answers in time, [`Error::Security`]
/// when none can be trusted.
pub fn supports_consumer_protocol_blocking(options: &ConnectionOptions) -> Result<bool, Error> {
    let mut connection = Connection::open_any(options)?;
    let request = ApiVersionsRequest::default();
    let answer = connection.ask("ask for the supported requests", &request, 0)?;
    if answer.error_code != 0 {
        return Err(connection.refused("ask for the supported requests", answer.error_code));
    }
    Ok(answer.api_keys.iter().any(|key| key.api_key == ApiKey::ConsumerGroupHeartbeat as i16))
}

/// Connects and authenticates once, to learn why that does not work. Blocking.
///
/// # Errors
/// [`Error::Security`] with the reason, [`Error::Wire`] when no broker answers.
pub fn probe(options: &ConnectionOptions) -> Result<(), Error> {
    let mut connection = Connection::open_any(options)?;
    let asked = connection.ask("ask for the supported requests", &ApiVersionsRequest::default(), 0);
    // Every broker answers this; only one that wants something else hangs up. But one
    // that stops, and a proxy without a broker behind it, hang up as well: what time may
    // heal is not taken for a refusal without a proof.
    if connection.ended {
        let has_tls = options.security.protocol().has_tls();
        if !has_tls && speaks_tls(&connection.broker) {
            let advice = "it speaks TLS; set the security protocol to SSL or SASL_SSL";
            return Err(connection.hung_up_on(advice));
        }
        if has_tls && hangs_up_again(options) {
            return Err(connection.hung_up_on("does it want tls_certificate?"));
        }
    }
    asked?;
    connection.authenticate(options)?;
    let of_no_topic = MetadataRequest::default().with_topics(Some(Vec::new()));
    let asked = connection.ask("ask for the brokers", &of_no_topic, 4);
    if connection.ended && options.security.sasl_mechanism.is_none() && offers_sasl(options) {
        return Err(connection.hung_up_on("it wants SASL; set a mechanism"));
    }
    asked.map(drop)
}

/// Whether a TLS handshake gets an answer there; whom it trusts does not matter.
fn speaks_tls(broker: &str) -> bool {
    let Ok(config) = web_tls_config() else { return false };
    let Some((host, port)) = host_and_port(broker) else { return false };
    match Stream::connect(host, port, Some(&config)) {
        Ok(_) => true,
        Err(error) => error
            .get_ref()
            .and_then(|inner| inner.downcast_ref::<rustls::Error>())
            .is_some_and(|error| !matches!(error, rustls::Error::InvalidMessage(_))),
    }
}

/// Whether a broker answers there without TLS.
fn speaks_plaintext(broker: &str) -> bool {
    Connection::open(broker, None).is_ok_and(|mut connection| {
        connection.ask("look for a broker without TLS", &ApiVersionsRequest::default(), 0).is_ok()
    })
}

/// Whether the handshake succeeds and the broker hangs up behind it, time and again.
fn hangs_up_again(options: &ConnectionOptions) -> bool {
    (0..HANG_UPS).all(|_| {
        std::thread::sleep(HANG_UP_PAUSE);
        Connection::open_any(options).is_ok_and(|mut connection| {
            let request = ApiVersionsRequest::default();
            connection.ask("ask for the supported requests", &request, 0).is_err()
                && connection.ended
        })
    })
}

/// Whether the listener is one for SASL: another does not take the request.
fn offers_sasl(options: &ConnectionOptions) -> bool {
    let request =
        SaslHandshakeRequest::default().with_mechanism(StrBytes::from_static_str("PLAIN"));
    Connection::open_any(options)
        .and_then(|mut connection| connection.ask("ask for SASL", &request, 1))
        .is_ok_and(|answer| matches!(answer.error_code, 0 | UNSUPPORTED_SASL_MECHANISM))
}

fn host_and_port(broker: &str) -> Option<(&str, u16)> {
    let (host, port) = broker.rsplit_once(':')?;
    Some((host, port.parse().ok()?))
}

/// Removes a member from its group, wherever the group's coordinator is.
/// A member the coordinator does not know any more counts as removed.
///
/// # Errors
/// [`Error::Wire`] when the coordinator cannot be found, reached, or refuses;
/// [`Error::Security`], [`Error::Option`].
pub async fn remove_member(
    options: &ConnectionOptions,
    group: &str,
    member_id: &str,
    protocol: GroupProtocol,
) -> Result<(), Error> {
    let (options, group, member_id) = (options.clone(), group.to_owned(), member_id.to_owned());
    tokio::task::spawn_blocking(move || {
        remove_member_blocking(&options, &group, &member_id, protocol)
    })
    .await
    .map_err(|error| Error::Client {
        action: "fence a member",
        reason: error.to_string(),
        code: None,
    })?
}

/// [`remove_member`] for callers without a runtime.
///
/// # Errors
/// As [`remove_member`].
pub fn remove_member_blocking(
    options: &ConnectionOptions,
    group: &str,
    member_id: &str,
    protocol: GroupProtocol,
) -> Result<(), Error> {
    let mut connection = Connection::coordinator(options, group)?;
    let group_id = GroupId(text(group));
    let code = match protocol {
        GroupProtocol::Consumer => {
            let request = ConsumerGroupHeartbeatRequest::default()
                .with_group_id(group_id)
                .with_member_id(text(member_id))
                .with_member_epoch(LEAVE_EPOCH);
            connection.ask("fence a member", &request, 0)?.error_code
        }
        GroupProtocol::Classic | GroupProtocol::Auto => {
            let request = LeaveGroupRequest::default()
                .with_group_id(group_id)
                .with_member_id(text(member_id));
            connection.ask("fence a member", &request, 1)?.error_code
        }
    };
    match code {
        0 | UNKNOWN_MEMBER_ID => Ok(()),
        code => Err(connection.refused("fence a member", code)),
    }
}

fn text(value: &str) -> StrBytes {
    StrBytes::from_string(value.to_owned())
}

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
    /// The first broker of the list that accepts; not authenticated yet.
    fn open_any(options: &ConnectionOptions) -> Result<Self, Error> {
        let tls = tls_config(&options.security)?;
        let mut last = None;
        for broker in options.brokers.split(',').map(str::trim) {
            match Self::open(broker, tls.as_ref()) {
                Ok(connection) => return Ok(connection),
                Err(error) => last = Some(error),
            }
        }
        Err(last.unwrap_or_else(|| {
            Error::option("brokers", &options.brokers, "a comma separated list of host:port")
        }))
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
                None => Err(wire(error.to_string())),
            },
        }
    }

    /// A connection to the group's coordinator.
    fn coordinator(options: &ConnectionOptions, group: &str) -> Result<Self, Error> {
        let mut connection = Self::open_any(options)?;
        connection.authenticate(options)?;
        let request = FindCoordinatorRequest::default().with_key(text(group));
        let answer = connection.ask("find the coordinator", &request, 1)?;
        if answer.error_code != 0 {
            return Err(connection.refused("find the coordinator", answer.error_code));
        }
        let broker = format!("{}:{}", answer.host.as_str(), answer.port);
        if broker == connection.broker {
            return Ok(connection);
        }
        let mut connection = Self::open(&broker, tls_config(&options.security)?.as_ref())?;
        connection.authenticate(options)?;
        Ok(connection)
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
            .with_client_id(Some(StrBytes::from_static_str("tidegate-fence")));
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
                None => failed(error.to_string()),
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

    fn hung_up_on(&self, advice: &str) -> Error {
        let reason = format!("the broker ended the connection without an answer: {advice}");
        Error::Security { brokers: self.broker.clone(), reason }
    }

    fn refused(&self, action: &'static str, code: i16) -> Error {
        let reason = kafka_protocol::ResponseError::try_from_code(code)
            .map_or_else(|| format!("error code {code}"), |error| error.to_string());
        Error::Wire { action, broker: self.broker.clone(), reason }
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
        Tls::AlertReceived(_) => "the broker ended the handshake (does it want tls_certificate?): ",
        _ => "",
    };
    Error::Security { brokers: broker.to_owned(), reason: format!("{advice}{error}") }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    /// A listener that accepts and hangs up: a broker that stops, or a proxy without one.
    fn hangs_up() -> String {
        let listener = TcpListener::bind("127.0.0.1:0").expect("listener");
        let address = listener.local_addr().expect("address").to_string();
        std::thread::spawn(move || listener.incoming().flatten().for_each(drop));
        address
    }

    #[test]
    fn a_broker_that_only_hangs_up_is_no_refusal() {
        let options = ConnectionOptions::new(hangs_up());
        let error = probe(&options).expect_err("nobody answers");
        assert!(matches!(error, Error::Wire { .. }), "{error}");
        assert!(!error.is_permanent(), "{error}");
    }
}
