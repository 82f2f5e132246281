//! A TCP proxy whose weather can be made bad.
//!
//! Contract: everything passes until told otherwise. Trouble for all connections
//! ([`Weather`]) lasts as long as its guard lives and adds up with others';
//! trouble for one connection ([`Fate`]) is for good. What a method reports was done
//! to real connections.
//!
//! Threads: a runtime of its own on a thread of its own; its methods are called
//! from any other and do not block.
//!
//! Rejected: packet filters of the kernel (need root, and hit the whole machine).
//!
//! # Layout
//! - `link`: one connection: two directions, and what may happen to them

mod link;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::Context as _;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

pub(crate) use link::{Fate, Link};

/// Trouble for all connections of a proxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Weather {
    /// New connections are reset.
    pub(crate) refuse: bool,
    /// Nothing passes, in either direction.
    pub(crate) hold: bool,
    /// Each packet waits, ms.
    pub(crate) delay_ms: u64,
}

impl Weather {
    fn and(self, other: Self) -> Self {
        Self {
            refuse: self.refuse || other.refuse,
            hold: self.hold || other.hold,
            delay_ms: self.delay_ms.max(other.delay_ms),
        }
    }
}

/// What the weather did, in packets and connections; counts only grow.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    pub(crate) held: AtomicU64,
    pub(crate) delayed: AtomicU64,
    pub(crate) refused: AtomicU64,
}

struct Shared {
    upstream: watch::Sender<Option<SocketAddr>>,
    weather: watch::Sender<Weather>,
    active: Mutex<BTreeMap<u64, Weather>>,
    links: Mutex<BTreeMap<u64, Arc<Link>>>,
    next_id: AtomicU64,
    counts: Counts,
}

/// A running proxy on a port of 127.0.0.1. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Proxy {
    port: u16,
    shared: Arc<Shared>,
}

/// Bad weather, until it is dropped.
pub(crate) struct Spell<'a> {
    id: u64,
    proxy: &'a Proxy,
}

impl Drop for Spell<'_> {
    fn drop(&mut self) {
        let mut active = lock(&self.proxy.shared.active);
        active.remove(&self.id);
        self.proxy.publish(&active);
    }
}

impl Proxy {
    /// Listens; connections are refused until [`Proxy::lead_to`] says where to.
    pub(crate) fn start(name: &str) -> anyhow::Result<Self> {
        let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).context("proxy")?;
        listener.set_nonblocking(true)?;
        let port = listener.local_addr()?.port();
        let shared = Arc::new(Shared {
            upstream: watch::Sender::new(None),
            weather: watch::Sender::default(),
            active: Mutex::default(),
            links: Mutex::default(),
            next_id: AtomicU64::new(0),
            counts: Counts::default(),
        });
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let serving = Arc::clone(&shared);
        std::thread::Builder::new().name(format!("proxy-{name}")).spawn(move || {
            runtime.block_on(async move {
                match TcpListener::from_std(listener) {
                    Ok(listener) => accept(listener, serving).await,
                    Err(error) => crate::say(&format!("proxy: {error}")),
                }
            });
        })?;
        Ok(Self { port, shared })
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Where new connections lead.
    pub(crate) fn lead_to(&self, port: u16) {
        self.shared.upstream.send_replace(Some(SocketAddr::from(([127, 0, 0, 1], port))));
    }

    pub(crate) fn counts(&self) -> &Counts {
        &self.shared.counts
    }

    /// Bad weather for as long as the answer lives.
    pub(crate) fn spell(&self, weather: Weather) -> Spell<'_> {
        let id = self.shared.next_id.fetch_add(1, Relaxed);
        let mut active = lock(&self.shared.active);
        active.insert(id, weather);
        self.publish(&active);
        Spell { id, proxy: self }
    }

    fn publish(&self, active: &BTreeMap<u64, Weather>) {
        let sum = active.values().fold(Weather::default(), |sum, more| sum.and(*more));
        self.shared.weather.send_replace(sum);
    }

    /// Decides over `share` percent of the connections that are open and untouched,
    /// at least one if there is one, spread over their age. Returns them.
    pub(crate) fn afflict(&self, share: u32, fate: Fate) -> Vec<Arc<Link>> {
        let links: Vec<Arc<Link>> = {
            let links = lock(&self.shared.links);
            links.values().filter(|link| link.fate() == Fate::Pass).cloned().collect()
        };
        let wanted = (links.len() * share as usize).div_ceil(100);
        let chosen: Vec<Arc<Link>> =
            (0..wanted).map(|index| Arc::clone(&links[index * links.len() / wanted])).collect();
        chosen.iter().for_each(|link| link.decide(fate));
        chosen
    }

    /// Ends the connections that are left from half-open ones.
    pub(crate) fn bury_half_open(&self) {
        for link in lock(&self.shared.links).values() {
            if link.fate() == Fate::Swallow {
                link.decide(Fate::Reset);
            }
        }
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    loop {
        let Ok((client, _)) = listener.accept().await else {
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
            continue;
        };
        let upstream = *shared.upstream.borrow();
        let (Some(upstream), false) = (upstream, shared.weather.borrow().refuse) else {
            shared.counts.refused.fetch_add(1, Relaxed);
            let _ = client.set_zero_linger();
            continue;
        };
        tokio::spawn(serve(client, upstream, Arc::clone(&shared)));
    }
}

async fn serve(client: TcpStream, upstream: SocketAddr, shared: Arc<Shared>) {
    let Ok(server) = TcpStream::connect(upstream).await else {
        let _ = client.set_zero_linger();
        return;
    };
    let link = Arc::new(Link::default());
    let id = shared.next_id.fetch_add(1, Relaxed);
    lock(&shared.links).insert(id, Arc::clone(&link));
    link::run(client, server, &link, shared.weather.subscribe(), &shared.counts).await;
    lock(&shared.links).remove(&id);
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
