//! One HTTP request, read to its end: a socket that closes with a part of it unread resets
//! the connection, and the answer may be lost.

use std::io::{BufRead as _, BufReader, Read as _};
use std::net::TcpStream;

/// The request line and the body.
pub(crate) fn read(stream: &TcpStream) -> std::io::Result<(String, Vec<u8>)> {
    let mut reader = BufReader::new(stream);
    let mut request = String::new();
    reader.read_line(&mut request)?;
    let (mut length, mut line) = (0, String::new());
    while reader.read_line(&mut line)? > 2 {
        if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().map_err(std::io::Error::other)?;
        }
        line.clear();
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    Ok((request.trim_end().to_owned(), body))
}
