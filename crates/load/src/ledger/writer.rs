//! Writes a ledger on a thread of its own, off the send path.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::{ACKED, ACKED_HEADER, Acked, FAILED, FAILED_HEADER, META};
use crate::Error;
use crate::trade::Kind;

const FLUSH_INTERVAL: Duration = Duration::from_millis(500);

/// What the load was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LedgerMeta {
    /// Topic.
    pub topic: String,
    /// Seed.
    pub seed: u64,
    /// When sending began, Unix milliseconds.
    pub started_at_ms: i64,
}

enum Line {
    Acked(Acked),
    Failed { seq: u64, key: u32, timestamp_ms: i64, kind: Kind },
}

/// Where deliveries are told.
#[derive(Debug, Clone)]
pub struct LedgerSender(Sender<Line>);

impl std::fmt::Debug for Line {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Line")
    }
}

impl LedgerSender {
    /// A record was acknowledged.
    pub fn acked(&self, acked: Acked) {
        let _ = self.0.send(Line::Acked(acked));
    }

    /// A record was given up.
    pub fn failed(&self, seq: u64, key: u32, timestamp_ms: i64, kind: Kind) {
        let _ = self.0.send(Line::Failed { seq, key, timestamp_ms, kind });
    }
}

/// A ledger that is being written.
#[derive(Debug)]
pub struct LedgerWriter {
    sender: LedgerSender,
    thread: JoinHandle<std::io::Result<()>>,
    path: PathBuf,
}

impl LedgerWriter {
    /// Makes the directory and starts the thread.
    ///
    /// # Errors
    /// [`Error::Ledger`] when there is a ledger already, [`Error::File`].
    pub fn create(directory: &Path, meta: &LedgerMeta) -> Result<Self, Error> {
        if directory.join(META).exists() {
            let reason = "it exists already; name a new directory".into();
            return Err(Error::Ledger { path: directory.to_owned(), reason });
        }
        fs::create_dir_all(directory).map_err(Error::file(directory))?;
        let create = |name: &str, header: &str| -> Result<BufWriter<File>, Error> {
            let path = directory.join(name);
            let mut file = BufWriter::new(File::create(&path).map_err(Error::file(&path))?);
            writeln!(file, "{header}").map_err(Error::file(&path))?;
            Ok(file)
        };
        let files =
            Files { acked: create(ACKED, ACKED_HEADER)?, failed: create(FAILED, FAILED_HEADER)? };
        let path = directory.join(META);
        let text = serde_json::to_vec_pretty(meta)
            .map_err(std::io::Error::from)
            .map_err(Error::file(&path))?;
        fs::write(&path, text).map_err(Error::file(&path))?;
        let (sender, receiver) = channel();
        let thread = std::thread::Builder::new()
            .name("ledger".into())
            .spawn(move || files.write_all(&receiver))
            .map_err(Error::file(directory))?;
        Ok(Self { sender: LedgerSender(sender), thread, path: directory.to_owned() })
    }

    /// Where deliveries are told.
    pub fn sender(&self) -> LedgerSender {
        self.sender.clone()
    }

    /// Waits until everything is on disk. All other senders must be gone.
    ///
    /// # Errors
    /// [`Error::File`] when something could not be written.
    pub fn finish(self) -> Result<(), Error> {
        drop(self.sender);
        let written = self
            .thread
            .join()
            .unwrap_or_else(|_| Err(std::io::Error::other("the writer panicked")));
        written.map_err(Error::file(&self.path))
    }
}

struct Files {
    acked: BufWriter<File>,
    failed: BufWriter<File>,
}

impl Files {
    fn write_all(mut self, lines: &Receiver<Line>) -> std::io::Result<()> {
        let mut flushed = Instant::now();
        loop {
            match lines.recv_timeout(FLUSH_INTERVAL) {
                Ok(line) => self.write(&line)?,
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            if flushed.elapsed() >= FLUSH_INTERVAL {
                self.acked.flush()?;
                self.failed.flush()?;
                flushed = Instant::now();
            }
        }
        for file in [&mut self.acked, &mut self.failed] {
            file.flush()?;
            file.get_ref().sync_all()?;
        }
        Ok(())
    }

    fn write(&mut self, line: &Line) -> std::io::Result<()> {
        match line {
            Line::Acked(Acked { seq, key, partition, offset, timestamp_ms, kind }) => {
                writeln!(
                    self.acked,
                    "{seq},{key},{partition},{offset},{timestamp_ms},{}",
                    kind.name()
                )
            }
            Line::Failed { seq, key, timestamp_ms, kind } => {
                writeln!(self.failed, "{seq},{key},{timestamp_ms},{}", kind.name())
            }
        }
    }
}
