//! A listener in front of a broker that swallows a join of the group.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::{Arc, Mutex};

use crate::proxy::Proxy;

/// The number of the request in Kafka's protocol.
const JOIN_GROUP: i16 = 11;

#[derive(Default)]
struct State {
    armed: bool,
    swallowed: bool,
}

/// Forwards to the broker, request by request.
pub(crate) struct Swallowing {
    pub(crate) proxy: Proxy,
    state: Arc<Mutex<State>>,
}

impl Swallowing {
    pub(crate) fn start() -> Self {
        let state = Arc::new(Mutex::new(State::default()));
        let shared = Arc::clone(&state);
        // A connection ends with an error when one side closes it.
        let proxy = Proxy::start(move |client, port| drop(forward(client, port, &shared)));
        Self { proxy, state }
    }

    /// From now on, the next join of a member that has joined before, and whatever follows
    /// it on its connection, is read and goes nowhere; the connection stays open.
    pub(crate) fn arm(&self) {
        self.state.lock().expect("lock").armed = true;
    }

    pub(crate) fn has_swallowed(&self) -> bool {
        self.state.lock().expect("lock").swallowed
    }
}

fn forward(client: TcpStream, port: u16, state: &Mutex<State>) -> std::io::Result<()> {
    let server = TcpStream::connect(("127.0.0.1", port))?;
    let (answers, to) = (server.try_clone()?, client.try_clone()?);
    std::thread::spawn(move || pass_answers(answers, to));
    pass_requests(client, server, state)
}

fn pass_requests(
    mut from: TcpStream,
    mut to: TcpStream,
    state: &Mutex<State>,
) -> std::io::Result<()> {
    let (mut joined_before, mut silent) = (false, false);
    loop {
        let mut request = vec![0; 4];
        from.read_exact(&mut request)?;
        let length = u32::from_be_bytes([request[0], request[1], request[2], request[3]]);
        request.resize(4 + length as usize, 0);
        from.read_exact(&mut request[4..])?;
        if i16::from_be_bytes([request[4], request[5]]) == JOIN_GROUP {
            let mut state = state.lock().expect("lock");
            if state.armed && joined_before {
                (state.armed, state.swallowed, silent) = (false, true, true);
            }
            joined_before |= !state.armed;
        }
        if !silent {
            to.write_all(&request)?;
        }
    }
}

fn pass_answers(mut from: TcpStream, mut to: TcpStream) -> std::io::Result<u64> {
    std::io::copy(&mut from, &mut to)
}
