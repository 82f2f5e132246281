//! Asks the pods whether their sink is the limit, from the `/metrics` they serve.
//!
//! Contract: pods are asked where a ScaledObject says so (`podMetricsPort`: the members of
//! its group, at their addresses as the broker sees them), or the scaler's own options do
//! (`--pod-metrics`). Bounded: so many pods of an object, so many at once, so long, so many
//! bytes. What cannot be asked counts for nothing: the law then goes by the offsets, as
//! without this.
//!
//! Rejected: any address out of a ScaledObject's metadata. Whoever may edit one could let
//! the scaler knock on any door; members have joined the group from where they are.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty};
use hyper::Request;
use hyper_util::rt::TokioIo;
use tidegate_autoscale::law::{PodSink, SinkFacts};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::clock::Clock;
use crate::metrics::Counters;
use crate::object::Object;
use crate::registry::Registry;

/// Time between two rounds; the pods' verdict is about their last seconds.
const EVERY: Duration = Duration::from_secs(5);
/// Pods of an object that are asked in a round: half of them decide.
const MOST_PODS: usize = 16;
const AT_ONCE: usize = 32;
const PATIENCE: Duration = Duration::from_secs(2);
const MOST_BYTES: usize = 1 << 20;

/// Where the pods of a group are, as the operator of the scaler says it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PodMetrics {
    /// Consumer group.
    pub group: String,
    /// `HOST:PORT`; all addresses of the name are asked, as a headless service has them.
    pub address: String,
}

impl std::str::FromStr for PodMetrics {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?}: allowed is GROUP=HOST:PORT");
        let (group, address) = text.split_once('=').ok_or_else(wrong)?;
        let (host, port) = address.rsplit_once(':').ok_or_else(wrong)?;
        let is_port = port.parse::<u16>().is_ok_and(|port| port > 0);
        if group.is_empty() || host.is_empty() || !is_port {
            return Err(wrong());
        }
        Ok(Self { group: group.to_owned(), address: address.to_owned() })
    }
}

/// Asks now and then, for as long as it runs.
#[derive(Debug, Clone)]
pub(crate) struct SinkWatch {
    pub(crate) registry: Arc<Registry>,
    pub(crate) given: Vec<PodMetrics>,
    pub(crate) counters: Counters,
    pub(crate) clock: Clock,
}

impl SinkWatch {
    pub(crate) async fn run(self) {
        let mut tick = tokio::time::interval(EVERY);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let slots = Arc::new(Semaphore::new(AT_ONCE));
        loop {
            tick.tick().await;
            let mut objects = JoinSet::new();
            for object in self.registry.all() {
                objects.spawn(self.clone().look(object, Arc::clone(&slots)));
            }
            while objects.join_next().await.is_some() {}
        }
    }

    async fn look(self, object: Arc<Object>, slots: Arc<Semaphore>) {
        let addresses = self.addresses(&object).await;
        let mut asked = JoinSet::new();
        for address in some_of(&addresses) {
            let (slots, counters) = (Arc::clone(&slots), self.counters.clone());
            asked.spawn(async move {
                let _slot = slots.acquire().await;
                let page = tokio::time::timeout(PATIENCE, get(address)).await;
                let page = page.unwrap_or_else(|_| Err("no answer".into()));
                counters.pod_asked(page.is_ok());
                page.inspect_err(|why| tracing::debug!(%address, why, "a pod was not asked"))
            });
        }
        if asked.is_empty() {
            return;
        }
        let mut pods = Vec::new();
        while let Some(page) = asked.join_next().await {
            pods.extend(page.into_iter().flatten().filter_map(|page| working_pod(&page)));
        }
        object.set_sink(self.clock.now_ms(), SinkFacts::of(pods));
    }

    async fn addresses(&self, object: &Object) -> BTreeSet<SocketAddr> {
        let settings = object.settings();
        if let Some(given) = self.given.iter().find(|given| given.group == settings.group) {
            let found = tokio::net::lookup_host(given.address.as_str()).await;
            return found.map(Iterator::collect).unwrap_or_default();
        }
        let Some(port) = settings.pod_metrics_port else { return BTreeSet::new() };
        let members = object.members();
        let ips = members.iter().filter_map(|(member, _)| member.host.parse().ok());
        ips.map(|ip| SocketAddr::new(ip, port)).collect()
    }
}

/// All, or so many at even distances.
fn some_of(addresses: &BTreeSet<SocketAddr>) -> Vec<SocketAddr> {
    let count = addresses.len().min(MOST_PODS);
    let all: Vec<SocketAddr> = addresses.iter().copied().collect();
    (0..count).filter_map(|index| all.get(index * all.len() / count)).copied().collect()
}

async fn get(address: SocketAddr) -> Result<String, String> {
    let failed = |error: &dyn std::fmt::Display| error.to_string();
    let stream = TcpStream::connect(address).await.map_err(|error| failed(&error))?;
    let handshake = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await;
    let (mut sender, connection) = handshake.map_err(|error| failed(&error))?;
    // Ends with the body, or when the body is dropped.
    tokio::spawn(connection);
    let request = Request::get("/metrics")
        .header("host", address.to_string())
        .header("connection", "close")
        .header("user-agent", concat!("tidegate-scaler/", env!("CARGO_PKG_VERSION")))
        .body(Empty::<Bytes>::new())
        .map_err(|error| failed(&error))?;
    let answer = sender.send_request(request).await.map_err(|error| failed(&error))?;
    if !answer.status().is_success() {
        return Err(answer.status().to_string());
    }
    let mut body = answer.into_body();
    let mut bytes = Vec::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| failed(&error))?;
        bytes.extend_from_slice(frame.data_ref().map_or(&[][..], |data| data));
        if bytes.len() > MOST_BYTES {
            return Err("the answer is too long".into());
        }
    }
    String::from_utf8(bytes).map_err(|error| failed(&error))
}

/// What a consumer's page says of its sink; `None` where it owns no partition, or is no
/// page of a consumer.
fn working_pod(page: &str) -> Option<PodSink> {
    let value = |name: &str| page.lines().find_map(|line| value_of(line, name));
    if value("tidegate_assigned_partitions")? <= 0.0 {
        return None;
    }
    Some(PodSink {
        limited: value("tidegate_sink_limited")? > 0.5,
        batch_limit_records: value("tidegate_batch_limit_records")?,
        writes_limit: value("tidegate_writes_limit")?,
        fixed_s: value("tidegate_sink_fixed_seconds")?,
        row_s: value("tidegate_sink_row_seconds")?,
    })
}

/// The value of a line of this name, with labels or without, a time behind it or not.
fn value_of(line: &str, name: &str) -> Option<f64> {
    let rest = line.strip_prefix(name)?;
    let rest = match rest.strip_prefix('{') {
        Some(labelled) => labelled.split_once('}')?.1,
        None => rest,
    };
    rest.strip_prefix(' ')?.split(' ').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = "# TYPE tidegate_sink_limited gauge\n\
        tidegate_assigned_partitions 4\n\
        tidegate_batch_limit_records 100.0\n\
        tidegate_writes_limit 2.0\n\
        tidegate_sink_limited{pod=\"a\"} 1.0 1700000000\n\
        tidegate_sink_limited_total 7\n\
        tidegate_sink_fixed_seconds 0.19\n\
        tidegate_sink_row_seconds 0.0001\n";

    #[test]
    fn a_page_says_what_its_pod_sees() {
        let pod = working_pod(PAGE).expect("a consumer's page");
        assert!(pod.limited);
        let facts = SinkFacts::of([pod]).expect("it works");
        assert_eq!(facts.pod_rate_per_s, Some(1000.0));
        let idle = PAGE.replace("partitions 4", "partitions 0");
        assert_eq!(working_pod(&idle), None, "one without partitions has no say");
        assert_eq!(working_pod("# EOF\n"), None);
    }

    #[test]
    fn many_pods_are_asked_in_part() {
        let of = |count: u16| {
            (0..count).map(|port| SocketAddr::from(([127, 0, 0, 1], port + 1))).collect()
        };
        assert_eq!(some_of(&of(0)), []);
        assert_eq!(some_of(&of(5)).len(), 5);
        let some = some_of(&of(160));
        assert_eq!((some.len(), some[1].port()), (MOST_PODS, 11), "at even distances");
    }

    #[test]
    fn a_given_address_names_its_group() {
        let given: PodMetrics = "orders=pods.orders:8000".parse().expect("allowed");
        assert_eq!((given.group.as_str(), given.address.as_str()), ("orders", "pods.orders:8000"));
        for wrong in ["orders", "=a:1", "orders=a", "orders=:1", "orders=a:0", "orders=a:x"] {
            let error = wrong.parse::<PodMetrics>().expect_err(wrong);
            assert!(error.ends_with("allowed is GROUP=HOST:PORT"), "{error}");
        }
    }
}
