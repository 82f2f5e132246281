//! An own sink that keeps the promise of exactly once: a file in which a batch's
//! rows and positions are one line, written and synced as one.
//!
//! `cargo run -p tidegate-pipeline --example own_sink -- 127.0.0.1:9092 trade-tx out.jsonl`
//!
//! What makes it exact: `positions` reads back what `write` wrote, and `write`
//! compares before it appends. (One process a file; a database does the same
//! compare inside its transaction, so that many processes can share it.)

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::sync::{Arc, Mutex};

use serde::{Deserialize, Serialize};
use tidegate_kafka::{ConnectionOptions, GroupOptions, TopicPartition};
use tidegate_pipeline::{
    Batch, Pipeline, PipelineOptions, Sink, SinkError, TradeDecoder, TradeRow, Written,
};

#[derive(Serialize, Deserialize)]
struct Line {
    trades: Vec<String>,
    positions: BTreeMap<String, i64>,
}

struct Journal {
    state: Mutex<(File, BTreeMap<String, i64>)>,
}

impl Journal {
    fn open(path: &Path) -> std::io::Result<Self> {
        let mut positions = BTreeMap::new();
        let mut whole = 0;
        if let Ok(file) = File::open(path) {
            for line in BufReader::new(file).lines().map_while(Result::ok) {
                // A torn last line is a batch that was never confirmed.
                let Ok(parsed) = serde_json::from_str::<Line>(&line) else { break };
                positions.extend(parsed.positions);
                whole += line.len() as u64 + 1;
            }
        }
        let file = File::options().create(true).append(true).open(path)?;
        file.set_len(whole)?;
        Ok(Self { state: Mutex::new((file, positions)) })
    }
}

impl Sink for Journal {
    async fn positions(
        &self,
        partitions: &[TopicPartition],
    ) -> Result<Vec<Option<i64>>, SinkError> {
        let state = self.state.lock().expect("not poisoned");
        Ok(partitions.iter().map(|p| state.1.get(&p.to_string()).copied()).collect())
    }

    async fn write(&self, batch: Arc<Batch<TradeRow>>) -> Result<Written, SinkError> {
        let mut state = self.state.lock().expect("not poisoned");
        let (file, positions) = &mut *state;
        let fenced: Vec<TopicPartition> = batch
            .positions()
            .iter()
            .filter(|update| {
                positions.get(&update.partition.to_string()).copied() != update.expected
            })
            .map(|update| update.partition.clone())
            .collect();
        if !fenced.is_empty() {
            return Err(SinkError::Fenced { partitions: fenced });
        }
        let line = Line {
            trades: batch.rows().map(|(_record, trade)| trade.trade_id().to_owned()).collect(),
            positions: batch
                .positions()
                .iter()
                .map(|update| (update.partition.to_string(), update.next_offset))
                .collect(),
        };
        let text = serde_json::to_string(&line).map_err(|e| SinkError::Fatal(e.to_string()))?;
        let written = Written::now();
        // A half-written line would spoil the lines after it: end, and start afresh.
        writeln!(file, "{text}")
            .and_then(|()| file.sync_data())
            .map_err(|error| SinkError::Fatal(format!("appending a batch: {error}")))?;
        positions.extend(line.positions);
        Ok(written)
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    tracing_subscriber::fmt().init();
    let mut arguments = std::env::args().skip(1);
    let group = GroupOptions {
        connection: ConnectionOptions::new(
            arguments.next().unwrap_or_else(|| "127.0.0.1:9092".into()),
        ),
        topic: arguments.next().unwrap_or_else(|| "trade-tx".into()),
        group: "journal".into(),
        ..GroupOptions::default()
    };
    let path = arguments.next().unwrap_or_else(|| "trades.jsonl".into());
    let pipeline = Pipeline::builder(group, PipelineOptions::default())
        .decoder(TradeDecoder)
        .sink(Journal::open(Path::new(&path))?)
        .build()?;
    let summary = pipeline.run(async { drop(tokio::signal::ctrl_c().await) }).await?;
    tracing::info!(?summary, "done");
    Ok(())
}
