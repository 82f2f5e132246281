//! ACLs, given over the plain listener by whoever may do everything.
//!
//! The Kafka client of this project has no call for them: nothing in the product needs one.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use super::secure::SecureBroker;

pub(crate) const TOPIC: i8 = 2;
pub(crate) const GROUP: i8 = 3;
pub(crate) const DESCRIBE: i8 = 8;
const LITERAL: i8 = 3;
const ALLOW: i8 = 3;
const CREATE_ACLS: i16 = 30;
const VERSION: i16 = 1;

fn string(into: &mut Vec<u8>, text: &str) {
    into.extend(i16::try_from(text.len()).expect("short").to_be_bytes());
    into.extend(text.as_bytes());
}

/// Allows a user one operation on one topic or group, from everywhere.
/// Request and answer as Kafka's protocol guide has them (CreateAcls, version 1).
pub(crate) fn allow(broker: &SecureBroker, user: &str, kind: i8, name: &str, operation: i8) {
    let mut body = Vec::new();
    body.extend(CREATE_ACLS.to_be_bytes());
    body.extend(VERSION.to_be_bytes());
    body.extend(1i32.to_be_bytes());
    string(&mut body, "acls");
    body.extend(1i32.to_be_bytes());
    body.push(kind as u8);
    string(&mut body, name);
    body.push(LITERAL as u8);
    string(&mut body, &format!("User:{user}"));
    string(&mut body, "*");
    body.extend([operation as u8, ALLOW as u8]);
    let mut stream = TcpStream::connect(broker.broker.bootstrap()).expect("connects");
    let length = u32::try_from(body.len()).expect("short").to_be_bytes();
    stream.write_all(&[&length[..], &body].concat()).expect("asks");
    // Length, correlation, throttle time, one result: its code.
    let mut answer = [0; 18];
    stream.read_exact(&mut answer).expect("answers");
    assert_eq!(&answer[16..18], [0, 0], "ACL of {user} on {name}: {answer:?}");
}
