//! A listener in front of a broker that counts who connects, and when.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::proxy::Proxy;

/// Forwards to the broker.
pub(crate) struct Counted {
    pub(crate) proxy: Proxy,
    attempts: Arc<Mutex<Vec<Instant>>>,
}

impl Counted {
    pub(crate) fn start() -> Self {
        let attempts = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&attempts);
        let proxy = Proxy::start(move |client, port| {
            seen.lock().expect("lock").push(Instant::now());
            forward(client, port);
        });
        Self { proxy, attempts }
    }

    /// Connections so far.
    pub(crate) fn count(&self) -> usize {
        self.attempts.lock().expect("lock").len()
    }

    /// From the end of the first tenth of them to the start of the last.
    pub(crate) fn spread(&self) -> Duration {
        let attempts = self.attempts.lock().expect("lock");
        let tenth = attempts.len() / 10;
        attempts[attempts.len() - 1 - tenth] - attempts[tenth]
    }
}

fn forward(client: TcpStream, port: u16) {
    let Ok(server) = TcpStream::connect(("127.0.0.1", port)) else { return };
    let (Ok(from), Ok(to)) = (client.try_clone(), server.try_clone()) else { return };
    let back = std::thread::spawn(move || copy(server, client));
    copy(from, to);
    let _ = back.join();
}

fn copy(mut from: TcpStream, mut to: TcpStream) {
    let mut bytes = [0; 16_384];
    while let Ok(count) = from.read(&mut bytes) {
        if count == 0 || to.write_all(&bytes[..count]).is_err() {
            break;
        }
    }
    let _ = from.shutdown(Shutdown::Both);
    let _ = to.shutdown(Shutdown::Both);
}
