//! What Kafka says, read on a thread of its own.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Instant;

use tidegate_kafka::{ConnectionOptions, LagReader, PartitionOffsets};
use tokio::sync::watch;

use crate::Error;

/// Offsets of all partitions, and when they were read.
#[derive(Debug, Clone)]
pub struct Facts {
    /// When the answer had arrived.
    pub read_at: Instant,
    /// Offsets, or why there are none.
    pub offsets: Result<Vec<PartitionOffsets>, String>,
}

impl Facts {
    /// Sum of the ends and of the committed positions: their changes are arrivals
    /// and processed records. A partition without a commit counts from its start.
    pub fn sums(&self) -> Option<(i64, i64)> {
        let offsets = self.offsets.as_ref().ok()?;
        let ends = offsets.iter().filter_map(|partition| partition.end).sum();
        let positions = offsets.iter().filter_map(|p| p.committed.or(p.start)).sum();
        Some((ends, positions))
    }

    /// Records not yet committed.
    pub fn lag_records(&self) -> Option<i64> {
        Some(self.offsets.as_ref().ok()?.iter().map(PartitionOffsets::lag_records).sum())
    }
}

/// Asks Kafka when told to; the newest answer can be read at any time.
#[derive(Debug)]
pub struct Observer {
    ask: SyncSender<()>,
    facts: watch::Receiver<Option<Facts>>,
}

impl Observer {
    /// Starts the thread.
    ///
    /// # Errors
    /// [`Error::Kafka`] when the client cannot be created.
    pub fn start(connection: &ConnectionOptions, group: &str, topic: &str) -> Result<Self, Error> {
        let reader = LagReader::new(connection, group, topic)?;
        // One question may wait; a second one while Kafka is slow adds nothing.
        let (ask, asked) = sync_channel(1);
        let (publish, facts) = watch::channel(None);
        std::thread::Builder::new()
            .name("lag-reader".into())
            .spawn(move || serve(reader, &asked, &publish))
            .map_err(|source| Error::Spawn { program: "lag reader thread".into(), source })?;
        Ok(Self { ask, facts })
    }

    /// Asks for new facts; does not wait.
    pub fn ask(&self) {
        let _ = self.ask.try_send(());
    }

    /// The newest facts.
    pub fn facts(&self) -> Option<Facts> {
        self.facts.borrow().clone()
    }

    /// Waits until facts newer than the last look have arrived.
    pub async fn changed(&mut self) {
        if self.facts.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
        self.facts.mark_unchanged();
    }
}

fn serve(mut reader: LagReader, asked: &Receiver<()>, publish: &watch::Sender<Option<Facts>>) {
    while asked.recv().is_ok() {
        let offsets = reader.read().map_err(|error| {
            reader.refresh();
            error.to_string()
        });
        publish.send_replace(Some(Facts { read_at: Instant::now(), offsets }));
    }
}
