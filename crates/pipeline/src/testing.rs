//! What the unit tests share: records of a topic `t` with valid trades.

use bytes::Bytes;
use tidegate_kafka::{Record, TopicPartition};
use tokio::time::Instant;

use crate::batch::{Batch, Entry, PositionUpdate};
use crate::decode::{Decoder, TradeDecoder, TradeRow};

pub(crate) fn partition(partition: i32) -> TopicPartition {
    TopicPartition { topic: "t".into(), partition }
}

pub(crate) fn record(partition: i32, offset: i64, payload: &str) -> Record {
    Record {
        topic: "t".into(),
        partition,
        offset,
        timestamp_ms: Some(1_000 + offset),
        key: Some(Bytes::from_static(b"ACC1000")),
        payload: Some(Bytes::copy_from_slice(payload.as_bytes())),
        headers: Vec::new(),
    }
}

pub(crate) fn trade_json(trade: &str, symbol: &str) -> String {
    format!(
        r#"{{"account_id":"ACC1000","trade_id":"{trade}","symbol":"{symbol}","trade_type":"BUY","quantity":7,"price":123.40,"timestamp":"2026-01-01T00:00:00.000Z"}}"#
    )
}

pub(crate) fn trade(partition: i32, offset: i64) -> Record {
    record(partition, offset, &trade_json(&format!("TRD{partition}-{offset}"), "AAPL"))
}

pub(crate) fn entry(record: Record) -> Entry<TradeRow> {
    let outcome = TradeDecoder.decode(&record);
    Entry::new(record, outcome, Instant::now(), crate::clock::now_ms())
}

/// A batch of one partition, for sinks.
pub(crate) fn batch(records: Vec<Record>, expected: Option<i64>) -> Batch<TradeRow> {
    let last = records.last().expect("a batch has records");
    let update = PositionUpdate {
        partition: partition(last.partition),
        expected,
        next_offset: last.offset + 1,
    };
    Batch { entries: records.into_iter().map(entry).collect(), positions: vec![update] }
}
