//! Which cluster it is, what it offers, and why a connection to it does not work.
//!
//! Contract: the client library says that a connection broke, seldom why. A connection of
//! our own goes the same way and tells. Nothing that time may heal is taken for a refusal
//! without a proof.
//!
//! Threads: blocking, seconds at most.

use std::time::Duration;

use kafka_protocol::messages::{ApiKey, ApiVersionsRequest, MetadataRequest, SaslHandshakeRequest};
use kafka_protocol::protocol::StrBytes;

use crate::security::stream::{Stream, web_tls_config};
use crate::wire::{Connection, UNSUPPORTED_SASL_MECHANISM, host_and_port};
use crate::{ConnectionOptions, Error, GroupProtocol};

/// How often a hang-up must be seen again before it is taken for a refusal.
const HANG_UPS: usize = 2;
const HANG_UP_PAUSE: Duration = Duration::from_secs(1);

/// What a cluster says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cluster {
    /// `None` where the broker tells none.
    pub id: Option<String>,
    /// The protocol for new groups: KIP-848 where it is offered.
    pub protocol: GroupProtocol,
}

/// Connects and authenticates once: which cluster it is, or why that does not work. One
/// connection to the first broker of the list that answers. Blocking, seconds a broker at most.
///
/// # Errors
/// [`Error::Security`] with the reason, [`Error::Wire`] when no broker answers,
/// [`Error::Option`] for options that lead nowhere.
pub fn cluster(options: &ConnectionOptions) -> Result<Cluster, Error> {
    Connection::try_each(options, |connection| cluster_of(options, connection))
}

fn cluster_of(options: &ConnectionOptions, mut connection: Connection) -> Result<Cluster, Error> {
    let asked = connection.ask("ask for the supported requests", &ApiVersionsRequest::default(), 0);
    // Every broker answers this; only one that wants something else hangs up. But one
    // that stops, and a proxy without a broker behind it, hang up as well: what time may
    // heal is not taken for a refusal without a proof.
    if connection.has_ended() {
        let has_tls = options.security.protocol().has_tls();
        if !has_tls && speaks_tls(connection.broker()) {
            let advice = "it speaks TLS; set the security protocol to SSL or SASL_SSL";
            return Err(connection.hung_up_on(advice));
        }
        if has_tls && hangs_up_again(options, connection.broker()) {
            return Err(connection.hung_up_on("does it want tls_certificate?"));
        }
    }
    let offered = asked?;
    if offered.error_code != 0 {
        return Err(connection.refused("ask for the supported requests", offered.error_code));
    }
    connection.authenticate(options)?;
    let of_no_topic = MetadataRequest::default().with_topics(Some(Vec::new()));
    let asked = connection.ask("ask for the brokers", &of_no_topic, 4);
    let has_no_login = options.security.sasl_mechanism.is_none();
    if connection.has_ended() && has_no_login && offers_sasl(options, connection.broker()) {
        return Err(connection.hung_up_on("it wants SASL; set a mechanism"));
    }
    let id = asked?.cluster_id.map(|id| id.to_string());
    let heartbeat = ApiKey::ConsumerGroupHeartbeat as i16;
    let protocol = if offered.api_keys.iter().any(|key| key.api_key == heartbeat) {
        GroupProtocol::Consumer
    } else {
        GroupProtocol::Classic
    };
    Ok(Cluster { id, protocol })
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

/// Whether the handshake succeeds and the broker hangs up behind it, time and again.
fn hangs_up_again(options: &ConnectionOptions, broker: &str) -> bool {
    (0..HANG_UPS).all(|_| {
        std::thread::sleep(HANG_UP_PAUSE);
        Connection::open_at(options, broker).is_ok_and(|mut connection| {
            let request = ApiVersionsRequest::default();
            connection.ask("ask for the supported requests", &request, 0).is_err()
                && connection.has_ended()
        })
    })
}

/// Whether the listener is one for SASL: another does not take the request.
fn offers_sasl(options: &ConnectionOptions, broker: &str) -> bool {
    let request =
        SaslHandshakeRequest::default().with_mechanism(StrBytes::from_static_str("PLAIN"));
    Connection::open_at(options, broker)
        .and_then(|mut connection| connection.ask("ask for SASL", &request, 1))
        .is_ok_and(|answer| matches!(answer.error_code, 0 | UNSUPPORTED_SASL_MECHANISM))
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::{TcpListener, TcpStream};

    use super::*;

    /// A listener that accepts and hangs up: a broker that stops, or a proxy without one.
    fn hangs_up() -> String {
        let listener = TcpListener::bind("127.0.0.1:0").expect("listener");
        let address = listener.local_addr().expect("address").to_string();
        std::thread::spawn(move || listener.incoming().flatten().for_each(drop));
        address
    }

    /// A broker that answers two questions: what it speaks, and which cluster it is.
    fn answers() -> String {
        let listener = TcpListener::bind("127.0.0.1:0").expect("listener");
        let address = listener.local_addr().expect("address").to_string();
        std::thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                while let Some(correlation_id) = read_request(&mut stream) {
                    // Neither requests nor brokers: zeros say all of it.
                    let body = [&correlation_id[..], &[0; 32]].concat();
                    let length = (body.len() as u32).to_be_bytes();
                    let _ = stream.write_all(&[&length[..], &body].concat());
                }
            }
        });
        address
    }

    fn read_request(stream: &mut TcpStream) -> Option<[u8; 4]> {
        let mut length = [0; 4];
        stream.read_exact(&mut length).ok()?;
        let mut request = vec![0; u32::from_be_bytes(length) as usize];
        stream.read_exact(&mut request).ok()?;
        request[4..8].try_into().ok()
    }

    /// It accepts and says nothing, as one that is stopped or whose disk hangs; or is no
    /// broker at all. The others of the list are there.
    #[test]
    fn a_broker_that_does_not_answer_is_passed_over() {
        let silent = TcpListener::bind("127.0.0.1:0").expect("listener");
        let silent = silent.local_addr().expect("address").to_string();
        for first in [silent, hangs_up()] {
            let options = ConnectionOptions::new(format!("{first},{}", answers()));
            let found = cluster(&options).unwrap_or_else(|error| panic!("{first}: {error}"));
            assert_eq!(found.protocol, GroupProtocol::Classic, "it offers nothing");
        }
    }

    #[test]
    fn a_broker_that_only_hangs_up_is_no_refusal() {
        let options = ConnectionOptions::new(hangs_up());
        let error = cluster(&options).expect_err("nobody answers");
        assert!(matches!(error, Error::Wire { .. }), "{error}");
        assert!(!error.is_permanent(), "{error}");
    }
}
