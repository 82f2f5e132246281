//! An own record type by serde, with the pipeline's metrics in an own registry.
//!
//! `cargo run -p tidegate-pipeline --example own_record -- 127.0.0.1:9092 payments`
//! reads payloads like `{"payer":"ann","cents":250}`, adds them up, and prints the
//! totals and the metrics at the end. Ctrl-C stops.
//!
//! What is no payment becomes a dead letter; with a handler those are in
//! `batch.dead_letters()`, for the handler to keep.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use tidegate_pipeline::kafka::{ConnectionOptions, GroupOptions};
use tidegate_pipeline::prometheus_client::encoding::text::encode;
use tidegate_pipeline::prometheus_client::registry::Registry;
use tidegate_pipeline::{Batch, JsonDecoder, Pipeline, PipelineOptions};

#[derive(Debug, Clone, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Payment {
    payer: String,
    cents: u64,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    tracing_subscriber::fmt().init();
    let mut arguments = std::env::args().skip(1);
    let mut next = |default: &str| arguments.next().unwrap_or_else(|| default.into());
    let group = GroupOptions {
        connection: ConnectionOptions::new(next("127.0.0.1:9092")),
        topic: next("payments"),
        group: "payment-totals".into(),
        ..GroupOptions::default()
    };

    let totals = Arc::new(Mutex::new(BTreeMap::<String, u64>::new()));
    let adding = Arc::clone(&totals);
    let mut registry = Registry::default();
    let pipeline = Pipeline::builder(group, PipelineOptions::default())
        .decoder(JsonDecoder::<Payment>::new())
        .handler(move |batch: Arc<Batch<Payment>>| {
            let mut totals = adding.lock().expect("not poisoned");
            for (_record, payment) in batch.rows() {
                *totals.entry(payment.payer.clone()).or_default() += payment.cents;
            }
            for (record, why) in batch.dead_letters() {
                tracing::warn!(partition = record.partition, offset = record.offset, %why);
            }
            std::future::ready(Ok(()))
        })
        .registry(&mut registry)
        .build()?;
    pipeline.run(async { drop(tokio::signal::ctrl_c().await) }).await?;

    let mut metrics = String::new();
    encode(&mut metrics, &registry)?;
    tracing::info!(totals = ?totals.lock().expect("not poisoned"), "{metrics}");
    Ok(())
}
