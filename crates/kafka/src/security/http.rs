//! The little of HTTP/1.1 that tokens need: one request, one answer, closed.
//!
//! Contract: no redirects, no proxies, no reuse; answers of at most 1 MiB, which are waited for
//! so long and no longer, however they come.
//! Rejected: an HTTP client crate; the asynchronous ones want a runtime, and a
//! token is fetched by a plain thread a few times an hour.

use std::io::{ErrorKind, Read, Write};
use std::time::{Duration, Instant};

use super::failure::Failure;
use super::stream::{Stream, web_tls_config};

const MAX_ANSWER_BYTES: usize = 1 << 20;
/// For the whole of an answer. A server that dribbles would hold up whoever wants a token, and
/// the end of the process.
const ANSWER_WAIT: Duration = Duration::from_secs(10);
const ENDS_EARLY: &str = "the answer ends early";

/// What is asked.
pub(crate) struct Request<'a> {
    pub(crate) method: &'static str,
    pub(crate) url: &'a str,
    pub(crate) headers: &'a [(&'a str, &'a str)],
    pub(crate) body: Option<&'a str>,
}

/// Body of an answer with a status of 200; else a text without the request's secrets.
pub(crate) fn send(request: &Request<'_>) -> Result<String, Failure> {
    let target = Target::of(request.url)?;
    let failed = |why: Failure| why.of(format_args!("{}: ", target.authority));
    let broken = |error: std::io::Error| failed(Failure::of_connection(&error));
    let tls = match target.tls {
        true => Some(web_tls_config().map_err(|error| failed(error.to_string().into()))?),
        false => None,
    };
    let mut stream = Stream::connect(target.host, target.port, tls.as_ref()).map_err(broken)?;
    let mut text = format!(
        "{} {} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n",
        request.method, target.path, target.authority
    );
    for (name, value) in request.headers {
        if value.contains(['\r', '\n']) {
            return Err(failed(format!("the value of {name} has a line break").into()));
        }
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    if let Some(body) = request.body {
        text.push_str(&format!("Content-Length: {}\r\n", body.len()));
    }
    text.push_str("\r\n");
    text.push_str(request.body.unwrap_or_default());
    stream.write_all(text.as_bytes()).and_then(|()| stream.flush()).map_err(broken)?;
    let answer = read_answer(&mut stream, ANSWER_WAIT).map_err(broken)?;
    if answer.is_empty() {
        return Err(failed(Failure::passing("the server hung up")));
    }
    let (status, body) = parse(&answer).map_err(|why| match why {
        ENDS_EARLY => failed(Failure::passing(why)),
        _ => failed(why.into()),
    })?;
    if status != 200 {
        let start: String = body.chars().take(300).collect();
        return Err(failed(Failure::of_status(status, &start.replace(['\r', '\n'], " "))));
    }
    Ok(body)
}

/// Until all that was announced is there: some servers keep the connection open.
fn read_answer(stream: &mut impl Read, wait: Duration) -> std::io::Result<Vec<u8>> {
    let (mut answer, mut part) = (Vec::new(), [0; 8192]);
    let began = Instant::now();
    while answer.len() < MAX_ANSWER_BYTES && !is_whole(&answer) {
        if began.elapsed() > wait {
            let why = format!("the answer was not there within {} s", wait.as_secs());
            return Err(std::io::Error::new(ErrorKind::TimedOut, why));
        }
        match stream.read(&mut part) {
            Ok(0) => break,
            Ok(read) => answer.extend_from_slice(&part[..read]),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            // A server that closes without TLS's goodbye has still said everything
            // if the length it announced is there; `parse` checks that.
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => break,
            Err(error) => return Err(error),
        }
    }
    Ok(answer)
}

/// Whether an answer says how long it is, and is as long.
fn is_whole(answer: &[u8]) -> bool {
    let Some(head) = answer.windows(4).position(|four| four == b"\r\n\r\n") else { return false };
    let head = answer[..head].to_ascii_lowercase();
    let says = |what: &[u8]| head.windows(what.len()).any(|part| part == what);
    (says(b"\r\ncontent-length:") || says(b"\r\ntransfer-encoding:")) && parse(answer).is_ok()
}

#[derive(Debug, PartialEq, Eq)]
struct Target<'a> {
    tls: bool,
    authority: &'a str,
    host: &'a str,
    port: u16,
    path: &'a str,
}

impl<'a> Target<'a> {
    fn of(url: &'a str) -> Result<Self, String> {
        let (tls, rest) = if let Some(rest) = url.strip_prefix("https://") {
            (true, rest)
        } else if let Some(rest) = url.strip_prefix("http://") {
            (false, rest)
        } else {
            return Err("a URL begins with https:// or http://".into());
        };
        let (authority, path) = match rest.find('/') {
            Some(at) => rest.split_at(at),
            None => (rest, "/"),
        };
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) if !port.contains(']') => {
                (host, port.parse().map_err(|_| format!("{authority}: not a port"))?)
            }
            _ => (authority, if tls { 443 } else { 80 }),
        };
        if host.is_empty() || authority.contains('@') {
            return Err(format!("{url:?}: expected scheme://host/path"));
        }
        Ok(Self { tls, authority, host, port, path })
    }
}

/// Whether a URL goes over TLS, or stays on this machine.
pub(crate) fn is_protected(url: &str) -> bool {
    Target::of(url).is_ok_and(|target| {
        let host = target.host.trim_start_matches('[').trim_end_matches(']');
        target.tls
            || host == "localhost"
            || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
    })
}

fn parse(answer: &[u8]) -> Result<(u16, String), &'static str> {
    let head_end = answer.windows(4).position(|four| four == b"\r\n\r\n").ok_or("not HTTP")?;
    let head = std::str::from_utf8(&answer[..head_end]).map_err(|_| "not HTTP")?;
    let body = &answer[head_end + 4..];
    let mut lines = head.split("\r\n");
    let status = lines
        .next()
        .filter(|line| line.starts_with("HTTP/1."))
        .and_then(|line| line.split(' ').nth(1)?.parse().ok())
        .ok_or("not HTTP")?;
    let header = |name: &str| {
        head.split("\r\n").skip(1).find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    };
    let body = if header("transfer-encoding").is_some_and(|value| value.contains("chunked")) {
        dechunk(body)?
    } else if let Some(length) = header("content-length") {
        let length: usize = length.parse().map_err(|_| "a wrong Content-Length")?;
        body.get(..length).ok_or(ENDS_EARLY)?.to_vec()
    } else {
        body.to_vec()
    };
    Ok((status, String::from_utf8(body).map_err(|_| "the answer is not text")?))
}

fn dechunk(mut rest: &[u8]) -> Result<Vec<u8>, &'static str> {
    let mut body = Vec::new();
    loop {
        let end = rest.windows(2).position(|two| two == b"\r\n").ok_or(ENDS_EARLY)?;
        let size = std::str::from_utf8(&rest[..end])
            .ok()
            .and_then(|line| usize::from_str_radix(line.split(';').next()?.trim(), 16).ok())
            .ok_or("a wrong chunk")?;
        rest = &rest[end + 2..];
        if size == 0 {
            return Ok(body);
        }
        body.extend_from_slice(rest.get(..size).ok_or(ENDS_EARLY)?);
        rest = rest.get(size + 2..).ok_or(ENDS_EARLY)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_taken_apart() {
        let target = Target::of("https://sts.eu-west-1.amazonaws.com/?a=b").expect("reads");
        assert_eq!((target.tls, target.port, target.path), (true, 443, "/?a=b"));
        let target = Target::of("http://[fd00:ec2::23]/v1/credentials").expect("reads");
        assert_eq!((target.host, target.port), ("[fd00:ec2::23]", 80));
        let target = Target::of("http://127.0.0.1:8080").expect("reads");
        assert_eq!((target.host, target.port, target.path), ("127.0.0.1", 8080, "/"));
        for url in ["ftp://x/", "https:///x", "http://me:pw@host/", "http://host:x/"] {
            assert!(Target::of(url).is_err(), "{url}");
        }
        assert!(is_protected("https://idp/token") && is_protected("http://127.0.0.1:1/x"));
        assert!(!is_protected("http://idp/token"));
    }

    #[test]
    fn answers_with_length_chunks_or_neither() {
        let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabcdef";
        assert_eq!(parse(answer), Ok((200, "abc".into())));
        let answer = b"HTTP/1.1 403 No\r\ntransfer-encoding: Chunked, chunked\r\n\r\n3\r\nabc\r\n2;x\r\nde\r\n0\r\n\r\n";
        assert_eq!(parse(answer), Ok((403, "abcde".into())));
        assert_eq!(parse(b"HTTP/1.0 200 OK\r\n\r\nall"), Ok((200, "all".into())));
        for answer in [
            &b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc"[..],
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nff\r\nabc",
            b"SSH-2.0-x\r\n\r\n",
            b"HTTP/1.1 200 OK\r\n",
        ] {
            assert!(parse(answer).is_err());
        }
    }

    /// A byte at a time, and then either no end or no more bytes ever.
    struct Dribble<'a> {
        bytes: &'a [u8],
        without_end: bool,
    }

    impl Read for Dribble<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            let Some((first, rest)) = self.bytes.split_first() else {
                assert!(self.without_end, "it is asked for more than there will be");
                buffer[0] = b' ';
                return Ok(1);
            };
            (buffer[0], self.bytes) = (*first, rest);
            Ok(1)
        }
    }

    #[test]
    fn an_answer_ends_where_it_says_or_with_the_patience() {
        let whole = [
            &b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc"[..],
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
        ];
        for bytes in whole {
            let mut kept_open = Dribble { bytes, without_end: false };
            let answer = read_answer(&mut kept_open, ANSWER_WAIT).expect("reads");
            assert_eq!(parse(&answer), Ok((200, "abc".into())));
        }
        let mut endless = Dribble { bytes: b"HTTP/1.1 200 OK\r\n\r\n", without_end: true };
        let error = read_answer(&mut endless, Duration::from_millis(20)).expect_err("no end");
        assert_eq!(error.kind(), ErrorKind::TimedOut);
    }
}
