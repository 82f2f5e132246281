//! An own sink that keeps the promise of exactly once: a file in which a batch's
//! rows and positions are one line, written and synced as one.
//!
//! `cargo run -p tidegate-pipeline --example own_sink -- 127.0.0.1:9092 trade-tx out.jsonl`
//!
//! What makes it exact: `positions` reads back what `write` wrote, and `write`
//! compares before it appends. A line counts once its end is there. (One process a
//! file; a database does the same compare inside its transaction, so that many
//! processes can share it.)

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::sync::{Arc, Mutex};

use serde::{Deserialize, Serialize};
use tidegate_pipeline::kafka::{ConnectionOptions, GroupOptions, TopicPartition};
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
        let file = File::options().create(true).read(true).append(true).open(path)?;
        let (mut positions, mut whole) = (BTreeMap::new(), 0);
        let (mut lines, mut line) = (BufReader::new(&file), Vec::new());
        while lines.read_until(b'\n', &mut line)? > 0 {
            // A last line without its end is a batch that was never confirmed.
            let Some(text) = line.strip_suffix(b"\n") else { break };
            positions.extend(serde_json::from_slice::<Line>(text)?.positions);
            whole += line.len() as u64;
            line.clear();
        }
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
        let mut text = serde_json::to_vec(&line).map_err(|e| SinkError::Fatal(e.to_string()))?;
        text.push(b'\n');
        let written = Written::now();
        // A half-written line would spoil the lines after it: end, and start afresh.
        file.write_all(&text)
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

#[cfg(test)]
mod tests {
    use tidegate_pipeline::kafka::Record;
    use tidegate_pipeline::{Decoder, Entry, PositionUpdate};

    use super::*;

    fn partition() -> TopicPartition {
        TopicPartition { topic: "t".into(), partition: 0 }
    }

    /// A batch of one trade.
    fn batch(offset: i64, expected: Option<i64>) -> Arc<Batch<TradeRow>> {
        let payload = format!(
            r#"{{"account_id":"ACC1","trade_id":"TRD{offset}","symbol":"AAPL","trade_type":"BUY",
                "quantity":7,"price":123.40,"timestamp":"2026-01-01T00:00:00.000Z"}}"#
        );
        let record = Record {
            topic: "t".into(),
            partition: 0,
            offset,
            timestamp_ms: None,
            key: Some("ACC1".into()),
            payload: Some(payload.into()),
            headers: Vec::new(),
        };
        let outcome = TradeDecoder.decode(&record);
        let next_offset = offset + 1;
        let position = PositionUpdate { partition: partition(), expected, next_offset };
        Arc::new(Batch::of([Entry::of(record, outcome)], [position]))
    }

    async fn position(journal: &Journal) -> Option<i64> {
        journal.positions(&[partition()]).await.expect("reads")[0]
    }

    #[tokio::test]
    async fn wherever_a_line_was_torn_it_does_not_count_and_nothing_else_is_lost() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("out.jsonl");
        let journal = Journal::open(&path).expect("opens");
        journal.write(batch(0, None)).await.expect("writes");
        let one = std::fs::read(&path).expect("reads").len();
        journal.write(batch(1, Some(1))).await.expect("writes");
        let two = std::fs::read(&path).expect("reads");
        for torn in one..two.len() {
            std::fs::write(&path, &two[..torn]).expect("tears");
            let journal = Journal::open(&path).expect("opens");
            assert_eq!(position(&journal).await, Some(1), "torn at {torn}");
            journal.write(batch(1, Some(1))).await.expect("writes");
            assert_eq!(position(&Journal::open(&path).expect("opens")).await, Some(2));
            assert_eq!(std::fs::read(&path).expect("reads"), two, "torn at {torn}");
        }
    }
}
