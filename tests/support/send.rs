//! Records of a test's own, sent and acknowledged one after the other.

#![allow(dead_code)]

use std::sync::mpsc::channel;
use std::time::Duration;

use tidegate_kafka::{
    ConnectionOptions, Delivery, OutgoingRecord, Producer, ProducerOptions, SendError,
};

/// A record to send to the topic `t`: key, payload, headers.
pub(crate) type Sent<'a> = (&'a str, Option<&'a [u8]>, &'a [(&'a str, &'a [u8])]);

/// Sends them in their order and waits for their acknowledgements: partition and offset
/// of each.
pub(crate) fn send(connection: &ConnectionOptions, records: &[Sent<'_>]) -> Vec<(i32, i64)> {
    let (told, deliveries) = channel::<Delivery>();
    let tell = Box::new(move |delivery| drop(told.send(delivery)));
    let producer =
        Producer::new(connection, &ProducerOptions::default(), tell).expect("a producer");
    let mut places = vec![(-1, -1); records.len()];
    for (token, (key, payload, headers)) in records.iter().enumerate() {
        let record = OutgoingRecord {
            topic: "t",
            key: key.as_bytes(),
            payload: *payload,
            timestamp_ms: 1_767_225_600_123,
            headers,
            token: token as u64,
        };
        match producer.send(record) {
            Ok(()) => {}
            Err(SendError::QueueFull) => panic!("more records than the queue takes"),
            Err(SendError::Other(error)) => panic!("{error}"),
        }
    }
    for _ in records {
        let delivery = deliveries.recv_timeout(Duration::from_secs(30)).expect("acknowledged");
        places[delivery.token as usize] = delivery.result.expect("delivered");
    }
    assert!(producer.has_id(), "nothing is sent without it");
    places
}
