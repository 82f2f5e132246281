//! One connection a broker, opened when it is needed.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use kafka_protocol::messages::{ApiKey, ApiVersionsRequest};
use kafka_protocol::protocol::Request;

use super::ClusterError;
use crate::ConnectionOptions;
use crate::security::stream::tls_config;
use crate::wire::Connection;

/// A broker that failed is not tried again before this.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// All connections to one cluster.
#[derive(Debug)]
pub(crate) struct Links {
    options: ConnectionOptions,
    nodes: HashMap<i32, Node>,
    bootstrap: Option<Link>,
    requests: u64,
}

#[derive(Debug)]
struct Node {
    address: String,
    link: Option<Link>,
    failed: Option<(Instant, ClusterError)>,
}

/// One connection, logged in.
#[derive(Debug)]
pub(crate) struct Link {
    connection: Connection,
    address: String,
    /// Largest version by request.
    versions: HashMap<i16, i16>,
}

impl Links {
    pub(crate) fn new(options: &ConnectionOptions) -> Self {
        Self { options: options.clone(), nodes: HashMap::new(), bootstrap: None, requests: 0 }
    }

    /// With a connection that is open already.
    pub(crate) fn with(options: &ConnectionOptions, open: Option<Link>) -> Self {
        Self { bootstrap: open, ..Self::new(options) }
    }

    /// The connection that questions to anybody go over.
    pub(crate) fn take_open(&mut self) -> Option<Link> {
        self.bootstrap.take()
    }

    pub(super) fn open(&self) -> usize {
        let nodes = self.nodes.values().filter(|node| node.link.is_some()).count();
        nodes + usize::from(self.bootstrap.is_some())
    }

    /// Requests made so far, those of connecting left out.
    pub(super) fn requests(&self) -> u64 {
        self.requests
    }

    pub(crate) fn learn(&mut self, brokers: impl IntoIterator<Item = (i32, String)>) {
        for (id, address) in brokers {
            if self.nodes.get(&id).is_none_or(|node| node.address != address) {
                self.nodes.insert(id, Node { address, link: None, failed: None });
            }
        }
    }

    /// Asks a broker that is connected, or else the first of the list that answers.
    pub(crate) fn ask_any<R: Request>(
        &mut self,
        action: &'static str,
        request: &R,
        version: i16,
    ) -> Result<R::Response, ClusterError> {
        let connected: Vec<i32> =
            self.nodes.iter().filter(|(_, node)| node.link.is_some()).map(|(id, _)| *id).collect();
        for node in connected {
            // One that has gone away meanwhile is closed by this; the next one is asked.
            if let Ok(answer) = self.ask(node, action, request, version) {
                self.bootstrap = None;
                return Ok(answer);
            }
        }
        self.requests += 1;
        if let Some(link) = &mut self.bootstrap
            && let Ok(answer) = link.ask(action, request, version)
        {
            return Ok(answer);
        }
        let mut link = Link::first_of(&self.options)?;
        let answer = link.ask(action, request, version)?;
        self.bootstrap = Some(link);
        Ok(answer)
    }

    pub(crate) fn ask<R: Request>(
        &mut self,
        node: i32,
        action: &'static str,
        request: &R,
        version: i16,
    ) -> Result<R::Response, ClusterError> {
        let Some(node) = self.nodes.get_mut(&node) else {
            return Err(ClusterError::Unreachable {
                broker: format!("broker {node}"),
                reason: "its address is not known".into(),
            });
        };
        if let Some((at, error)) = &node.failed
            && at.elapsed() < RETRY_AFTER
        {
            return Err(error.clone());
        }
        self.requests += 1;
        // A kept connection may have been closed by the broker: once more with a new one.
        if let Some(link) = &mut node.link {
            match link.ask(action, request, version) {
                // Credentials of a session may have ended: those of a new one count.
                Err(ClusterError::Unreachable { .. } | ClusterError::Untrusted { .. }) => {
                    node.link = None;
                }
                answer => return answer,
            }
        }
        let asked = Link::open(&self.options, &node.address).and_then(|mut link| {
            let answer = link.ask(action, request, version)?;
            Ok((link, answer))
        });
        match asked {
            Ok((link, answer)) => {
                (node.link, node.failed) = (Some(link), None);
                Ok(answer)
            }
            Err(error) => {
                node.failed = Some((Instant::now(), error.clone()));
                Err(error)
            }
        }
    }

    /// Whether a node's broker knows a request.
    pub(super) fn knows(&self, node: i32, key: ApiKey) -> bool {
        self.nodes
            .get(&node)
            .and_then(|node| node.link.as_ref())
            .is_some_and(|link| link.versions.contains_key(&(key as i16)))
    }
}

impl Link {
    fn first_of(options: &ConnectionOptions) -> Result<Self, ClusterError> {
        let mut reason = String::new();
        let mut refused = None;
        for address in options.brokers.split(',').map(str::trim) {
            match Self::open(options, address) {
                Ok(link) => return Ok(link),
                Err(ClusterError::Unreachable { reason: last, .. }) => reason = last,
                // Another one may know of credentials or certificates that this one does not.
                Err(error) => refused = Some(error),
            }
        }
        Err(refused.unwrap_or_else(|| ClusterError::Unreachable {
            broker: options.brokers.clone(),
            reason,
        }))
    }

    pub(crate) fn open(options: &ConnectionOptions, address: &str) -> Result<Self, ClusterError> {
        let failed = |error: crate::Error| unreachable(address, &error);
        let tls = tls_config(&options.security).map_err(failed)?;
        let mut connection = Connection::open(address, tls.as_ref()).map_err(failed)?;
        let answer = connection
            .ask("ask for the supported requests", &ApiVersionsRequest::default(), 0)
            .map_err(failed)?;
        connection.authenticate(options).map_err(failed)?;
        let versions = answer.api_keys.iter().map(|key| (key.api_key, key.max_version)).collect();
        Ok(Self { connection, address: address.to_owned(), versions })
    }

    /// host:port of the broker.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// Answers may come this much later than those that are made at once.
    pub(crate) fn patience(&mut self, wait: Duration) -> Result<(), ClusterError> {
        self.connection.patience(wait).map_err(|error| unreachable(&self.address, &error))
    }

    /// Asks in the newest version that the broker knows, up to this one.
    pub(crate) fn ask_up_to<R: Request>(
        &mut self,
        action: &'static str,
        request: &R,
        version: i16,
    ) -> Result<R::Response, ClusterError> {
        let known = self.versions.get(&R::KEY).copied().unwrap_or_default();
        self.ask(action, request, version.min(known))
    }

    fn ask<R: Request>(
        &mut self,
        action: &'static str,
        request: &R,
        version: i16,
    ) -> Result<R::Response, ClusterError> {
        if self.versions.get(&R::KEY).is_none_or(|most| *most < version) {
            return Err(ClusterError::TooOld { broker: self.address.clone(), what: action });
        }
        self.connection
            .ask(action, request, version)
            .map_err(|error| unreachable(&self.address, &error))
    }
}

fn unreachable(address: &str, error: &crate::Error) -> ClusterError {
    let reason = match error {
        crate::Error::Security { reason, .. } => {
            return ClusterError::Untrusted { broker: address.to_owned(), reason: reason.clone() };
        }
        crate::Error::Wire { action, reason, .. } => format!("{action}: {reason}"),
        other => other.to_string(),
    };
    ClusterError::Unreachable { broker: address.to_owned(), reason }
}
