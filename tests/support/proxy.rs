//! A listener whose port is known before that of the broker it leads to.

use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

pub(crate) struct Proxy {
    pub(crate) port: u16,
    target: Arc<Mutex<Option<u16>>>,
}

impl Proxy {
    /// Listens; connections are closed until there is a target. Then `pass` is called with
    /// each and the target's port, on a thread of its own.
    pub(crate) fn start(pass: impl Fn(TcpStream, u16) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("binds");
        let port = listener.local_addr().expect("address").port();
        let target = Arc::new(Mutex::new(None));
        let (to, pass) = (Arc::clone(&target), Arc::new(pass));
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let target: Option<u16> = *to.lock().expect("lock");
                let Some(port) = target else { continue };
                let pass = Arc::clone(&pass);
                std::thread::spawn(move || pass(client, port));
            }
        });
        Self { port, target }
    }

    pub(crate) fn lead_to(&self, port: u16) {
        *self.target.lock().expect("lock") = Some(port);
    }
}
