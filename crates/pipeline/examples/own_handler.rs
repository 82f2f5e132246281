//! An own record type and an own async handler: at least once.
//!
//! `cargo run -p tidegate-pipeline --example own_handler -- 127.0.0.1:9092 payments`
//! reads payloads like `{"payer":"ann","cents":250}` and adds them up. Ctrl-C stops.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use tidegate_kafka::{ConnectionOptions, GroupOptions};
use tidegate_pipeline::{Batch, HandlerSink, JsonDecoder, Pipeline, PipelineOptions};

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
    let group = GroupOptions {
        connection: ConnectionOptions::new(
            arguments.next().unwrap_or_else(|| "127.0.0.1:9092".into()),
        ),
        topic: arguments.next().unwrap_or_else(|| "payments".into()),
        group: "payment-totals".into(),
        ..GroupOptions::default()
    };

    let totals = Arc::new(Mutex::new(BTreeMap::<String, u64>::new()));
    let handler = {
        let totals = Arc::clone(&totals);
        move |batch: Arc<Batch<Payment>>| {
            let totals = Arc::clone(&totals);
            async move {
                let mut totals = totals.lock().expect("not poisoned");
                for (_record, payment) in batch.rows() {
                    *totals.entry(payment.payer.clone()).or_default() += payment.cents;
                }
                Ok(()) // Only now Kafka's offsets move past the batch.
            }
        }
    };

    let pipeline = Pipeline::builder(group, PipelineOptions::default())
        .decoder(JsonDecoder::<Payment>::new())
        .sink(HandlerSink::new(handler))
        .build()?;
    let summary = pipeline.run(async { drop(tokio::signal::ctrl_c().await) }).await?;
    tracing::info!(?summary, totals = ?totals.lock().expect("not poisoned"), "done");
    Ok(())
}
