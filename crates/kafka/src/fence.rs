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
//! Rejected: librdkafka, which has no call for it.

use kafka_protocol::messages::{
    ConsumerGroupHeartbeatRequest, FindCoordinatorRequest, GroupId, LeaveGroupRequest,
};

use crate::wire::{Connection, text};
use crate::{ConnectionOptions, Error, GroupProtocol};

/// Member epoch with which a KIP-848 member leaves.
const LEAVE_EPOCH: i32 = -1;
const UNKNOWN_MEMBER_ID: i16 = 25;

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
    let mut connection = coordinator(options, group)?;
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

/// A connection to the group's coordinator.
fn coordinator(options: &ConnectionOptions, group: &str) -> Result<Connection, Error> {
    let (connection, answer) = Connection::try_each(options, |mut connection| {
        connection.authenticate(options)?;
        let request = FindCoordinatorRequest::default().with_key(text(group));
        let answer = connection.ask("find the coordinator", &request, 1)?;
        match answer.error_code {
            0 => Ok((connection, answer)),
            code => Err(connection.refused("find the coordinator", code)),
        }
    })?;
    let broker = format!("{}:{}", answer.host.as_str(), answer.port);
    if broker == connection.broker() {
        return Ok(connection);
    }
    let mut connection = Connection::open_at(options, &broker)?;
    connection.authenticate(options)?;
    Ok(connection)
}
