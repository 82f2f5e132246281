use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use super::*;

/// A server that answers each byte with the next one.
fn echo() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("listener");
    let port = listener.local_addr().expect("address").port();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || answer(stream));
        }
    });
    port
}

fn answer(mut stream: TcpStream) {
    let mut byte = [0];
    while matches!(stream.read(&mut byte), Ok(1)) {
        if stream.write_all(&[byte[0] + 1]).is_err() {
            return;
        }
    }
}

fn proxy() -> Proxy {
    let proxy = Proxy::start("test").expect("proxy");
    proxy.lead_to(echo());
    proxy
}

fn client(proxy: &Proxy) -> TcpStream {
    let stream = TcpStream::connect(("127.0.0.1", proxy.port())).expect("connects");
    stream.set_read_timeout(Some(Duration::from_secs(5))).expect("timeout");
    stream
}

fn ask(stream: &mut TcpStream, byte: u8) -> std::io::Result<u8> {
    stream.write_all(&[byte])?;
    let mut answer = [0];
    stream.read_exact(&mut answer)?;
    Ok(answer[0])
}

fn is_silent(stream: &mut TcpStream) -> bool {
    stream.set_read_timeout(Some(Duration::from_millis(150))).expect("timeout");
    let read = stream.read(&mut [0]);
    stream.set_read_timeout(Some(Duration::from_secs(5))).expect("timeout");
    read.is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock)
}

fn wait_for(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(5);
    while !condition() {
        assert!(Instant::now() < deadline, "{what}");
        std::thread::park_timeout(Duration::from_millis(2));
    }
}

#[test]
fn everything_passes_until_told_otherwise() {
    let proxy = proxy();
    let mut one = client(&proxy);
    let mut other = client(&proxy);
    assert_eq!(ask(&mut one, 1).expect("answer"), 2);
    assert_eq!(ask(&mut other, 5).expect("answer"), 6);
}

#[test]
fn a_share_of_the_connections_is_cut_and_the_others_live() {
    let proxy = proxy();
    for ending in [Fate::Reset, Fate::Close] {
        let mut clients: Vec<_> = (0..10).map(|_| client(&proxy)).collect();
        for stream in &mut clients {
            ask(stream, 1).expect("answer");
        }
        let hit = proxy.afflict(30, ending);
        assert_eq!(hit.len(), 3, "{ending:?}");
        wait_for("the links end", || hit.iter().all(|link| link.has_ended()));
        let dead = clients.iter_mut().filter_map(|stream| ask(stream, 1).err()).count();
        assert_eq!(dead, 3, "{ending:?}");
        proxy.afflict(100, Fate::Reset);
    }
}

#[test]
fn a_half_open_connection_says_nothing_to_either_side() {
    let proxy = proxy();
    let mut stream = client(&proxy);
    ask(&mut stream, 1).expect("answer");
    let hit = proxy.afflict(100, Fate::Swallow);
    assert_eq!(hit.len(), 1);
    stream.write_all(&[1]).expect("the kernel takes it");
    wait_for("the byte is swallowed", || hit[0].has_kept());
    assert!(is_silent(&mut stream), "no answer and no end");
    assert!(!hit[0].is_left());
    drop(stream);
    wait_for("the client has left", || hit[0].is_left());
    assert!(!hit[0].has_ended(), "the server is not told");
    proxy.bury_half_open();
    wait_for("it ends", || hit[0].has_ended());
}

#[test]
fn lost_answers_belong_to_requests_that_arrived() {
    let proxy = proxy();
    let mut stream = client(&proxy);
    ask(&mut stream, 1).expect("answer");
    let hit = proxy.afflict(100, Fate::HoldAnswers);
    stream.write_all(&[1]).expect("request");
    wait_for("the server has answered", || hit[0].has_kept());
    assert!(is_silent(&mut stream));
    hit[0].decide(Fate::Reset);
    assert!(
        stream
            .read(&mut [0])
            .is_err_and(|error| { error.kind() == std::io::ErrorKind::ConnectionReset })
    );
}

#[test]
fn weather_adds_up_and_ends_with_its_guards() {
    let proxy = proxy();
    let mut stream = client(&proxy);
    ask(&mut stream, 1).expect("answer");
    let slow = proxy.spell(Weather { delay_ms: 60, ..Weather::default() });
    let held = proxy.spell(Weather { hold: true, ..Weather::default() });
    stream.write_all(&[1]).expect("request");
    assert!(is_silent(&mut stream), "nothing passes");
    let started = Instant::now();
    drop(held);
    let mut answer = [0];
    stream.read_exact(&mut answer).expect("answer");
    assert!(started.elapsed() >= Duration::from_millis(120), "both ways are slow");
    assert!(proxy.counts().held.load(Relaxed) > 0 && proxy.counts().delayed.load(Relaxed) >= 2);
    drop(slow);
    assert_eq!(*proxy.shared.weather.borrow(), Weather::default());
}

#[test]
fn refused_connections_are_counted_and_the_others_stay() {
    let proxy = proxy();
    let mut stream = client(&proxy);
    ask(&mut stream, 1).expect("answer");
    let spell = proxy.spell(Weather { refuse: true, ..Weather::default() });
    assert!(ask(&mut client(&proxy), 1).is_err());
    assert_eq!(proxy.counts().refused.load(Relaxed), 1);
    assert_eq!(ask(&mut stream, 1).expect("answer"), 2);
    drop(spell);
    assert_eq!(ask(&mut client(&proxy), 1).expect("answer"), 2);
}
