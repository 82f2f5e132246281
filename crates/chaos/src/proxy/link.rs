//! One proxied connection.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::sleep;

use super::{Counts, Weather};

const PACKET_BYTES: usize = 16 * 1024;

/// What is to become of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Fate {
    #[default]
    Pass,
    /// What the server says does not arrive.
    HoldAnswers,
    /// Nothing arrives, and neither side is told.
    Swallow,
    /// RST to both sides.
    Reset,
    /// FIN to both sides.
    Close,
}

/// A connection, as seen by those who trouble it.
#[derive(Debug, Default)]
pub(crate) struct Link {
    fate: watch::Sender<Fate>,
    /// Bytes that were read and not passed on.
    kept_bytes: AtomicU64,
    /// One side has closed.
    left: AtomicBool,
    /// Both sockets are gone.
    ended: AtomicBool,
}

impl Link {
    pub(crate) fn fate(&self) -> Fate {
        *self.fate.borrow()
    }

    pub(crate) fn decide(&self, fate: Fate) {
        self.fate.send_replace(fate);
    }

    /// Whether something that was sent did not arrive.
    pub(crate) fn has_kept(&self) -> bool {
        self.kept_bytes.load(Relaxed) > 0
    }

    /// Whether a side has given it up.
    pub(crate) fn is_left(&self) -> bool {
        self.left.load(Relaxed) || self.has_ended()
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.ended.load(Relaxed)
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Direction {
    Requests,
    Answers,
}

struct Pump<'a> {
    direction: Direction,
    link: &'a Link,
    fate: watch::Receiver<Fate>,
    weather: watch::Receiver<Weather>,
    counts: &'a Counts,
}

/// Carries both directions until both have ended, or the fate ends them.
pub(super) async fn run(
    mut client: TcpStream,
    mut server: TcpStream,
    link: &Link,
    weather: watch::Receiver<Weather>,
    counts: &Counts,
) {
    let _ = client.set_nodelay(true);
    let _ = server.set_nodelay(true);
    let pump = |direction| Pump {
        direction,
        link,
        fate: link.fate.subscribe(),
        weather: weather.clone(),
        counts,
    };
    {
        let (mut from_client, mut to_client) = client.split();
        let (mut from_server, mut to_server) = server.split();
        tokio::join!(
            pump(Direction::Requests).run(&mut from_client, &mut to_server),
            pump(Direction::Answers).run(&mut from_server, &mut to_client),
        );
    }
    if link.fate() == Fate::Reset {
        let _ = client.set_zero_linger();
        let _ = server.set_zero_linger();
    }
    drop((client, server));
    link.ended.store(true, Relaxed);
}

impl Pump<'_> {
    async fn run(
        mut self,
        from: &mut (impl AsyncRead + Unpin),
        to: &mut (impl AsyncWrite + Unpin),
    ) {
        let mut packet = vec![0; PACKET_BYTES];
        loop {
            let read = tokio::select! {
                biased;
                () = cut(&mut self.fate) => return,
                read = from.read(&mut packet) => read,
            };
            match read {
                Ok(count) if count > 0 => {
                    if !self.pass(&packet[..count], to).await {
                        return self.end_of(to).await;
                    }
                }
                Ok(_) => return self.end_of(to).await,
                Err(_) => {
                    // One side was reset: so is the other, unless it must not know.
                    if self.link.fate() != Fate::Swallow {
                        self.link.decide(Fate::Reset);
                    }
                    return self.end_of(to).await;
                }
            }
        }
    }

    /// Carries a packet over when it may; false when that is over.
    async fn pass(&mut self, packet: &[u8], to: &mut (impl AsyncWrite + Unpin)) -> bool {
        let mut noted = false;
        let mut keep = |bytes: &AtomicU64| {
            if !std::mem::replace(&mut noted, true) {
                bytes.fetch_add(packet.len() as u64, Relaxed);
            }
        };
        loop {
            let fate = *self.fate.borrow_and_update();
            let weather = *self.weather.borrow_and_update();
            match fate {
                Fate::Reset | Fate::Close => return false,
                Fate::Swallow => {
                    keep(&self.link.kept_bytes);
                    return true;
                }
                Fate::HoldAnswers if self.direction == Direction::Answers => {
                    keep(&self.link.kept_bytes);
                }
                _ if weather.hold => {
                    self.counts.held.fetch_add(1, Relaxed);
                }
                _ => {
                    if weather.delay_ms > 0 {
                        self.counts.delayed.fetch_add(1, Relaxed);
                        sleep(Duration::from_millis(weather.delay_ms)).await;
                    }
                    return tokio::select! {
                        biased;
                        () = cut(&mut self.fate) => false,
                        written = to.write_all(packet) => written.is_ok(),
                    };
                }
            }
            tokio::select! {
                changed = self.fate.changed() => if changed.is_err() { return false },
                changed = self.weather.changed() => if changed.is_err() { return false },
            }
        }
    }

    /// The direction has ended. A swallowed connection tells nobody.
    async fn end_of(&mut self, to: &mut (impl AsyncWrite + Unpin)) {
        self.link.left.store(true, Relaxed);
        if matches!(self.link.fate(), Fate::Swallow | Fate::HoldAnswers) {
            cut(&mut self.fate).await;
        }
        if self.link.fate() != Fate::Reset {
            let _ = to.shutdown().await;
        }
    }
}

/// Resolves when the connection is to be cut.
async fn cut(fate: &mut watch::Receiver<Fate>) {
    if fate.wait_for(|fate| matches!(fate, Fate::Reset | Fate::Close)).await.is_err() {
        std::future::pending::<()>().await;
    }
}
