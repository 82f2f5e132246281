//! An own async handler whose effect outside is idempotent: at least once from
//! Kafka, and once where it counts.
//!
//! `cargo run -p tidegate-pipeline --example own_handler -- 127.0.0.1:9092 payments 127.0.0.1:8080`
//! sends each payload as `PUT /payments/TOPIC-PARTITION-OFFSET` to an HTTP service.
//! Ctrl-C stops.
//!
//! What makes it safe: the name of a payment is the record's place in Kafka. After a
//! crash the last batch comes again, and the service finds that it has it already.

use std::sync::Arc;

use tidegate_pipeline::kafka::{ConnectionOptions, GroupOptions, Record};
use tidegate_pipeline::{Batch, JsonDecoder, Pipeline, PipelineOptions, SinkError};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

type Service = BufReader<TcpStream>;

/// One request on a kept connection. What may pass is a retry: the batch comes again.
async fn put(service: &mut Service, record: &Record) -> std::io::Result<u16> {
    let body = record.payload.as_deref().unwrap_or_default();
    let (topic, partition, offset) = (&record.topic, record.partition, record.offset);
    let head = format!(
        "PUT /payments/{topic}-{partition}-{offset} HTTP/1.1\r\nHost: service\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    service.write_all(head.as_bytes()).await?;
    service.write_all(body).await?;
    let (mut status, mut length, mut line) = (0, 0, String::new());
    while service.read_line(&mut line).await? > 2 {
        if let Some(rest) = line.strip_prefix("HTTP/1.1 ") {
            status = rest.get(..3).and_then(|code| code.parse().ok()).unwrap_or(0);
        } else if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap_or(0);
        }
        line.clear();
    }
    let mut answer = vec![0; length];
    service.read_exact(&mut answer).await?;
    Ok(status)
}

async fn pay(address: &str, batch: &Batch<serde_json::Value>) -> Result<(), SinkError> {
    let retry = |error: std::io::Error| SinkError::Retry(format!("{address}: {error}"));
    let mut service = BufReader::new(TcpStream::connect(address).await.map_err(retry)?);
    for (record, _payment) in batch.rows() {
        match put(&mut service, record).await.map_err(retry)? {
            200..300 => {}
            status @ 400..500 => {
                return Err(SinkError::Fatal(format!("{address} refuses: {status}")));
            }
            status => return Err(SinkError::Retry(format!("{address} answers {status}"))),
        }
    }
    Ok(()) // Only now Kafka's offsets move past the batch.
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    tracing_subscriber::fmt().init();
    let mut arguments = std::env::args().skip(1);
    let mut next = |default: &str| arguments.next().unwrap_or_else(|| default.into());
    let group = GroupOptions {
        connection: ConnectionOptions::new(next("127.0.0.1:9092")),
        topic: next("payments"),
        group: "payments-to-service".into(),
        ..GroupOptions::default()
    };
    let address: Arc<str> = next("127.0.0.1:8080").into();

    let pipeline = Pipeline::builder(group, PipelineOptions::default())
        .decoder(JsonDecoder::new())
        .handler(move |batch: Arc<Batch<serde_json::Value>>| {
            let address = Arc::clone(&address);
            async move { pay(&address, &batch).await }
        })
        .build()?;
    let summary = pipeline.run(async { drop(tokio::signal::ctrl_c().await) }).await?;
    tracing::info!(?summary, "done");
    Ok(())
}
