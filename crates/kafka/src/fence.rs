//! Ends the membership of a pod that is known to be dead.
//!
//! Contract: sends the coordinator what the dead member would have sent to
//! leave: `LeaveGroup` (classic), `ConsumerGroupHeartbeat` with epoch −1 (KIP-848).
//! Its partitions then move within a heartbeat instead of a session timeout.
//! Fencing a living member by mistake costs a rebalance and nothing else: what may
//! be written is decided by the positions in the database.
//!
//! Threads: a plain blocking connection a call, every step bounded in time; the
//! async function runs it on the runtime's blocking pool.
//!
//! Rejected: librdkafka, which has no call for it. Limits: plaintext listeners only.

use std::io::{Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use kafka_protocol::messages::{
    ApiKey, ApiVersionsRequest, ConsumerGroupHeartbeatRequest, FindCoordinatorRequest, GroupId,
    LeaveGroupRequest, RequestHeader, ResponseHeader,
};
use kafka_protocol::protocol::{Decodable, Encodable, HeaderVersion, Request, StrBytes};

use crate::{Error, GroupProtocol};

const STEP_TIMEOUT: Duration = Duration::from_secs(2);
/// The offsets of twenty thousand partitions are about a megabyte; more than this is
/// not a Kafka broker.
const MAX_ANSWER_BYTES: usize = 64 << 20;
/// Member epoch with which a KIP-848 member leaves.
const LEAVE_EPOCH: i32 = -1;
const UNKNOWN_MEMBER_ID: i16 = 25;

/// Whether the cluster offers KIP-848 groups. Blocking, seconds at most.
///
/// # Errors
/// [`Error::Wire`] when no broker of the list answers in time.
pub fn supports_consumer_protocol_blocking(brokers: &str) -> Result<bool, Error> {
    let mut connection = Connection::open_any(brokers)?;
    let request = ApiVersionsRequest::default();
    let answer = connection.ask("ask for the supported requests", &request, 0)?;
    if answer.error_code != 0 {
        return Err(connection.refused("ask for the supported requests", answer.error_code));
    }
    Ok(answer.api_keys.iter().any(|key| key.api_key == ApiKey::ConsumerGroupHeartbeat as i16))
}

/// Removes a member from its group, wherever the group's coordinator is.
/// A member the coordinator does not know any more counts as removed.
///
/// # Errors
/// [`Error::Wire`] when the coordinator cannot be found, reached, or refuses.
pub async fn remove_member(
    brokers: &str,
    group: &str,
    member_id: &str,
    protocol: GroupProtocol,
) -> Result<(), Error> {
    let (brokers, group, member_id) = (brokers.to_owned(), group.to_owned(), member_id.to_owned());
    tokio::task::spawn_blocking(move || {
        remove_member_blocking(&brokers, &group, &member_id, protocol)
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
    brokers: &str,
    group: &str,
    member_id: &str,
    protocol: GroupProtocol,
) -> Result<(), Error> {
    let mut connection = Connection::coordinator(brokers, group)?;
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

#[derive(Debug)]
pub(crate) struct Connection {
    stream: TcpStream,
    broker: String,
    correlation_id: i32,
}

impl Connection {
    /// The first broker of the list that accepts.
    fn open_any(brokers: &str) -> Result<Self, Error> {
        let mut last = None;
        for broker in brokers.split(',').map(str::trim) {
            match Self::open(broker) {
                Ok(connection) => return Ok(connection),
                Err(error) => last = Some(error),
            }
        }
        Err(last.unwrap_or_else(|| {
            Error::option("brokers", brokers, "a comma separated list of host:port")
        }))
    }

    pub(crate) fn open(broker: &str) -> Result<Self, Error> {
        let failed = |error: std::io::Error| Error::Wire {
            action: "connect",
            broker: broker.to_owned(),
            reason: error.to_string(),
        };
        let mut last = std::io::Error::other("the name has no address");
        for address in broker.to_socket_addrs().map_err(failed)? {
            match TcpStream::connect_timeout(&address, STEP_TIMEOUT) {
                Ok(stream) => {
                    stream.set_read_timeout(Some(STEP_TIMEOUT)).map_err(failed)?;
                    stream.set_write_timeout(Some(STEP_TIMEOUT)).map_err(failed)?;
                    stream.set_nodelay(true).map_err(failed)?;
                    return Ok(Self { stream, broker: broker.to_owned(), correlation_id: 0 });
                }
                Err(error) => last = error,
            }
        }
        Err(failed(last))
    }

    /// A connection to the group's coordinator.
    fn coordinator(brokers: &str, group: &str) -> Result<Self, Error> {
        let mut connection = Self::open_any(brokers)?;
        let request = FindCoordinatorRequest::default().with_key(text(group));
        let answer = connection.ask("find the coordinator", &request, 1)?;
        if answer.error_code != 0 {
            return Err(connection.refused("find the coordinator", answer.error_code));
        }
        Self::open(&format!("{}:{}", answer.host.as_str(), answer.port))
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
        let length = u32::try_from(body.len()).unwrap_or(u32::MAX).to_be_bytes();
        self.stream
            .write_all(&length)
            .and_then(|()| self.stream.write_all(&body))
            .map_err(|error| failed(error.to_string()))?;

        let mut answer = self.read_frame().map_err(|error| failed(error.to_string()))?;
        ResponseHeader::decode(&mut answer, <R::Response as HeaderVersion>::header_version(version))
            .and_then(|_| <R::Response as Decodable>::decode(&mut answer, version))
            .map_err(|error| failed(error.to_string()))
    }

    fn read_frame(&mut self) -> std::io::Result<Bytes> {
        let mut length = [0u8; 4];
        self.stream.read_exact(&mut length)?;
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

    fn refused(&self, action: &'static str, code: i16) -> Error {
        let reason = kafka_protocol::ResponseError::try_from_code(code)
            .map_or_else(|| format!("error code {code}"), |error| error.to_string());
        Error::Wire { action, broker: self.broker.clone(), reason }
    }
}
