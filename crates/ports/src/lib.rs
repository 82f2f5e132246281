//! Free ports of 127.0.0.1 for servers that are started later, by others.
//!
//! Contract: nobody listens on them now, and the system gives none of them to an outgoing
//! connection. So between the choice and the server's start, and while a server is down,
//! no connection takes its port away; and a client that asks there too early is refused,
//! where it could be connected to itself, if by chance its own port were the one it asks.
//! Whoever else chooses ports in the same way could take one in between.
//!
//! Rejected: port 0, which is one of those for outgoing connections; a lock file a port
//! (what it is worth depends on who else looks at it).
#![deny(missing_docs)]

use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::ops::Range;

/// Below are the ports that services are known by.
const FIRST: u16 = 10_000;
/// Where Linux begins with ports for outgoing connections, unless told otherwise.
const OUTGOING: u16 = 32_768;
const ATTEMPTS: usize = 100;

/// Different ports, all free.
///
/// # Errors
/// No socket can be opened, or a hundred ports in a row are taken.
pub fn free<const N: usize>() -> io::Result<[u16; N]> {
    let range = FIRST..outgoing();
    // All are held until the last one is found, so that none is found twice.
    let mut held = Vec::with_capacity(N);
    while held.len() < N {
        held.push(listen_in(&range)?);
    }
    let mut ports = [0; N];
    for (port, listener) in ports.iter_mut().zip(&held) {
        *port = listener.local_addr()?.port();
    }
    Ok(ports)
}

/// The first port that outgoing connections may have.
fn outgoing() -> u16 {
    let range = std::fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range");
    let first = range.ok().and_then(|range| range.split_whitespace().next()?.parse().ok());
    first.filter(|first| *first > FIRST).unwrap_or(OUTGOING)
}

fn listen_in(range: &Range<u16>) -> io::Result<TcpListener> {
    let mut last = None;
    for _ in 0..ATTEMPTS {
        // The system's choice is random; its remainder is ours.
        let chosen = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
        let port = range.start + chosen % (range.end - range.start);
        match TcpListener::bind((Ipv4Addr::LOCALHOST, port)) {
            Ok(listener) => return Ok(listener),
            Err(error) => last = Some(error),
        }
    }
    Err(last.unwrap_or_else(|| io::ErrorKind::AddrInUse.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_are_free_and_different_and_not_for_outgoing_connections() {
        let mut ports = free::<50>().expect("ports");
        for port in ports {
            assert!((FIRST..outgoing()).contains(&port), "{port}");
            TcpListener::bind((Ipv4Addr::LOCALHOST, port)).expect("free");
        }
        ports.sort_unstable();
        assert!(ports.windows(2).all(|pair| pair[0] != pair[1]), "{ports:?}");
    }

    #[test]
    fn one_that_is_taken_is_not_given() {
        let held = listen_in(&(FIRST..outgoing())).expect("a port");
        let port = held.local_addr().expect("address").port();
        assert!(listen_in(&(port..port + 1)).is_err());
        drop(held);
        listen_in(&(port..port + 1)).expect("free again");
    }
}
