//! A listener in front of a broker that counts who connects, and when.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// Forwards to the broker.
pub(crate) struct Counted {
    pub(crate) port: u16,
    attempts: Arc<Mutex<Vec<Instant>>>,
    target: Arc<Mutex<Option<u16>>>,
}

impl Counted {
    /// Listens; connections are closed until there is a target.
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("binds");
        let port = listener.local_addr().expect("address").port();
        let attempts = Arc::new(Mutex::new(Vec::new()));
        let target = Arc::new(Mutex::new(None));
        let (seen, to) = (Arc::clone(&attempts), Arc::clone(&target));
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let target: Option<u16> = *to.lock().expect("lock");
                let Some(port) = target else { continue };
                seen.lock().expect("lock").push(Instant::now());
                std::thread::spawn(move || forward(client, port));
            }
        });
        Self { port, attempts, target }
    }

    pub(crate) fn lead_to(&self, port: u16) {
        *self.target.lock().expect("lock") = Some(port);
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
